package blobs

import (
	"context"
	"hash/maphash"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

const (
	// breakAfter failures in a row an origin is left out for openFor; then one
	// check decides whether it stays out.
	breakAfter = 5
	openFor    = 30 * time.Second

	// retries is how often a request is made anew that another one has spoilt.
	retries = 3
)

// accept is what a registry is asked for: without it some answer 404 for a
// manifest whose type the client does not say it knows.
const accept = "application/vnd.oci.image.manifest.v1+json, " +
	"application/vnd.oci.image.index.v1+json, " +
	"application/vnd.docker.distribution.manifest.v2+json, " +
	"application/vnd.docker.distribution.manifest.list.v2+json, " +
	"application/vnd.docker.distribution.manifest.v1+prettyjws, " +
	"*/*"

// Origin is one server that is asked, with what is known of its life.
type Origin struct {
	checker *Checker
	name    string
	base    string
	read    Reading
	indexed bool
	seed    maphash.Seed

	mu sync.Mutex
	// answeredAt is when it last said something, failures how often in a row
	// it did not since.
	answeredAt time.Time
	failures   int
	// openUntil is when the breaker lets one check through, trial that this
	// check is under way.
	openUntil time.Time
	trial     bool
	// suspect: it said nothing for a whole interval and then failed. What is
	// remembered of it does not count.
	suspect bool
	// probe is the check beside an answer from memory, nil if none is under
	// way. One that was cut off stays until the origin answers.
	probe *probe
}

// probe holds the context of the invocation that a check belongs to.
type probe struct{ invocation context.Context }

// open tells whether the breaker keeps requests from asking.
func (o *Origin) open(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failures >= breakAfter && (now.Before(o.openUntil) || o.trial)
}

// admit lets a check through; while the breaker is half-open, only one. It may
// have opened since open was asked.
func (o *Origin) admit(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failures < breakAfter {
		return true
	}
	if o.trial || now.Before(o.openUntil) {
		return false
	}
	o.trial = true
	return true
}

// trusted tells whether what is remembered of the origin counts, and sees to
// it that its life is checked when it is time.
func (o *Origin) trusted(ctx context.Context, now time.Time, path string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.suspect || o.failures >= breakAfter:
		return false
	case now.Sub(o.answeredAt) < o.checker.options.HealthInterval:
		return true
	case o.probe == nil:
		o.probe = &probe{ctx}
		go o.watch(o.probe, strings.Clone(path))
		return true
	case o.probe.invocation.Err() != nil:
		// The check beside an earlier answer was cut off. If that went on,
		// nobody would ever notice a dead origin; so this request waits, and
		// so do those behind it until a check tells something.
		return false
	}
	return true
}

// watch is the check beside an answer from memory.
func (o *Origin) watch(p *probe, path string) {
	c := o.checker
	_, cutOff := c.check(p.invocation, c.options.Now().Add(requestBudget), question{o, path})
	o.mu.Lock()
	defer o.mu.Unlock()
	if !cutOff && o.probe == p {
		o.probe = nil // otherwise it stays, and tells the next request so
	}
}

func (o *Origin) answered(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.answeredAt, o.failures, o.trial, o.suspect = now, 0, false, false
	if o.probe != nil && o.probe.invocation.Err() != nil {
		o.probe = nil
	}
}

func (o *Origin) failed(now time.Time, interval time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failures++
	o.trial = false
	if o.failures >= breakAfter {
		o.openUntil = now.Add(openFor)
	}
	if now.Sub(o.answeredAt) >= interval {
		o.suspect = true
	}
}

// abandon takes back admit: the check counts neither way.
func (o *Origin) abandon() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trial = false
}

func (o *Origin) head(ctx context.Context, transport http.RoundTripper, path string) Answer {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, o.base+path, nil)
	if err != nil {
		return Unknown
	}
	req.Header.Set("Accept", accept)
	// The transport itself, not a client: a redirect is an answer here.
	resp, err := send(transport, req)
	if err != nil {
		return Unknown
	}
	// Closing cuts off whatever a broken server sends after its headers.
	_ = resp.Body.Close()
	return o.read(resp.StatusCode)
}

// send makes a request, and makes it anew when another one has spoilt it: the
// transport gives a connection back before it hands over an answer without a body,
// and a request that is cut off just then closes what others use by now. They get
// its error, though their own time is not over.
// https://go.dev/issue/41600 describes it; Go 1.26 still does so.
func send(transport http.RoundTripper, r *http.Request) (*http.Response, error) {
	resp, err := transport.RoundTrip(r)
	for n := 0; n < retries && r.Context().Err() == nil && (err == context.Canceled || err == context.DeadlineExceeded); n++ {
		resp, err = transport.RoundTrip(r)
	}
	return resp, err
}

func newTransport() http.RoundTripper {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: requestBudget, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      false,
		MaxIdleConnsPerHost:    16,
		MaxIdleConns:           64,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    requestBudget,
		ResponseHeaderTimeout:  requestBudget,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
