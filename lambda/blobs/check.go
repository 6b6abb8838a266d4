package blobs

import (
	"context"
	"time"

	"archeio/lambda/config"
)

const (
	// PresentFor is how long it is cached that an origin has an object, absentFor
	// that it has not.
	PresentFor = 5 * time.Minute
	absentFor  = time.Minute

	// requestBudget is the time that all checks of one request share.
	requestBudget = config.MaxCheckTimeout
	// responseMargin is kept of an invocation's time for its response.
	responseMargin = 100 * time.Millisecond
)

// Limit is the time that all checks of one request share. It starts with the
// first check that needs the network. The zero value is ready for use by one
// request.
type Limit struct{ deadline time.Time }

// object is what a check is about.
type object struct {
	origin *Origin
	path   string
}

// flight is a check in progress that other requests wait for.
type flight struct {
	done   chan struct{}
	answer Answer
	// interrupted is whether the invocation of the check ended first, or the
	// time that its request had left. Other requests may have more time.
	interrupted bool
}

// purpose is why an object is checked. It decides what a failure means.
type purpose uint8

const (
	// requested by a client, which chose the path.
	requested purpose = iota
	// recheck of what the cache or the index says of the origin.
	recheck
	// reference is a check of what always works at the origin.
	reference
)

// Has returns whether base+path exists at the origin. It returns when ctx ends,
// when the limit is reached, or at the latest after the deadline of one check.
func (o *Origin) Has(ctx context.Context, limit *Limit, path string) Answer {
	c := o.checker
	now := c.options.Now()
	c.wake(now)
	if o.open(now) {
		return Unknown
	}
	if o.indexed(now, path) && !o.saidAbsent(now, path) && o.cacheUsable(ctx, now, path, true) {
		return Present
	}
	if a := c.cache.get(o.key(path), now); a != Unknown && o.cacheUsable(ctx, now, path, false) {
		return a
	}
	return c.checkOnce(ctx, limit, object{o, path})
}

// checkOnce checks an object, or waits for the check of it that is in progress.
func (c *Checker) checkOnce(ctx context.Context, limit *Limit, x object) Answer {
	c.Refresh() // the request waits now, so the index can load
	now := c.options.Now()
	if limit.deadline.IsZero() {
		limit.deadline = now.Add(requestBudget)
	}
	deadline := limit.deadline
	if end, ok := ctx.Deadline(); ok && end.Add(-responseMargin).Before(deadline) {
		deadline = end.Add(-responseMargin)
	}
	for {
		c.mu.Lock()
		f, found := c.flights[x]
		if !found {
			f = &flight{done: make(chan struct{})}
			c.flights[x] = f
		}
		c.mu.Unlock()
		if !found {
			f.answer, f.interrupted = c.check(ctx, deadline, x, requested)
			c.mu.Lock()
			delete(c.flights, x)
			c.mu.Unlock()
			close(f.done)
			return f.answer
		}
		timer := time.NewTimer(deadline.Sub(c.options.Now()))
		select {
		case <-f.done:
			timer.Stop()
			if !f.interrupted {
				return f.answer
			}
		case <-timer.C:
			return Unknown
		case <-ctx.Done():
			timer.Stop()
			return Unknown
		}
	}
}

// check sends one request to the origin and records the result.
func (c *Checker) check(ctx context.Context, deadline time.Time, x object, why purpose) (a Answer, interrupted bool) {
	o := x.origin
	start, latest := c.options.Now(), deadline
	if why == requested {
		if !o.admit(start) {
			return Unknown, false
		}
		o.accompany(ctx, start)
	}
	if end, ok := ctx.Deadline(); ok && end.Before(deadline) {
		deadline = end
	}
	// A check that has less than its usual time and runs out of it says nothing
	// about the origin.
	shortened := deadline.Sub(start) < c.options.Timeout*9/10
	if full := start.Add(c.options.Timeout); full.Before(deadline) {
		deadline = full
	}
	if !start.Before(deadline) {
		o.cancel(why)
		return Unknown, true
	}
	bounded, cancel := context.WithDeadline(ctx, deadline)
	status := o.head(bounded, c.options.Transport, x.path)
	ended := bounded.Err() // the first one
	cancel()
	end := c.options.Now()
	alive := status != 0 && !trouble(status)
	a = o.read(status)
	// Whether the object at this path exists does not matter, and a registry may
	// want a token for it.
	known := why == reference && x.path == o.known()
	if known && alive && (a != Unknown || !o.mirror) {
		a = Present
	}
	c.options.Observe(o.name, a.String(), end.Sub(start))
	switch {
	case known && a == Present:
		o.responded(end)
	case a != Unknown:
		o.answered(end, x.path, a)
	case alive:
		o.alive(end, why)
	case status == 0 && (ended == context.Canceled || ended != nil && shortened):
		o.cancel(why)
		return Unknown, true
	default:
		o.failed(end, why, status == 0)
	}
	if why == requested {
		if status != 0 { // else it may take as long again: the next request has one
			o.accompany(ctx, end)
		}
		o.awaitReference(ctx, latest)
	}
	return a, false
}
