package mirror

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/config"
	"archeio/lambda/copier"
	"archeio/lambda/registry"
	"archeio/scripts/lab/system"
)

// moment is a moment at which the program is killed.
type moment struct {
	name string
	// at arranges it: kill ends the process, done is closed after it has ended.
	at func(kill func(), done <-chan struct{})
}

// TestKilled kills the program at random moments while the registry has faults. No
// incomplete blob is ever visible, and in the end all blobs are there.
func TestKilled(t *testing.T) {
	t.Parallel()
	s := start(t, "killed")
	for i, name := range []string{"without-state", "state-in-a-folder", "state-in-a-bucket"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits more than it works
			k := newKiller(t, s, name, uint64(i)+1)
			for j := range 6 {
				k.push(t, fmt.Sprintf("team-%d/image:v1", j), 40_000, 4)
			}
			k.push(t, "large:v1", 2<<20, 2)
			const kills = 8
			for n := 0; k.kills < kills; n++ {
				if n == 2*kills {
					t.Fatalf("only %d kills", k.kills)
				}
				// Something new each time, so that every moment can be reached.
				k.push(t, fmt.Sprintf("new-%d:v1", n), 40_000, 4)
				k.round(t, k.moment(n))
			}
			runs := k.finish(t)
			for _, bucket := range k.buckets {
				if have := k.whole(t, bucket); len(have) != len(k.blobs) {
					t.Errorf("%s has %d blobs, the images have %d", bucket, len(have), len(k.blobs))
				}
			}
			k.cached(t)
			k.report(t, runs)
		})
	}
}

// cacheFolder is where a state has the manifest cache.
var cacheFolder = "manifests"

// killer runs the program and kills it.
type killer struct {
	*servers
	random           *rand.Rand
	faults           *faulty
	registry, mirror *gate
	buckets          []string
	state            copier.State
	folder           string // of the state, if it is one
	endpoint         string // of S3, behind a proxy
	args             []string
	hashed           map[string]bool // bucket, key and ETag
	kills            int
	moments          []string
}

func newKiller(t *testing.T, s *servers, name string, seed uint64) *killer {
	k := &killer{random: rand.New(rand.NewPCG(seed, 0)), faults: newFaulty(s.Upstream, seed), hashed: map[string]bool{}}
	// It has its own part of the registry.
	k.servers = &servers{s.System, s.source + "/" + name, s.client, map[string]bool{}}
	k.buckets = []string{name + "-primary", name + "-replica"}
	s.create(t, append(k.buckets, name)...)
	k.registry = &gate{next: k.faults}
	k.mirror = &gate{next: passing(t, endpoint(s.System, system.Regions[0]))}
	k.endpoint = serveHTTP(t, k.mirror)
	source := strings.Replace(k.source, strings.TrimPrefix(s.Upstream, "http://"), strings.TrimPrefix(serveHTTP(t, k.registry), "http://"), 1)
	k.args = []string{"copy", "-source", source, "-bucket", k.buckets[0], "-bucket", k.buckets[1], "-json"}
	switch name {
	case "without-state":
		k.args = append(k.args, "-state", "")
	case "state-in-a-folder":
		k.folder = t.TempDir()
		k.state = copier.Folder(k.folder)
		k.args = append(k.args, "-state", k.folder)
		// A temporary file of an earlier kill, and a large cache, so that a kill
		// while it is written is likely.
		if err := os.MkdirAll(filepath.Join(k.folder, cacheFolder), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(k.folder, cacheFolder, ".tmp-1"), []byte{0x1f, 0x8b, 8, 0}, 0o600); err != nil {
			t.Fatal(err)
		}
		m := copier.NewShellCache("")
		for range 5000 {
			m.Put(k.digest(), &registry.Contents{Blobs: []registry.Blob{{Digest: k.digest(), Size: 1}, {Digest: k.digest(), Size: 2}}})
		}
		if err := m.SaveShell(t.Context(), k.state); err != nil {
			t.Fatal(err)
		}
	case "state-in-a-bucket":
		k.state = copier.StateBucket{Name: name, Client: s.client}
		k.args = append(k.args, "-state", "s3://"+name)
	}
	return k
}

func (k *killer) digest() string {
	return fmt.Sprintf("sha256:%016x%016x%016x%016x", k.random.Uint64(), k.random.Uint64(), k.random.Uint64(), k.random.Uint64())
}

// child returns a process behind the proxies.
func (k *killer) child(t *testing.T, args []string) (cmd *exec.Cmd, stdout, stderr *bytes.Buffer) {
	t.Helper()
	k.faults.reset()
	return child(t, []string{"AWS_ENDPOINT_URL_S3=" + k.endpoint}, args...)
}

// moment picks a moment: early ones first, because a run that gets far leaves less
// to do.
func (k *killer) moment(round int) moment {
	n := 1 + k.random.IntN(4)
	switch {
	case round < 2 && k.folder != "":
		return moment{"writing-the-state", k.onAside}
	case round < 2 && k.state != nil:
		return moment{"writing-the-state", func(kill func(), _ <-chan struct{}) { k.mirror.set(1, isStatePut, kill) }}
	case round >= 5 && round%2 == 1:
		return moment{fmt.Sprintf("copy-%d-between-buckets", n), func(kill func(), _ <-chan struct{}) { k.mirror.set(n, isBucketCopy, kill) }}
	}
	switch k.random.IntN(3) {
	case 0:
		n *= 10
		return moment{fmt.Sprintf("request-%d", n), func(kill func(), _ <-chan struct{}) { k.registry.set(n, isAny, kill) }}
	case 1:
		return moment{fmt.Sprintf("within-blob-%d", n), func(kill func(), _ <-chan struct{}) { k.registry.set(n, isBlob, kill) }}
	default:
		return moment{fmt.Sprintf("within-put-%d", n), func(kill func(), _ <-chan struct{}) { k.mirror.set(n, isPut, kill) }}
	}
}

// asides returns the number of temporary files that kills have left.
func (k *killer) asides() int {
	dir, err := os.Open(filepath.Join(k.folder, cacheFolder))
	if err != nil {
		return 0
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	return len(names) - 1
}

// onAside kills as soon as there is a new temporary file. It polls without a pause,
// because the file exists for a moment only; a run that is too quick is not
// killed.
func (k *killer) onAside(kill func(), done <-chan struct{}) {
	before := k.asides()
	go func() {
		for k.asides() <= before {
			select {
			case <-done:
				return
			default:
			}
		}
		kill()
	}()
}

// round runs the program until a moment, and checks what it leaves.
func (k *killer) round(t *testing.T, m moment) {
	t.Helper()
	cmd, _, stderr := k.child(t, k.args)
	done := make(chan struct{})
	started := make(chan struct{})
	m.at(func() { <-started; cmd.Process.Kill() }, done)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	err := cmd.Wait()
	close(done)
	k.registry.set(0, nil, nil)
	k.mirror.set(0, nil, nil)
	switch code := code(t, err); code {
	case -1:
		k.kills++
		k.moments = append(k.moments, m.name)
	case 0, 1: // it finished before, or a fault was too much
		k.moments = append(k.moments, "("+m.name+")")
	default:
		t.Errorf("%s: exit code %d: %s", m.name, code, stderr)
	}
	for _, bucket := range k.buckets {
		k.whole(t, bucket)
	}
	k.readable(t)
}

// whole hashes the blobs of a bucket that were not hashed yet, and returns all.
func (k *killer) whole(t *testing.T, bucket string) map[string]bool {
	t.Helper()
	have := map[string]bool{}
	pages := s3.NewListObjectsV2Paginator(k.client, &s3.ListObjectsV2Input{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			key := aws.ToString(o.Key)
			digest := strings.TrimPrefix(key, config.BlobPrefix)
			if !k.blobs[digest] {
				t.Errorf("%s: unknown key %s", bucket, key)
			}
			have[digest] = true
			version := bucket + key + aws.ToString(o.ETag)
			if k.hashed[version] {
				continue
			}
			k.hashed[version] = true
			object, err := k.client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			hash := sha256.New()
			n, err := io.Copy(hash, object.Body)
			object.Body.Close()
			if got := "sha256:" + hex.EncodeToString(hash.Sum(nil)); err != nil || got != digest {
				t.Errorf("%s: %s hashes to %s after %d bytes (%v)", bucket, key, got, n, err)
			}
		}
	}
	return have
}

// readable checks that the state can be read.
func (k *killer) readable(t *testing.T) {
	t.Helper()
	if k.state == nil {
		return
	}
	m := copier.NewShellCache("")
	_, err := copier.LoadWithdrawn(t.Context(), k.state)
	if err := errors.Join(err, m.LoadShell(t.Context(), k.state, func(text string) { t.Error(text) })); err != nil {
		t.Errorf("the state is damaged: %v", err)
	}
}

// finish runs the program, with the faults, until it reports that nothing is missing.
func (k *killer) finish(t *testing.T) (runs int) {
	t.Helper()
	for runs = 1; ; runs++ {
		cmd, stdout, stderr := k.child(t, k.args)
		code := code(t, cmd.Run())
		if code == 0 {
			return runs
		}
		if runs == 20 {
			t.Fatalf("incomplete after %d runs: exit code %d: %s%s", runs, code, stdout, stderr)
		}
	}
}

// cached checks that the manifest cache has all that was published, so that no
// manifest is fetched again.
func (k *killer) cached(t *testing.T) {
	t.Helper()
	if k.state == nil {
		return
	}
	args := append([]string{"plan"}, k.args[1:]...)
	args[2] = k.source // without faults
	cmd, stdout, stderr := k.child(t, args)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	var got copyReport
	if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Fetched != 0 || got.Blobs != len(k.blobs) || got.Buckets[0].Missing+got.Buckets[1].Missing != 0 {
		t.Errorf("a plan with the state reports %+v, want nothing fetched or missing of %d blobs", got, len(k.blobs))
	}
}

func (k *killer) report(t *testing.T, runs int) {
	t.Helper()
	k.faults.mu.Lock()
	defer k.faults.mu.Unlock()
	total := 0
	var kinds []string
	for _, kind := range slices.Concat(faultKinds, bodyFaults) {
		total += k.faults.faults[kind]
		kinds = append(kinds, fmt.Sprintf("%d %s", k.faults.faults[kind], kind))
		if k.faults.faults[kind] == 0 {
			t.Errorf("there was no fault %q", kind)
		}
	}
	if k.folder != "" {
		t.Logf("%d kills were in the middle of writing the state", k.asides()-1)
	}
	t.Logf("%d kills (%s), complete after %d more runs; %d faults: %s", k.kills, strings.Join(k.moments, ", "), runs, total, strings.Join(kinds, ", "))
	if len(k.faults.early) > 0 {
		t.Errorf("requested again before Retry-After had passed: %s", k.faults.early)
	}
}
