package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"archeio/lambda/build"
	"archeio/ranges"
	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/system"
)

const (
	// roundTrip is the round-trip time between the function and the mirrors. The
	// client is next to them.
	roundTrip = 80 * time.Millisecond
	blobSize  = 64 << 10
)

// measurePull compares pulls of an image, one blob after the other: with a cold cache,
// a warm cache, an index, and without existence checks.
func measurePull(ctx context.Context, b *bench) error {
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
	env, err := p.moveAway(s)
	defer p.close()
	if err != nil {
		return err
	}

	floor, err := launch(ctx, unchecked, env, io.Discard)
	if err != nil {
		return err
	}
	defer floor.stop()
	metrics := &seen{word: []byte(`"loaded"`), found: make(chan struct{})}
	indexed, err := launch(ctx, checked, env, metrics)
	if err != nil {
		return err
	}
	defer indexed.stop()
	if err := p.awaitIndex(ctx, indexed, metrics); err != nil {
		return err
	}
	var ours *function // of this round
	defer func() {
		if ours != nil {
			ours.stop()
		}
	}()
	withoutChecks := func(ctx context.Context) (float64, error) { return p.pull(ctx, floor) }
	cold, err := b.interleave(ctx, 3, 1, withoutChecks, func(ctx context.Context) (float64, error) {
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
	warm, err := b.interleave(ctx, 31, 3, withoutChecks,
		func(ctx context.Context) (float64, error) { return p.pull(ctx, ours) },
		func(ctx context.Context) (float64, error) { return p.pull(ctx, indexed) },
	)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("pull of %d blobs", p.blobs)
	const against = "no existence checks"
	b.report.compare(what+", cold cache", against, ns, cold[1], cold[0], budget{})
	b.report.compare(what+", warm cache", against, ns, warm[1], warm[0], budget{})
	b.report.compare(what+", index", against, ns, warm[2], warm[0], ratioOf(1.02))
	return nil
}

// seen is a writer that waits for a word.
type seen struct {
	word  []byte
	found chan struct{}
	once  sync.Once
}

func (s *seen) Write(p []byte) (int, error) {
	if bytes.Contains(p, s.word) {
		s.once.Do(func() { close(s.found) })
	}
	return len(p), nil
}

// awaitIndex pulls until the function's metrics say that it has loaded the index.
func (p *puller) awaitIndex(ctx context.Context, f *function, metrics *seen) error {
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); {
		if _, err := p.pull(ctx, f); err != nil {
			return err
		}
		select {
		case <-metrics.found:
			return nil
		case <-time.After(100 * time.Millisecond):
		}
	}
	return errors.New("the function did not load the index within 30s")
}

// puller pulls an image that is in the upstream and in every mirror.
type puller struct {
	blobs int
	image v1.Image
	// near maps the address of a mirror in the function's environment to the one
	// without the proxy, which the client uses.
	near    map[string]string
	proxies []*distantProxy
}

// moveAway puts the mirrors far away from the function, and returns its environment.
func (p *puller) moveAway(s *system.System) (map[string]string, error) {
	env, overrides := maps.Clone(s.Env), ""
	for _, region := range system.Regions {
		mirror, err := url.Parse(s.MirrorURL(region))
		if err != nil {
			return nil, err
		}
		proxy, err := newDistantProxy(mirror.Host, roundTrip)
		if err != nil {
			return nil, err
		}
		p.proxies = append(p.proxies, proxy)
		p.near[proxy.address()] = mirror.Host
		if overrides != "" {
			overrides += ","
		}
		overrides += region + "=http://" + proxy.address() + mirror.Path
	}
	env["MIRROR_URL_OVERRIDES"] = overrides
	return env, nil
}

func (p *puller) close() {
	for _, proxy := range p.proxies {
		proxy.close()
	}
}

// pull pulls the image through a load balancer as a client in AWS, and returns how
// long that took. Every blob must come from a mirror.
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
	if err := eachBlob(image, func([]byte) error { return nil }); err != nil {
		return 0, err
	}
	took := time.Since(began)
	if n := int(c.mirrored.Load()); n != p.blobs {
		return 0, fmt.Errorf("%d of %d blobs came from a mirror", n, p.blobs)
	}
	return float64(took), nil
}

// client sends requests to the registry as a client with an address.
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
