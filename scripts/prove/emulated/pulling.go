package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"archeio/ranges"
	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/system"
)

const (
	// pullPause is between two pulls that go on meanwhile, of which there are
	// mostPulls at most.
	pullPause, mostPulls = 200 * time.Millisecond, 3000
)

// pulling are pulls that go on while something else happens, one client after
// the other through both fronts.
type pulling struct {
	stopped, ended chan struct{}
	client         []puller
	pulls          []int // of each client

	mu       sync.Mutex
	requests int
	failed   []string
}

type puller struct {
	name string
	pull.Client
}

// startPulling begins with the first pull at once.
func (c *checks) startPulling(ctx context.Context) *pulling {
	p := &pulling{stopped: make(chan struct{}), ended: make(chan struct{})}
	add := func(name, registry string, play func(*http.Request)) {
		p.client = append(p.client, puller{name, pull.Client{Registry: registry, Secure: true, Transport: p.watch(c.network), SetAddress: play}})
	}
	add(newRegion+" through the distribution", c.distribution, as(newClient()))
	add(regions[0]+" through the distribution", c.distribution, as(system.Address(ranges.AWS, regions[0])))
	add("home through the distribution", c.distribution, as(netip.MustParseAddr("203.0.113.7")))
	add("this machine through the load balancer", c.stage.BalancerDomain(), nil)
	p.pulls = make([]int, len(p.client))
	go p.run(ctx, c.image)
	return p
}

func (p *pulling) run(ctx context.Context, image *pull.Image) {
	defer close(p.ended)
	again := time.NewTicker(pullPause)
	defer again.Stop()
	for i := range mostPulls {
		who := i % len(p.client)
		if _, err := p.client[who].Pull(ctx, image); err != nil && ctx.Err() == nil {
			p.fail("%s: %s: %v", time.Now().Format(time.TimeOnly), p.client[who].name, err)
		}
		p.pulls[who]++
		select {
		case <-again.C:
		case <-p.stopped:
			return
		case <-ctx.Done():
			return
		}
	}
}

// stop lets the pull that goes on come to its end.
func (p *pulling) stop() {
	close(p.stopped)
	<-p.ended
}

// done is how many pulls there were, in all and by client.
func (p *pulling) done() (total int, by string) {
	for i, n := range p.pulls {
		total += n
		by += fmt.Sprintf(", %d from %s", n, p.client[i].name)
	}
	return total, by[2:]
}

func (p *pulling) fail(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failed = append(p.failed, fmt.Sprintf(format, args...))
}

// watch counts requests. One that failed is a failure also if the client tried
// again and got what it wanted.
func (p *pulling) watch(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		p.mu.Lock()
		p.requests++
		p.mu.Unlock()
		switch {
		case err != nil && r.Context().Err() == nil:
			p.fail("%s: %s %s: %v", time.Now().Format(time.TimeOnly), r.Method, r.URL, err)
		case err == nil && resp.StatusCode >= 400:
			p.fail("%s: %s %s: status %d", time.Now().Format(time.TimeOnly), r.Method, r.URL, resp.StatusCode)
		}
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
