package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/system"
)

// The settings of the function in a lab. They are shorter than the defaults, so
// that what they bound is seen in seconds.
const (
	labInterval = time.Second
	labCheck    = 300 * time.Millisecond
)

// lab is a function, its front and what is before the servers of one trial, so
// that several can go on side by side. Its client is in AWS us-east-1.
type lab struct {
	near, far, check, upstream *server // the mirrors, the default mirror's bucket
	front                      *server
	env                        map[string]string // the function's
	api                        *runtimeapi.API
	processes                  []*runtimeapi.Process
	blobs                      []string // that all mirrors have
	transport                  *http.Transport
	// patience is how long its client waits for a blob.
	patience time.Duration
	stop     func()
}

// lab starts one with a front of this shape; env is laid over the function's
// environment.
func (w *world) lab(ctx context.Context, images *images, shape string, processes int, env map[string]string) (l *lab, err error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	var servers []*server
	stop := func() {}
	end := func() { // an error makes l nil
		transport.CloseIdleConnections()
		for _, s := range servers {
			s.down()
		}
		if stop != nil { // it is nil where no function started
			stop()
		}
	}
	l = &lab{transport: transport, patience: 5 * time.Second, stop: end}
	defer func() {
		if err != nil {
			end()
		}
	}()
	before := func(name, target string) (*server, error) {
		p := &proxy{}
		if err := p.to(target); err != nil {
			return nil, err
		}
		s, err := listenAs(name, nil, p)
		if err == nil {
			servers = append(servers, s)
		}
		return s, err
	}
	endpoint := func(region string) string {
		return strings.TrimSuffix(w.stack.MirrorURL(region), "/mirror-"+region)
	}
	if l.near, err = before("near", endpoint("us-east-1")); err != nil {
		return nil, err
	}
	if l.far, err = before("far", endpoint("eu-central-1")); err != nil {
		return nil, err
	}
	if l.check, err = before("check", w.bucket.String()); err != nil {
		return nil, err
	}
	if l.upstream, err = before("upstream", w.stack.Upstream); err != nil {
		return nil, err
	}
	all := maps.Clone(w.stack.Env)
	maps.Copy(all, map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": l.upstream.base,
		"DEFAULT_AWS_BASE_URL":       w.stack.Distribution,
		"DEFAULT_MIRROR_CHECK_URL":   l.check.base,
		"MIRROR_URL_OVERRIDES":       "us-east-1=" + l.near.base + "/mirror-us-east-1,eu-central-1=" + l.far.base + "/mirror-eu-central-1",
		"MIRROR_HEALTH_INTERVAL":     labInterval.String(),
		"MIRROR_CHECK_TIMEOUT":       labCheck.String(),
		"MIRROR_INDEX_REFRESH":       "none",
	})
	if shape == distribution { // as deployed: the default mirror is the host that was asked
		all["DEFAULT_AWS_BASE_URL"] = "/"
	}
	maps.Copy(all, env)
	l.env = all
	if l.api, l.processes, stop, err = w.ownFunctions(ctx, processes, all); err != nil {
		return nil, err
	}
	address := netip.Addr{}
	for _, c := range system.Clients() {
		if c.Name == "AWS us-east-1" {
			address = c.Addr
		}
	}
	if l.front, err = listenAs(shape, nil, w.front(shape, l.api.Invoke, address)); err != nil {
		return nil, err
	}
	servers = append(servers, l.front)
	l.blobs = texts(images.single)
	return l, nil
}

// texts are the blobs of an image that all mirrors have.
func texts(p *published) (digests []string) {
	for _, b := range p.all {
		if !p.lacking[b.String()] {
			digests = append(digests, b.String())
		}
	}
	return digests
}

// sample is one download of a blob, as its client saw it.
type sample struct {
	at     time.Time
	reason string
	took   time.Duration // until the front had answered
	err    error
}

// get downloads one blob.
func (l *lab) get(ctx context.Context, digest string) (s sample) {
	s.at = time.Now()
	ctx, cancel := context.WithTimeout(ctx, 12*time.Second)
	defer cancel()
	ask := func(ctx context.Context, address string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
		if err != nil {
			return nil, err
		}
		return l.transport.RoundTrip(r)
	}
	resp, err := ask(ctx, l.front.base+"/v2/"+singleRepo+"/blobs/"+digest)
	s.took = time.Since(s.at)
	if err != nil {
		s.err = err
		return s
	}
	resp.Body.Close()
	s.reason = resp.Header.Get("X-Redirect-Reason")
	var to *url.URL
	if to, s.err = resp.Location(); s.err != nil {
		s.err = fmt.Errorf("the front answers %s", resp.Status)
		return s
	}
	ctx, cancel = context.WithTimeout(ctx, l.patience)
	defer cancel()
	if resp, s.err = ask(ctx, to.String()); s.err != nil {
		return s
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		s.err = err
	case resp.StatusCode != http.StatusOK:
		s.err = fmt.Errorf("%s", resp.Status)
	default:
		s.err = hashes(body, digest)
	}
	return s
}

// watch downloads one blob after the other until enough says so of what was
// seen so far, at most for limit.
func (l *lab) watch(ctx context.Context, pace, limit time.Duration, enough func([]sample) bool) []sample {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	var seen []sample
	for i := 0; ; i++ {
		s := l.get(ctx, l.blobs[i%len(l.blobs)])
		if ctx.Err() != nil {
			return seen // its end is ours, and no finding
		}
		if seen = append(seen, s); enough(seen) {
			return seen
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return seen
		}
	}
}

// last is the last of samples; there are none where all of it was ended.
func last(samples []sample) (s sample) {
	if len(samples) > 0 {
		s = samples[len(samples)-1]
	}
	return s
}

// times is an end after n downloads.
func times(n int) func([]sample) bool { return func(s []sample) bool { return len(s) >= n } }

// summary of samples.
type summary struct {
	good, bad int
	reasons   map[string]int
	slowest   time.Duration
	lastBad   time.Time
	err       error
}

func sum(samples []sample) (s summary) {
	s.reasons = map[string]int{}
	for _, x := range samples {
		s.slowest = max(s.slowest, x.took)
		if x.err != nil {
			s.bad++
			s.lastBad, s.err = x.at, x.err
			continue
		}
		s.good++
		s.reasons[x.reason]++
	}
	return s
}

// mostly tells whether the reason was this one for all of n, or for nine of ten
// and the upstream served the others: a check of the default mirror may take too
// long on a busy machine. What failed has no reason.
func (s summary) mostly(reason string, n int) bool {
	return s.reasons[reason]+s.reasons["mirror-unavailable"] == n && s.reasons[reason] >= n*9/10
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1fs", d.Seconds()) }
