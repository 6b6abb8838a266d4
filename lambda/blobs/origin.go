package blobs

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"time"
)

const (
	// After breakAfter failures in a row the breaker of an origin opens for
	// openFor; then the next check decides whether it closes.
	breakAfter = 5
	openFor    = 30 * time.Second
)

// Origin is a server that is checked, with the state of its health.
type Origin struct {
	checker *Checker
	name    string
	base    string
	read    StatusReader
	indexed bool
	seed    maphash.Seed

	mu sync.Mutex
	// respondedAt is the time of its last response that was an answer, failures
	// the number of failures since.
	respondedAt time.Time
	failures    int
	// openUntil is when the breaker lets one check through, trial whether that
	// check is in progress.
	openUntil time.Time
	trial     bool
	// stale is whether it did not respond for a whole interval and then failed.
	// Cached answers do not count then.
	stale bool
	// probe is the background check, nil if none is in progress. One that was
	// interrupted stays until the origin responds.
	probe *probe
}

// probe is a background check, with the context of its invocation.
type probe struct{ invocation context.Context }

// open reports whether the breaker is open.
func (o *Origin) open(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.failures >= breakAfter && (now.Before(o.openUntil) || o.trial)
}

// admit reports whether a check may start, which is only one while the breaker is
// half-open. It may have opened since the call of open.
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

// cacheUsable reports whether cached answers of the origin and those of the index
// count. It starts the background check when that is due.
func (o *Origin) cacheUsable(ctx context.Context, now time.Time, path string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.stale || o.failures >= breakAfter:
		return false
	case now.Sub(o.respondedAt) < o.checker.options.HealthInterval:
		return true
	case o.probe == nil:
		o.probe = &probe{ctx}
		go o.run(o.probe, strings.Clone(path))
		return true
	case o.probe.invocation.Err() != nil:
		// The end of its invocation interrupted the background check. If that
		// happened every time, an unavailable origin would stay unnoticed. So
		// this request waits for its own check, as do those after it until a
		// check has a result.
		return false
	}
	return true
}

// run runs a background check.
func (o *Origin) run(p *probe, path string) {
	c := o.checker
	_, interrupted := c.check(p.invocation, c.options.Now().Add(requestBudget), object{o, path})
	o.mu.Lock()
	defer o.mu.Unlock()
	if !interrupted && o.probe == p {
		o.probe = nil // else it stays for cacheUsable to see
	}
}

// succeeded records a response that was an answer.
func (o *Origin) succeeded(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.respondedAt, o.failures, o.trial, o.stale = now, 0, false, false
	if o.probe != nil && o.probe.invocation.Err() != nil {
		o.probe = nil
	}
}

// failed records a check without an answer.
func (o *Origin) failed(now time.Time, interval time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failures++
	o.trial = false
	if o.failures >= breakAfter {
		o.openUntil = now.Add(openFor)
	}
	if now.Sub(o.respondedAt) >= interval {
		o.stale = true
	}
}

// cancel reverts admit: the check counts neither way.
func (o *Origin) cancel() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.trial = false
}
