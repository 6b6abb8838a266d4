// Package blobs checks by HEAD requests whether an origin has an object: a mirror
// a blob, or the upstream a manifest or a blob.
//
// Results are cached for a while, and a blob index lists blobs that all mirrors
// have. Neither outvotes the origin: every HealthInterval, one check runs in the
// background of a request that is answered from them, for the object of that request
// or for a witness, a blob that every mirror has by the index. If the origin does not
// respond, the cache does not count; if it has no witnesses, the index does not.
//
// An origin that fails repeatedly is left out for a while (a circuit breaker), so that
// an unavailable one does not delay every request. Clients choose the paths of checks,
// so a failed check counts only if a check of what always works at that origin fails
// too. The same holds for the index: clients may request digests that only look
// indexed, so a missing blob counts only for itself, unless witnesses are missing too.
//
// A function is frozen between its invocations. A check that the end of an
// invocation interrupts counts neither for nor against the origin. Connections that
// were idle while it was frozen are not used again.
//
// A Checker and its Origins are safe for concurrent use.
package blobs

import (
	"hash/maphash"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"archeio/lambda/config"
)

// Answer is whether an origin has an object.
type Answer uint8

const (
	// Unknown is the zero value: the origin did not respond, or its response
	// does not say.
	Unknown Answer = iota
	// Present: the origin has the object.
	Present
	// Absent: the origin does not have the object.
	Absent
)

// String returns the answer's name in metrics and logs.
func (a Answer) String() string { return [...]string{"unknown", "present", "absent"}[a] }

// StatusReader returns the answer that a status code stands for.
type StatusReader func(status int) Answer

// Mirror is the StatusReader of an object store. S3 responds 403 for a missing
// object if the bucket may not be listed.
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

// Registry is the StatusReader of a registry, which may redirect to its storage.
func Registry(status int) Answer {
	switch {
	case status >= 200 && status < 400:
		return Present
	case status == http.StatusNotFound:
		return Absent
	}
	return Unknown
}

// Observer is called after every check.
type Observer func(origin, answer string, took time.Duration)

// Options are the settings of a Checker.
type Options struct {
	// Timeout is the deadline of one check, at most config.MaxCheckTimeout.
	// HealthInterval is how long an origin is assumed healthy after its last
	// response.
	Timeout, HealthInterval time.Duration
	// Transport sends the requests. If it is nil, the Checker makes its own.
	Transport http.RoundTripper
	// Index is the blob index.
	Index IndexOptions
	// Observe may be nil.
	Observe Observer
	// Now is the clock. If it is nil, it is the wall clock: the monotonic one may
	// stop while the function is frozen.
	Now func() time.Time
}

// Loader loads something in the background of requests.
type Loader interface {
	// Refresh starts to load it if that is due, and returns at once.
	Refresh()
	// Interrupt ends a request in progress: its connection may be dead.
	Interrupt()
}

// Checker checks origins and caches the results.
type Checker struct {
	options Options
	cache   cache
	index   *indexLoader // nil if there is no index
	other   Loader       // nil if there is no other

	// active is the time of the last request, in Unix nanoseconds.
	active atomic.Int64

	mu      sync.Mutex
	flights map[object]*flight
}

// New returns a Checker.
func New(o Options) *Checker {
	o.Timeout = min(o.Timeout, config.MaxCheckTimeout)
	if o.Transport == nil {
		o.Transport = NewTransport()
	}
	if o.Observe == nil {
		o.Observe = func(string, string, time.Duration) {}
	}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Now().Round(0) }
	}
	c := &Checker{options: o, cache: cache{start: o.Now()}, flights: map[object]*flight{}}
	if o.Index.URL != "" {
		c.index = newIndexLoader(o)
	}
	return c
}

// Accompany makes the Checker load something else at the times at which it loads the
// index. Call it before the first request.
func (c *Checker) Accompany(other Loader) { c.other = other }

// Origin returns an origin with a base URL, at which it always serves something. The
// name is for Observe.
func (c *Checker) Origin(name, base string, read StatusReader) *Origin {
	return &Origin{checker: c, name: name, base: base, read: read, seed: maphash.MakeSeed()}
}

// Mirror returns the origin of a mirror; the paths of its objects are digests. The
// blob index counts for it if that covers its AWS region; the empty string is never
// covered.
func (c *Checker) Mirror(name, base, region string) *Origin {
	o := c.Origin(name, base, Mirror)
	o.mirror, o.region = true, region
	if c.index != nil && region != "" {
		c.index.register(o)
	}
	return o
}

// asleep is how long a process is idle before its connections are not trusted: it may
// have been frozen, and does not know what happened to them.
const asleep = 3 * time.Second

// wake records a request. If the process was idle for long, it closes the idle
// connections: one that went silent would cost the request the time of a check.
func (c *Checker) wake(now time.Time) {
	last, this := c.active.Load(), now.UnixNano()
	idle := time.Duration(this - last)
	if 0 <= idle && idle < asleep/4 { // most requests
		return
	}
	if !c.active.CompareAndSwap(last, this) || last == 0 || idle < asleep {
		return
	}
	if t, ok := c.options.Transport.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
	if c.index != nil {
		c.index.download.Interrupt()
	}
	if c.other != nil {
		c.other.Interrupt()
	}
}
