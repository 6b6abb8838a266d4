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

// Has returns whether base+path exists at the origin. It returns when ctx ends,
// when the limit is reached, or at the latest after the deadline of one check.
func (o *Origin) Has(ctx context.Context, limit *Limit, path string) Answer {
	c := o.checker
	now := c.options.Now()
	if o.open(now) {
		return Unknown
	}
	if o.indexed && c.index.has(now, path) && o.cacheUsable(ctx, now, path) {
		return Present
	}
	if a := c.cache.get(o.key(path), now); a != Unknown && o.cacheUsable(ctx, now, path) {
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
			f.answer, f.interrupted = c.check(ctx, deadline, x)
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
func (c *Checker) check(ctx context.Context, deadline time.Time, x object) (a Answer, interrupted bool) {
	o := x.origin
	if !o.admit(c.options.Now()) {
		return Unknown, false
	}
	start := c.options.Now()
	// A check that has less than its usual time and runs out of it says nothing
	// about the origin.
	shortened := deadline.Sub(start) < c.options.Timeout*9/10
	if full := start.Add(c.options.Timeout); full.Before(deadline) {
		deadline = full
	}
	if !start.Before(deadline) {
		o.cancel()
		return Unknown, true
	}
	bounded, cancel := context.WithDeadline(ctx, deadline)
	a = o.head(bounded, c.options.Transport, x.path)
	expired := bounded.Err() != nil
	cancel()
	end := c.options.Now()
	c.options.Observe(o.name, a.String(), end.Sub(start))
	switch {
	case a != Unknown:
		until := end.Add(PresentFor)
		if a == Absent {
			until = end.Add(absentFor)
		}
		c.cache.store(o.key(x.path), a, until)
		o.succeeded(end)
	case ctx.Err() != nil || shortened && expired:
		o.cancel()
		return Unknown, true
	default:
		o.failed(end, c.options.HealthInterval)
	}
	return a, false
}
