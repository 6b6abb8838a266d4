package blobs

import (
	"context"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"archeio/lambda/index"
)

// Origin is a server that is checked, with the state of its health.
type Origin struct {
	checker *Checker
	name    string
	base    string
	read    StatusReader
	seed    maphash.Seed
	// mirror is whether it is a mirror; region is its AWS region, empty if the
	// index never covers it.
	mirror bool
	region string

	// index is the blob index if it counts for this mirror, else nil.
	index atomic.Pointer[index.Index]
	// generation is a part of the cache keys.
	generation atomic.Uint64
	// absentUntil is when the last cached Absent expires, in Unix nanoseconds.
	absentUntil atomic.Int64

	mu sync.Mutex // guards what follows
	breaker
	contradictions
	// respondedAt is the time of its last response that was an answer.
	respondedAt time.Time
	// stale is whether it did not respond for a whole interval and then failed.
	// Cached answers do not count then.
	stale bool
	// provedAt is the end of the last check of what the cache or the index says.
	// probe is the background check of that, nil if none is in progress. One that
	// was interrupted stays until a check proves something.
	provedAt time.Time
	probe    *probe
	// reference is the check of what always works, nil if none is in progress,
	// referencedAt its start, and cut is whether the one before it was interrupted.
	reference    *probe
	referencedAt time.Time
	cut          bool
}

// probe is a background check, with the context of its invocation.
type probe struct {
	invocation context.Context
	done       chan struct{} // closed when it ends
}

func newProbe(ctx context.Context) *probe { return &probe{ctx, make(chan struct{})} }

// running reports whether a background check may still have a result.
func (p *probe) running() bool { return p != nil && p.invocation.Err() == nil }

// cacheUsable reports whether cached answers of the origin count, or with indexed what
// the index says of it. It starts the background check when that is due.
func (o *Origin) cacheUsable(ctx context.Context, now time.Time, path string, indexed bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch interval := o.checker.options.HealthInterval; {
	case o.stale || o.broken:
		return false
	case indexed && o.denies(path):
		return false
	case o.probe.running():
		return true
	case o.probe != nil, o.doubted && !o.reference.running():
		// The end of its invocation interrupted the background check. If that
		// happened every time, an unavailable origin would stay unnoticed. So
		// this request waits for its own check, as do those after it until a
		// check has a result.
		return false
	case now.Sub(o.respondedAt) < interval && now.Sub(o.provedAt) < interval:
		return true
	}
	o.probe = newProbe(ctx)
	o.ofWitness = !o.ofWitness
	go o.run(o.probe, strings.Clone(path), o.ofWitness)
	return true
}

// run runs the background check, of a witness or of the object at a path.
func (o *Origin) run(p *probe, path string, witness bool) {
	c := o.checker
	interrupted := false
	if witness = witness && o.index.Load() != nil; !witness {
		_, interrupted = c.check(p.invocation, c.options.Now().Add(requestBudget), object{o, path}, recheck)
	}
	if !interrupted && o.claimReference(p, witness) {
		interrupted = o.checkReference(p)
	}
	close(p.done)
	o.mu.Lock()
	defer o.mu.Unlock()
	if !interrupted && o.probe == p {
		o.probe, o.provedAt = nil, c.options.Now() // else it stays for cacheUsable to see
	}
}

// referenceInterval is the minimum time between two checks of what always works that
// the failures of others cause.
const referenceInterval = 100 * time.Millisecond

// accompany starts a check of what always works at the origin, in the background of a
// request, if others failed or contradicted the index.
func (o *Origin) accompany(ctx context.Context, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	wait := referenceInterval
	switch {
	case o.broken && !o.trial:
		return
	case o.uncounted > 0 || o.failures > 0 || o.doubted:
	case o.next != nil:
		wait = o.checker.options.HealthInterval
	default:
		return
	}
	if o.reference.running() || now.Sub(o.referencedAt) < wait {
		return
	}
	p := newProbe(ctx)
	o.reference, o.referencedAt = p, now
	go func() {
		o.checkReference(p)
		close(p.done)
	}()
}

// awaitReference waits for the check that accompanies a request if the one before it
// was interrupted, or if the breaker only needs its result to open. If the end of the
// invocation interrupted it every time, nothing would be known.
func (o *Origin) awaitReference(ctx context.Context, deadline time.Time) {
	o.mu.Lock()
	p := o.reference
	needed := p.running() && (o.cut && (o.uncounted > 0 || o.failures > 0 || o.doubted) || o.failures >= breakAfter && !o.broken)
	o.mu.Unlock()
	if !needed {
		return
	}
	timer := time.NewTimer(deadline.Sub(o.checker.options.Now()))
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// claimReference makes a background check that of what always works too, if there is a
// reason and none is in progress.
func (o *Origin) claimReference(p *probe, reason bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !reason && o.uncounted == 0 && !o.doubted || o.reference.running() {
		return false
	}
	o.reference, o.referencedAt = p, o.checker.options.Now()
	return true
}

// known returns a path at which the origin always serves something: the index, which
// may be missing, or the base of a registry.
func (o *Origin) known() string {
	if o.mirror {
		return index.Name
	}
	return ""
}

// checkReference checks what always works at the origin: witnesses, if there is an
// index, which also shows whether that is true.
func (o *Origin) checkReference(p *probe) (interrupted bool) {
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.reference == p {
			o.reference, o.cut = nil, interrupted
		}
	}()
	c := o.checker
	for missing := 0; ; missing++ {
		x, path := o.witness()
		switch {
		case x == nil:
			path = o.known()
		case path == "" || missing == enoughMissing:
			o.disprove(x)
			return false
		}
		var a Answer
		a, interrupted = c.check(p.invocation, c.options.Now().Add(requestBudget), object{o, path}, reference)
		switch {
		case interrupted || x == nil || a == Unknown:
			return interrupted
		case a == Present:
			o.confirm(x)
			return false
		}
	}
}

// responded records a response that was an answer.
func (o *Origin) responded(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.breaker = breaker{}
	o.respondedAt, o.stale = now, false
}

// alive records a response that was not an answer, but does not show trouble either.
func (o *Origin) alive(now time.Time, why purpose) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.breaker = breaker{}
	switch why {
	case recheck:
		o.uncounted = 1 // it had another answer before
	case reference:
		o.unanswered(now)
	}
}

// failed records a check without a response, or with one that shows trouble.
func (o *Origin) failed(now time.Time, why purpose, unreachable bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.breaker.failed(now, why, unreachable) {
		o.unanswered(now)
	}
}

// unanswered records that there was no answer where there always is one.
func (o *Origin) unanswered(now time.Time) {
	if now.Sub(o.respondedAt) >= o.checker.options.HealthInterval {
		o.stale = true
	}
}

// cancel reverts admit: the check counts neither way.
func (o *Origin) cancel(why purpose) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if why == requested {
		o.trial = false
	}
}
