package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"archeio/infra/stage"
	"archeio/ranges"
	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/system"
)

const (
	pullInterval = 200 * time.Millisecond
	maxPulls     = 3000
)

// pulls are pulls at the same time as something else, by several clients in turns.
type pulls struct {
	stopped, ended chan struct{}
	clients        []namedClient
	pulled         []int // pulls of each client

	mu       sync.Mutex
	requests int
	failures []string
}

type namedClient struct {
	name string
	pull.Client
}

// startPulls starts pulls through the entry points that the stage has now, except for some.
// stop must be called.
func (c *checks) startPulls(ctx context.Context, except ...string) *pulls {
	p := &pulls{stopped: make(chan struct{}), ended: make(chan struct{})}
	add := func(name, registry string, setAddress func(*http.Request)) {
		client := c.client(registry, setAddress)
		client.Transport = p.watch(client.Transport)
		p.clients = append(p.clients, namedClient{name, client})
	}
	if c.distribution != "" && !slices.Contains(except, distribution) {
		add(newRegion+" through the distribution", c.distribution, viewer(newRegionClient()))
		add(regions[0]+" through the distribution", c.distribution, viewer(system.Address(ranges.AWS, regions[0])))
	}
	if c.settings.domain == domain && !slices.Contains(except, domain) {
		add("home through the domain", domain, viewer(homeClient))
	}
	if c.settings.front != stage.CloudFront && !slices.Contains(except, loadBalancer) {
		add("this machine through the load balancer", "alb."+domain, nil)
	}
	p.pulled = make([]int, len(p.clients))
	go p.run(ctx, c.image)
	return p
}

func (p *pulls) run(ctx context.Context, image *pull.Image) {
	defer close(p.ended)
	tick := time.NewTicker(pullInterval)
	defer tick.Stop()
	for n := range maxPulls {
		i := n % len(p.clients)
		if _, err := p.clients[i].Pull(ctx, image); err != nil && ctx.Err() == nil {
			p.fail("%s: %v", p.clients[i].name, err)
		}
		p.pulled[i]++
		select {
		case <-tick.C:
		case <-p.stopped:
			return
		case <-ctx.Done():
			return
		}
	}
}

// stop waits for the current pull and ends the pulls.
func (p *pulls) stop() {
	close(p.stopped)
	<-p.ended
}

// count returns the number of pulls, and the numbers by client in words.
func (p *pulls) count() (total int, byClient string) {
	var all []string
	for i, n := range p.pulled {
		total += n
		all = append(all, fmt.Sprintf("%d from %s", n, p.clients[i].name))
	}
	return total, strings.Join(all, ", ")
}

func (p *pulls) fail(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failures = append(p.failures, time.Now().Format(time.TimeOnly)+": "+fmt.Sprintf(format, args...))
}

// watch counts requests. A failed request is a failure even if the client retried it.
func (p *pulls) watch(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		resp, err := next.RoundTrip(r)
		p.mu.Lock()
		p.requests++
		p.mu.Unlock()
		switch {
		case err != nil && r.Context().Err() == nil:
			p.fail("%s %s: %v", r.Method, r.URL, err)
		case err == nil && resp.StatusCode >= 400:
			p.fail("%s %s: status %d", r.Method, r.URL, resp.StatusCode)
		}
		return resp, err
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
