// Package blobs finds out whether an origin has something, by a HEAD request:
// a mirror a blob, or the upstream a manifest or a blob.
//
// What was found out is remembered for a while, and an index tells of many blobs
// that all mirrors hold. Neither says anything about whether the origin still
// lives, so its life is watched beside: when it has
// given no answer for some time, the next question is answered from memory and
// one check runs along with it. An origin that fails again and again is left
// out for a while, so that a dead one costs no request its time.
//
// A function is frozen between its invocations. Whatever runs when an
// invocation ends is cut off, and counts neither for nor against the origin.
//
// A Checker and its Origins are safe for concurrent use.
package blobs

import (
	"context"
	"hash/maphash"
	"net/http"
	"sync"
	"time"
)

// Answer is what is known of one thing at one origin.
type Answer uint8

// The answers. The zero value says that the origin could not be asked or did
// not say.
const (
	Unknown Answer = iota
	Present
	Absent
)

// String is the answer's name in metrics and logs.
func (a Answer) String() string { return [...]string{"unknown", "present", "absent"}[a] }

const (
	// PresentFor is how long it is remembered that a mirror has a blob.
	PresentFor = 5 * time.Minute
	absentFor  = time.Minute

	// requestBudget is what all checks of one request share.
	requestBudget = 1500 * time.Millisecond
	// answerMargin is left of an invocation's time to send the answer.
	answerMargin = 100 * time.Millisecond
)

// Reading makes an answer of a status code.
type Reading func(status int) Answer

// Mirror reads the status of an object store: S3 answers 403 for a missing
// object where the bucket may not be listed.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func Mirror(status int) Answer {
	switch status {
	case http.StatusOK:
		return Present
	case http.StatusForbidden, http.StatusNotFound:
		return Absent
	}
	return Unknown
}

// Registry reads the status of a registry, which may redirect to its storage.
func Registry(status int) Answer {
	switch {
	case status >= 200 && status < 400:
		return Present
	case status == http.StatusNotFound:
		return Absent
	}
	return Unknown
}

// Observer is told of every check that was made.
type Observer func(origin, answer string, took time.Duration)

// Options are the settings of a Checker.
type Options struct {
	// Timeout is the deadline of one check, at most 1.5 s; HealthInterval is
	// how long an origin's life is taken for granted.
	Timeout, HealthInterval time.Duration
	// Transport sends the requests; nil is a plain one of its own.
	Transport http.RoundTripper
	// Index is the list of what all mirrors hold.
	Index IndexOptions
	// Observe may be nil.
	Observe Observer
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Checker asks origins and remembers.
type Checker struct {
	options Options
	memory  memory
	shelf   *shelf // nil where there is no index

	mu      sync.Mutex
	flights map[question]*flight
}

type question struct {
	origin *Origin
	path   string
}

// flight is a check that others wait for.
type flight struct {
	done   chan struct{}
	answer Answer
	// cutOff: the invocation that made the check ended first, or the time
	// that its request had left. Others may have more.
	cutOff bool
}

// New makes a Checker.
func New(o Options) *Checker {
	o.Timeout = min(o.Timeout, requestBudget)
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	if o.Observe == nil {
		o.Observe = func(string, string, time.Duration) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Checker{options: o, memory: memory{began: o.Now()}, flights: map[question]*flight{}}
	if o.Index.URL != "" {
		c.shelf = &shelf{options: o.Index, transport: o.Transport, now: o.Now}
	}
	return c
}

// Origin makes an origin of a base URL. The name is for the record.
func (c *Checker) Origin(name, base string, read Reading) *Origin {
	return &Origin{checker: c, name: name, base: base, read: read, seed: maphash.MakeSeed()}
}

// Mirror makes an origin of a mirror, of which the index speaks too. What it is
// asked for is a digest.
func (c *Checker) Mirror(name, base string) *Origin {
	o := c.Origin(name, base, Mirror)
	o.indexed = c.shelf != nil
	return o
}

// Limit is the time that all checks of one request share. It begins with the
// first check that asks the network. The zero value is ready to use, by one
// request.
type Limit struct{ deadline time.Time }

// Has answers whether base+path exists at the origin. It returns when ctx
// ends, when the limit is reached, or after the deadline of one check.
func (o *Origin) Has(ctx context.Context, limit *Limit, path string) Answer {
	c := o.checker
	now := c.options.Now()
	if o.open(now) {
		return Unknown
	}
	if o.indexed && c.shelf.has(now, path) && o.trusted(ctx, now, path) {
		return Present
	}
	if a := c.memory.answer(o.key(path), now); a != Unknown && o.trusted(ctx, now, path) {
		return a
	}
	return c.ask(ctx, limit, question{o, path})
}

// ask makes a check, or waits for the same one that is under way.
func (c *Checker) ask(ctx context.Context, limit *Limit, q question) Answer {
	c.Refresh() // the request waits now, so there is time
	now := c.options.Now()
	if limit.deadline.IsZero() {
		limit.deadline = now.Add(requestBudget)
	}
	deadline := limit.deadline
	if end, ok := ctx.Deadline(); ok && end.Add(-answerMargin).Before(deadline) {
		deadline = end.Add(-answerMargin)
	}
	for {
		c.mu.Lock()
		f, found := c.flights[q]
		if !found {
			f = &flight{done: make(chan struct{})}
			c.flights[q] = f
		}
		c.mu.Unlock()
		if !found {
			f.answer, f.cutOff = c.check(ctx, deadline, q)
			c.mu.Lock()
			delete(c.flights, q)
			c.mu.Unlock()
			close(f.done)
			return f.answer
		}
		patience := time.NewTimer(deadline.Sub(c.options.Now()))
		select {
		case <-f.done:
			patience.Stop()
			if !f.cutOff {
				return f.answer
			}
		case <-patience.C:
			return Unknown
		case <-ctx.Done():
			patience.Stop()
			return Unknown
		}
	}
}

// check asks the origin once and records what that says of it.
func (c *Checker) check(ctx context.Context, deadline time.Time, q question) (a Answer, cutOff bool) {
	o := q.origin
	if !o.admit(c.options.Now()) {
		return Unknown, false
	}
	start := c.options.Now()
	// A check that was given less than its own time and failed for that says
	// nothing about the origin.
	hurried := deadline.Sub(start) < c.options.Timeout*9/10
	if full := start.Add(c.options.Timeout); full.Before(deadline) {
		deadline = full
	}
	if !start.Before(deadline) {
		o.abandon()
		return Unknown, true
	}
	bounded, cancel := context.WithDeadline(ctx, deadline)
	a = o.head(bounded, c.options.Transport, q.path)
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
		c.memory.learn(o.key(q.path), a, until)
		o.answered(end)
	case ctx.Err() != nil || hurried && expired:
		o.abandon()
		return Unknown, true
	default:
		o.failed(end, c.options.HealthInterval)
	}
	return a, false
}
