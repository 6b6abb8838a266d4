package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"archeio/lambda/build"
	"archeio/lambda/config"
	"archeio/lambda/index"
	"archeio/ranges"
	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/system"
)

const (
	// roundTrip is how far the function is from the mirrors. The client is
	// near to them.
	roundTrip = 80 * time.Millisecond
	blobSize  = 64 << 10
)

// pulls compares pulls of an image, one blob after the other, by what the
// function knows of the mirrors.
func pulls(ctx context.Context, b *bench) error {
	checked, err := build.Bootstrap(ctx, "redirector")
	if err != nil {
		return err
	}
	unchecked, err := b.compile(ctx, "./scripts/prove/bench/unchecked")
	if err != nil {
		return err
	}
	s, err := system.Start(ctx, system.Options{Log: io.Discard})
	if err != nil {
		return err
	}
	defer s.Stop()
	p := &puller{blobs: b.pick(40, 4), near: map[string]string{}}
	if err := p.publish(ctx, s); err != nil {
		return err
	}
	env, err := p.move(s)
	defer p.close()
	if err != nil {
		return err
	}

	floor, err := launch(ctx, unchecked, env, io.Discard)
	if err != nil {
		return err
	}
	defer floor.stop()
	indexed, err := launch(ctx, checked, env, io.Discard)
	if err != nil {
		return err
	}
	defer indexed.stop()
	if err := indexed.awaitIndex(ctx); err != nil {
		return err
	}
	var ours *function // of this round
	defer func() {
		if ours != nil {
			ours.stop()
		}
	}()
	unasked := func(ctx context.Context) (float64, error) { return p.pull(ctx, floor) }
	cold, err := b.interleave(ctx, 3, 1, unasked, func(ctx context.Context) (float64, error) {
		if ours != nil {
			ours.stop()
		}
		if ours, err = launch(ctx, checked, withoutIndex(env), io.Discard); err != nil {
			return 0, err
		}
		return p.pull(ctx, ours)
	})
	if err != nil {
		return err
	}
	warm, err := b.interleave(ctx, 31, 3, unasked,
		func(ctx context.Context) (float64, error) { return p.pull(ctx, ours) },
		func(ctx context.Context) (float64, error) { return p.pull(ctx, indexed) },
	)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("pull of %d blobs", p.blobs)
	b.report.compare(what+", cold cache", "no existence check", ns, cold[1], cold[0], budget{})
	b.report.compare(what+", warm cache", "no existence check", ns, warm[1], warm[0], budget{})
	b.report.compare(what+", with the index", "no existence check", ns, warm[2], warm[0], ratioOf(1.02))
	return nil
}

// puller pulls an image that is in the upstream and in every mirror.
type puller struct {
	blobs int
	image v1.Image
	// near maps the address of a mirror, as the function has it, to the one
	// that the client reaches without the way.
	near map[string]string
	ways []*distance
}

func (p *puller) publish(ctx context.Context, s *system.System) (err error) {
	// The configuration is a blob as well.
	if p.image, err = random.Image(blobSize, int64(p.blobs-1)); err != nil {
		return err
	}
	upstream, err := url.Parse(s.Upstream)
	if err != nil {
		return err
	}
	ref, err := name.NewTag(upstream.Host+"/"+system.Prefix+"/bench:v1", name.Insecure)
	if err != nil {
		return err
	}
	if err := remote.Write(ref, p.image, remote.WithContext(ctx)); err != nil {
		return fmt.Errorf("pushing the image: %w", err)
	}
	entries := []uint64{42} // onlyInIndex
	if err := p.each(p.image, func(blob []byte) error {
		entry, _ := index.Prefix(fmt.Sprintf("sha256:%x", sha256.Sum256(blob)))
		entries = append(entries, entry)
		return s.PutBlob(ctx, blob)
	}); err != nil {
		return err
	}
	return p.putIndex(ctx, s, entries)
}

// putIndex puts an index where the function of the stack reads it.
func (p *puller) putIndex(ctx context.Context, s *system.System, entries []uint64) error {
	data, err := index.Encode(time.Now(), entries)
	if err != nil {
		return err
	}
	for _, bucket := range system.Buckets {
		if _, err := s.S3(system.Regions[0]).PutObject(ctx, &s3.PutObjectInput{
			Bucket: &bucket, Key: aws.String(config.BlobPrefix + index.Name), Body: bytes.NewReader(data),
		}); err != nil {
			return fmt.Errorf("putting the index into bucket %q: %w", bucket, err)
		}
	}
	return nil
}

// each reads every blob of an image to its end, which checks it against its
// digest.
func (p *puller) each(image v1.Image, use func([]byte) error) error {
	config, err := image.RawConfigFile()
	if err != nil {
		return err
	}
	if err := use(config); err != nil {
		return err
	}
	layers, err := image.Layers()
	if err != nil {
		return err
	}
	for _, layer := range layers {
		r, err := layer.Compressed()
		if err != nil {
			return err
		}
		blob, err := io.ReadAll(r)
		r.Close()
		if err != nil {
			return err
		}
		if err := use(blob); err != nil {
			return err
		}
	}
	return nil
}

// move puts the mirrors far away from the function, and answers its
// environment.
func (p *puller) move(s *system.System) (map[string]string, error) {
	env, overrides := maps.Clone(s.Env), ""
	for _, region := range system.Regions {
		mirror, err := url.Parse(s.MirrorURL(region))
		if err != nil {
			return nil, err
		}
		way, err := newDistance(mirror.Host, roundTrip)
		if err != nil {
			return nil, err
		}
		p.ways = append(p.ways, way)
		p.near[way.address()] = mirror.Host
		if overrides != "" {
			overrides += ","
		}
		overrides += region + "=http://" + way.address() + mirror.Path
	}
	env["MIRROR_URL_OVERRIDES"] = overrides
	return env, nil
}

func (p *puller) close() {
	for _, way := range p.ways {
		way.close()
	}
}

// pull pulls the image through a load balancer before the function, as a
// client in AWS, and answers how long that took. Every blob must come from a
// mirror.
func (p *puller) pull(ctx context.Context, f *function) (float64, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	server := &http.Server{Handler: entrypoint.ALB(f.api.Invoke, true)}
	go server.Serve(l)
	defer server.Close()
	c := &client{registry: l.Addr().String(), address: system.Address(ranges.AWS, "eu-west-3").String()}
	c.transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if near := p.near[address]; near != "" {
			address = near
		}
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	defer c.transport.CloseIdleConnections()
	ref, err := name.NewTag(c.registry+"/bench:v1", name.Insecure)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	image, err := remote.Image(ref, remote.WithContext(ctx), remote.WithTransport(c), remote.WithJobs(1))
	if err != nil {
		return 0, err
	}
	if err := p.each(image, func([]byte) error { return nil }); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if n := int(c.mirrored.Load()); n != p.blobs {
		return 0, fmt.Errorf("%d of %d blobs came from a mirror", n, p.blobs)
	}
	return float64(took), nil
}

// client sends requests to the registry as one at an address.
type client struct {
	registry, address string
	transport         http.Transport
	mirrored          atomic.Int64
}

func (c *client) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Host == c.registry {
		r = r.Clone(r.Context())
		r.Header.Set(entrypoint.ClientAddressHeader, c.address)
	}
	resp, err := c.transport.RoundTrip(r)
	if err == nil && resp.Header.Get("X-Redirect-Reason") == "nearest-region" {
		c.mirrored.Add(1)
	}
	return resp, err
}
