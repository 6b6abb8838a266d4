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
	"sync/atomic"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

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

// measurePull compares pulls of an image, one blob after the other: the first pull of
// a process with an index and without, and later ones, from the cache and with the
// index.
func measurePull(ctx context.Context, b *bench) error {
	checked, err := b.redirector(ctx)
	if err != nil {
		return err
	}
	peer, err := b.compile(ctx, peerProgram)
	if err != nil {
		return err
	}
	s, err := system.Start(ctx, system.Options{Log: io.Discard})
	if err != nil {
		return err
	}
	defer s.Stop()
	p := &puller{blobs: b.pick(40, 8), near: map[string]string{}}
	if err := p.publish(ctx, s); err != nil {
		return err
	}
	env, err := p.moveAway(s)
	defer p.close()
	if err != nil {
		return err
	}
	env["PEER"] = "unchecked"
	floor, err := launch(ctx, peer, env, io.Discard)
	if err != nil {
		return err
	}
	defer floor.stop()
	plain, indexed := &restarted{binary: checked, env: withoutIndex(env)}, &restarted{binary: checked, env: env}
	defer plain.stop()
	defer indexed.stop()
	withoutChecks := func(ctx context.Context) (float64, error) { return p.pull(ctx, floor) }
	firstOf := func(r *restarted) side {
		return func(ctx context.Context) (float64, error) {
			if err := r.restart(ctx); err != nil {
				return 0, err
			}
			return p.pull(ctx, r.function)
		}
	}
	first, err := b.interleave(ctx, 3, 1, withoutChecks, firstOf(plain), firstOf(indexed))
	if err != nil {
		return err
	}
	if err := p.awaitIndex(ctx, indexed.function); err != nil {
		return err
	}
	later, err := b.interleave(ctx, 31, 3, withoutChecks,
		func(ctx context.Context) (float64, error) { return p.pull(ctx, plain.function) },
		func(ctx context.Context) (float64, error) { return p.pull(ctx, indexed.function) },
	)
	if err != nil {
		return err
	}
	what := fmt.Sprintf("pull of %d blobs", p.blobs)
	const against = "no existence checks"
	b.report.compare(what+", first of a process", against, ns, first[1], first[0], budget{})
	b.report.compare(what+", first of a process, index", against, ns, first[2], first[0], budget{})
	b.report.compare(what+", cached", against, ns, later[1], later[0], budget{})
	b.report.compare(what+", index loaded", against, ns, later[2], later[0], ratioOf(1.02))
	return nil
}

// restarted is a function that is started again for each measurement.
type restarted struct {
	binary   string
	env      map[string]string
	function *function // nil before the first start
}

func (r *restarted) restart(ctx context.Context) (err error) {
	r.stop()
	r.function, err = launch(ctx, r.binary, r.env, io.Discard)
	return err
}

func (r *restarted) stop() {
	if r.function != nil {
		r.function.stop()
		r.function = nil
	}
}

// awaitIndex requests blobs, each once, until the function knows one from the index:
// it redirects to the mirror in less than a round trip to it. The mirror has then
// confirmed the index, which it does once.
func (p *puller) awaitIndex(ctx context.Context, f *function) error {
	for _, digest := range p.probes {
		began := time.Now()
		out, err := f.api.Invoke(ctx, blobEvent("bench", digest, system.Address(ranges.AWS, "eu-west-3").String()))
		if err != nil {
			return err
		}
		if time.Since(began) < roundTrip && bytes.Contains(out, []byte("nearest-region")) {
			return nil
		}
	}
	return errors.New("the function does not use the index: each of its requests waited for a check")
}

// puller pulls an image that is in the upstream and in every mirror.
type puller struct {
	blobs int
	image v1.Image
	// probes are digests of blobs that are in every mirror and not in the image.
	probes []string
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
