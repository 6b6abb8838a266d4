package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/scripts/lab/images"
	"archeio/scripts/lab/system"
	"archeio/scripts/prove/cli"
	"archeio/scripts/prove/clients"
)

// measureFill compares archeio mirror copy with crane copy and skopeo sync: the same
// images from the same registry, first into an empty destination, then again when
// nothing is new, once more from a source whose listings have digests, as those of
// Artifact Registry, and the last two with both servers far away. Ours is a bucket of an
// S3 server and theirs a registry, both of which store files in the same file system and
// hash what they receive.
func measureFill(ctx context.Context, b *bench) error {
	f := &fill{bench: b, parallel: "8"}
	if err := f.start(ctx); err != nil {
		return err
	}
	defer f.stop()
	tools := f.tools()
	runs := make([][]fillRun, len(tools))
	for range max(1, b.rounds) {
		for i, t := range tools {
			r, err := f.measure(ctx, t)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			far := "not measured"
			if r.distant > 0 {
				far = fmt.Sprintf("%.2f and %.2f s", r.distant.Seconds(), r.distantListed.Seconds())
			}
			b.progress.Note("%s: %s/s, again %.2f s with %d requests, %.2f s from a listing with digests; %v away %s", t.name, formatBytes(float64(f.published.Bytes)/r.first.Seconds()),
				r.again.Seconds(), r.requests, r.listed.Seconds(), distance, far)
			runs[i] = append(runs[i], r)
		}
	}
	what := fmt.Sprintf("mirror copy, %d images, %s", f.count, formatBytes(float64(f.published.Bytes)))
	values := func(i int, value func(fillRun) float64) (all []float64) {
		for _, r := range runs[i] {
			all = append(all, value(r))
		}
		return all
	}
	for _, v := range []struct {
		what   string
		unit   unit
		value  func(fillRun) float64
		budget budget
	}{
		{what, bytesPerSecond, func(r fillRun) float64 { return float64(f.published.Bytes) / r.first.Seconds() }, ratioOf(1)},
		{"the same again", ns, func(r fillRun) float64 { return float64(r.again) }, ratioOf(0.1)},
		{"the same again, requests", countOf, func(r fillRun) float64 { return float64(r.requests) }, ratioOf(0.1)},
		{"again, listing with digests", ns, func(r fillRun) float64 { return float64(r.listed) }, ratioOf(0.1)},
		{fmt.Sprintf("the same again, %v away", distance), ns, func(r fillRun) float64 { return float64(r.distant) }, ratioOf(0.1)},
		{fmt.Sprintf("listing with digests, %v away", distance), ns, func(r fillRun) float64 { return float64(r.distantListed) }, ratioOf(0.1)},
	} {
		for i, t := range tools[1:] {
			if v.value(runs[i+1][0]) == 0 {
				continue // not measured
			}
			b.report.compare(v.what, t.name, v.unit, values(0, v.value), values(i+1, v.value), v.budget)
		}
	}
	return nil
}

// fillRun is what one tool took for an empty destination, and again.
type fillRun struct {
	first, again time.Duration
	listed       time.Duration // as again, from a source whose listing has digests
	// distant and distantListed are as again and listed with both servers at a distance, 0
	// for a tool that is not measured so.
	distant, distantListed time.Duration
	requests               int64 // of the second run, to the source and the destination
}

// distance is the round trip to a registry and a bucket in another region.
const distance = 50 * time.Millisecond

// fillTool copies all images of a source to a destination.
type fillTool struct {
	name string
	// destination makes an empty one, and returns the base URL of its server.
	destination func(ctx context.Context, dir string) (base string, stop func(), err error)
	// copy runs it. source and base are base URLs, dir is for the tool's own files.
	copy func(ctx context.Context, source, base, dir string) error
	// distant reports whether it is measured at a distance, which takes too long for some.
	distant bool
}

type fill struct {
	*bench
	parallel  string
	count     int // of images
	system    *system.System
	published *images.Published
	archeio   string
	buckets   int
	missing   map[string]error // tools
}

func (f *fill) start(ctx context.Context) (err error) {
	if f.archeio, err = f.compile(ctx, "./scripts/archeio"); err != nil {
		return err
	}
	if f.missing, err = clients.Install(ctx, []string{"crane", "skopeo"}, f.progress); err != nil {
		return err
	}
	if f.system, err = system.Start(ctx, system.Options{Log: io.Discard}); err != nil {
		return err
	}
	f.count = f.pick(300, 60)
	f.progress.Step("fill: publishing %d images", f.count)
	if f.published, err = images.Publish(ctx, f.system.Source(), f.count, layerSize); err != nil {
		f.stop()
	}
	return err
}

func (f *fill) stop() { f.system.Stop() }

// layerSize returns the size of a layer in bytes: most are small, and most bytes are in
// a few large ones.
func layerSize(r *rand.Rand) int {
	switch n := r.IntN(100); {
	case n < 60:
		return 1000 + r.IntN(30_000)
	case n < 95:
		return 30_000 + r.IntN(300_000)
	case n < 99:
		return 1<<20 + r.IntN(4<<20)
	}
	return 16<<20 + r.IntN(16<<20)
}

// tools returns ours and those that are installed.
func (f *fill) tools() []fillTool {
	all := []fillTool{{"archeio mirror copy", f.bucket, f.ours, true}, {"crane copy", f.registry, f.crane, true}, {"skopeo sync", f.registry, f.skopeo, false}}
	return slices.DeleteFunc(all, func(t fillTool) bool {
		program, _, _ := strings.Cut(t.name, " ")
		if err := f.missing[program]; err != nil {
			f.progress.Note("%v", err)
			return true
		}
		return false
	})
}

func (f *fill) measure(ctx context.Context, t fillTool) (r fillRun, err error) {
	dir, err := os.MkdirTemp("", "archeio-bench-")
	if err != nil {
		return r, err
	}
	defer os.RemoveAll(dir)
	base, stop, err := t.destination(ctx, filepath.Join(dir, "destination"))
	if err != nil {
		return r, err
	}
	defer stop()
	digests, err := newDigestProxy(f.system.Upstream, system.Prefix, f.published.Repositories)
	if err != nil {
		return r, err
	}
	defer digests.close()
	for _, m := range []struct {
		took     *time.Duration
		source   string
		distance time.Duration
	}{
		{&r.first, f.system.Upstream, 0}, {&r.again, f.system.Upstream, 0}, {&r.listed, digests.base(), 0},
		{&r.distant, f.system.Upstream, distance}, {&r.distantListed, digests.base(), distance},
	} {
		if m.distance > 0 && !t.distant {
			continue
		}
		if *m.took, err = f.time(ctx, t, m.source, base, dir, m.distance); err != nil {
			return r, err
		}
	}
	// The proxies that count would slow down what is measured.
	source, err := newCountingProxy(f.system.Upstream)
	if err != nil {
		return r, err
	}
	defer source.close()
	destination, err := newCountingProxy(base)
	if err != nil {
		return r, err
	}
	defer destination.close()
	err = t.copy(ctx, source.base(), destination.base(), dir)
	r.requests = source.requests.Load() + destination.requests.Load()
	return r, err
}

// time returns how long a copy takes from a source to a base URL, both at a distance.
func (f *fill) time(ctx context.Context, t fillTool, source, base, dir string, distance time.Duration) (time.Duration, error) {
	if distance > 0 {
		for _, at := range []*string{&source, &base} {
			proxy, err := newDistantProxy(host(*at), distance)
			if err != nil {
				return 0, err
			}
			defer proxy.close()
			*at = "http://" + proxy.address()
		}
	}
	began := time.Now()
	err := t.copy(ctx, source, base, dir)
	return time.Since(began), err
}

func (f *fill) bucket(ctx context.Context, _ string) (base string, stop func(), err error) {
	f.buckets++
	bucket := f.bucketName()
	_, err = f.system.S3(system.Regions[0]).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket})
	return f.system.SDKEnv(system.Regions[0])["AWS_ENDPOINT_URL_S3"], func() {}, err
}

func (f *fill) bucketName() string { return fmt.Sprintf("bench-%d", f.buckets) }

func (f *fill) registry(ctx context.Context, dir string) (base string, stop func(), err error) {
	return system.StartRegistry(ctx, io.Discard, dir)
}

func (f *fill) ours(ctx context.Context, source, base, dir string) error {
	env := f.system.SDKEnv(system.Regions[0])
	env["AWS_ENDPOINT_URL_S3"] = base
	// The default state is of the source, which has another address behind a proxy.
	return runTool(ctx, env, f.archeio, "mirror", "copy", "-source", host(source)+"/"+system.Prefix, "-bucket", f.bucketName(),
		"-state", filepath.Join(dir, "state"), "-parallel", f.parallel)
}

func (f *fill) crane(ctx context.Context, source, base, _ string) error {
	for _, repository := range f.published.Repositories {
		repository = "/" + system.Prefix + "/" + repository
		if err := runTool(ctx, nil, "crane", "copy", "--all-tags", "--jobs", f.parallel, host(source)+repository, host(base)+repository); err != nil {
			return err
		}
	}
	return nil
}

func (f *fill) skopeo(ctx context.Context, source, base, dir string) error {
	list := fmt.Sprintf("%q:\n  tls-verify: false\n  images:\n", host(source))
	for _, repository := range f.published.Repositories {
		list += fmt.Sprintf("    %s/%s: []\n", system.Prefix, repository)
	}
	file := filepath.Join(dir, "sync.yaml")
	if err := os.WriteFile(file, []byte(list), 0o600); err != nil {
		return err
	}
	return runTool(ctx, nil, "skopeo", "--insecure-policy", "sync", "--src", "yaml", "--dest", "docker", "--dest-tls-verify=false", file, host(base)+"/copy")
}

// runTool runs a program; env is added to the environment.
func runTool(ctx context.Context, env map[string]string, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = os.Environ()
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, cli.LastLine(string(out)))
	}
	return nil
}

func host(base string) string { return strings.TrimPrefix(base, "http://") }
