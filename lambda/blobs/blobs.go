// Package blobs checks by HEAD requests whether an origin has an object: a mirror
// a blob, or the upstream a manifest or a blob.
//
// Results are cached for a while, and a blob index lists blobs that all mirrors
// have. Neither says whether an origin is still available, so its health is
// watched separately: if it has not responded for some time, the next request is
// still answered from the cache, and one check runs in the background. An origin
// that fails repeatedly is left out for a while (a circuit breaker), so that an
// unavailable one does not delay every request.
//
// A function is frozen between its invocations. A check that the end of an
// invocation interrupts counts neither for nor against the origin.
//
// A Checker and its Origins are safe for concurrent use.
package blobs

import (
	"hash/maphash"
	"net/http"
	"sync"
	"time"

	"archeio/lambda/config"
)

// Answer is whether an origin has an object.
type Answer uint8

const (
	// Unknown is the zero value: the origin did not respond, or its response
	// does not say.
	Unknown Answer = iota
	Present
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
	// Now is the clock; nil is time.Now.
	Now func() time.Time
}

// Checker checks origins and caches the results.
type Checker struct {
	options Options
	cache   cache
	index   *indexLoader // nil if there is no index

	mu      sync.Mutex
	flights map[object]*flight
}

// New returns a Checker.
func New(o Options) *Checker {
	o.Timeout = min(o.Timeout, config.MaxCheckTimeout)
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	if o.Observe == nil {
		o.Observe = func(string, string, time.Duration) {}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c := &Checker{options: o, cache: cache{start: o.Now()}, flights: map[object]*flight{}}
	if o.Index.URL != "" {
		c.index = &indexLoader{options: o.Index, transport: o.Transport, now: o.Now}
	}
	return c
}

// Origin returns an origin with a base URL. The name is for Observe.
func (c *Checker) Origin(name, base string, read StatusReader) *Origin {
	return &Origin{checker: c, name: name, base: base, read: read, seed: maphash.MakeSeed()}
}

// Mirror returns the origin of a mirror, which the blob index covers. The paths
// of its objects are digests.
func (c *Checker) Mirror(name, base string) *Origin {
	o := c.Origin(name, base, Mirror)
	o.indexed = c.index != nil
	return o
}
