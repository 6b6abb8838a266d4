// Package relay fetches content from an upstream that clients cannot be redirected to,
// because it requires a token of anonymous clients or because clients may only be sent
// to one host.
//
// Manifests, tags and referrers are fetched and passed on. For blobs the upstream is
// asked for the address in its storage, which is validated and passed on unchanged.
// Requests only go to the upstream and to hosts that the configuration or the table of
// known registries allows, and no redirect leads to another host. They are anonymous:
// nothing that a client sends is passed on, except a path and a query that were
// validated.
//
// Everything is bounded: the size of a response, the time of a request, the requests
// per second of the process, and what is cached. When the upstream limits requests or
// is unavailable, what it sent lately is served again.
//
// A Relay is safe for concurrent use.
package relay

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"archeio/lambda/blobs"
	"archeio/lambda/bucket"
	"archeio/lambda/config"
	"archeio/lambda/oci"
)

const (
	// MaxBody is the size of the largest content that is relayed, in bytes.
	MaxBody = 4 << 20
	// timeout limits one relayed request. responseMargin is kept of an invocation's
	// time for its response.
	timeout        = 5 * time.Second
	responseMargin = 100 * time.Millisecond
	// freshFor is how long content with a digest is served from memory before the
	// upstream is asked again, as it may have been deleted there. absentFor is how
	// long it is cached that the upstream does not have something, staleFor how long
	// a response may be served again while the upstream does not respond.
	freshFor  = time.Minute
	absentFor = 10 * time.Second
	staleFor  = time.Hour
	// burst is the number of requests that may be sent to the upstream at once: a pull
	// needs about as many.
	burst = 20
)

// Request is a request for content of the upstream.
type Request struct {
	Kind oci.Kind // Blob, Manifest, Tags or Referrers
	// Name is the repository at the upstream, ClientName as the client requested it.
	Name, ClientName string
	// Reference is a tag or a digest, as Digest reports; it is empty for Tags.
	Reference string
	Digest    bool
	// Query counts for Tags and Referrers. It must be valid by oci.ValidQuery.
	Query string
	Head  bool
}

// Response is a response to a client. Fields that are empty are not sent.
type Response struct {
	Status  int
	Outcome Outcome
	// Location is an address in the storage of the upstream.
	Location string
	// CacheControl is empty if the response depends on the client.
	CacheControl                    string
	ContentType, Digest, ETag, Link string
	// Filters is the value of OCI-Filters-Applied: by what a list of referrers is
	// filtered.
	Filters string
	Body    string
	// Length is the length of the body.
	Length int
	// RetryAfter is in seconds.
	RetryAfter int
	// Error is the error if Status is at least 400.
	Error *oci.Error
}

// Options are the settings of a Relay.
type Options struct {
	// Transport sends the requests. If it is nil, the Relay makes its own.
	Transport http.RoundTripper
	// Observe is called after each request, with the time that the upstream was waited
	// for, 0 if it was not needed. ObserveToken is called after each request to a token
	// server. Both may be nil.
	Observe      func(kind, outcome string, took time.Duration)
	ObserveToken func(outcome string)
	// Now is the clock. If it is nil, it is the wall clock: the monotonic one may stop
	// while the function is frozen.
	Now func() time.Time
}

// Relay fetches content from one upstream.
type Relay struct {
	options    Options
	base       string // of the upstream, up to and including "/v2/"
	tagMaxAge  time.Duration
	singleHost bool
	checker    *blobs.Checker
	origin     *blobs.Origin
	storage    hosts
	limit      bucket.Bucket
	active     atomic.Int64 // time of the last request, in Unix nanoseconds
	cache      cache
	tokens     tokens
}

// New returns the Relay of a configuration that relays. The checker has the state of
// the upstream's health and checks it.
func New(c *config.Config, checker *blobs.Checker, o Options) *Relay {
	if o.Transport == nil {
		o.Transport = newTransport()
	}
	if o.Observe == nil {
		o.Observe = func(string, string, time.Duration) {}
	}
	if o.ObserveToken == nil {
		o.ObserveToken = func(string) {}
	}
	if o.Now == nil {
		o.Now = func() time.Time { return time.Now().Round(0) }
	}
	r := &Relay{
		options:    o,
		base:       c.Upstream + "/v2/",
		tagMaxAge:  c.Relay.TagMaxAge,
		singleHost: c.SingleHost,
		checker:    checker,
		origin:     checker.Origin("upstream", c.Upstream+"/v2/", blobs.Registry),
		storage:    hosts{patterns: c.Relay.BlobHosts},
		limit:      bucket.Bucket{Rate: c.Relay.Rate, Burst: burst},
	}
	if c.SingleHost { // nothing is redirected, and a registry may redirect to itself
		r.storage.own = c.Upstream
	}
	r.tokens.init(r, hosts{own: c.Upstream, patterns: c.Relay.TokenHosts})
	return r
}

// Fetch returns the response to a request. It returns within 5 seconds, and before the
// deadline of ctx.
func (r *Relay) Fetch(ctx context.Context, q *Request) Response {
	if q.Digest && !oci.Supported(q.Reference) { // no registry can hold it
		return r.finish(q, absent(q), time.Time{}, nil, 0)
	}
	now := r.options.Now()
	r.wake(now)
	key := r.key(q)
	kept, found := r.cache.get(key)
	if found && now.Before(kept.fresh) {
		resp := kept.response
		if resp.Status == http.StatusOK {
			resp.Outcome = Memory
		}
		return r.finish(q, resp, now, kept, 0)
	}
	resp, e := r.fetch(ctx, q, now)
	end := r.options.Now()
	switch {
	case e != nil:
		e.response = resp
		r.cache.put(key, e)
		kept = e
	case !found:
	case resp.Outcome.transient() && end.Before(kept.stale):
		resp = kept.response
		resp.Outcome = Stale
	default: // the upstream does not have it any more
		r.cache.remove(key)
	}
	return r.finish(q, resp, end, kept, end.Sub(now))
}

// asleep is how long a process is idle before its connections are not trusted: it may
// have been frozen, and they may have gone silent.
const asleep = 3 * time.Second

// wake records a request, and closes the idle connections if the process was idle for
// long.
func (r *Relay) wake(now time.Time) {
	idle := now.UnixNano() - r.active.Swap(now.UnixNano())
	if t, ok := r.options.Transport.(interface{ CloseIdleConnections() }); ok && idle >= int64(asleep) {
		t.CloseIdleConnections()
	}
}

// finish records a response and sets how long it may be cached.
func (r *Relay) finish(q *Request, resp Response, now time.Time, e *entry, took time.Duration) Response {
	r.options.Observe(q.Kind.String(), resp.Outcome.String(), took)
	switch {
	case q.Kind == oci.Blob && (resp.Status < 400 || resp.Outcome == Absent): // another client may get it from a mirror
	case resp.Outcome == Absent:
		resp.CacheControl = cacheControl(absentFor, 0)
	case resp.Status >= 400:
		resp.CacheControl = "no-store"
	case resp.Outcome == Stale:
		resp.CacheControl = cacheControl(absentFor, staleFor)
	case q.Digest && q.Kind == oci.Manifest:
		resp.CacheControl = cacheControl(24*time.Hour, staleFor)
	default: // together with the time in memory
		resp.CacheControl = cacheControl(max(0, e.fresh.Sub(now)), staleFor)
	}
	return resp
}

// cacheControl returns a Cache-Control header.
func cacheControl(maxAge, staleIfError time.Duration) string {
	out := "public, max-age=" + strconv.Itoa(int(maxAge.Round(time.Second)/time.Second))
	if staleIfError > 0 {
		out += ", stale-if-error=" + strconv.Itoa(int(staleIfError/time.Second))
	}
	return out
}

// fetch returns the response of the upstream, within the limits. The entry is what to cache, nil for
// nothing.
func (r *Relay) fetch(ctx context.Context, q *Request, now time.Time) (Response, *entry) {
	deadline := now.Add(timeout)
	if end, ok := ctx.Deadline(); ok && end.Add(-responseMargin).Before(deadline) {
		deadline = end.Add(-responseMargin)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	if !r.limit.Take(now) {
		return limited("too many requests to the upstream, try again later", 1), nil
	}
	if q.Kind == oci.Blob {
		return r.blob(ctx, q)
	}
	return r.content(ctx, q)
}

// Path returns the path of a request below "/v2/", with the query.
func (q *Request) Path() string {
	switch q.Kind {
	case oci.Blob:
		return q.Name + "/blobs/" + q.Reference
	case oci.Manifest:
		return q.Name + "/manifests/" + q.Reference
	}
	path := q.Name + "/tags/list"
	if q.Kind == oci.Referrers {
		path = q.Name + "/referrers/" + q.Reference
	}
	if query := withoutNamespace(q.Query); query != "" {
		path += "?" + query
	}
	return path
}

// key returns the cache key of a request. A signed address may be for one method.
func (r *Relay) key(q *Request) string {
	if q.Kind == oci.Blob {
		return r.method(q) + " " + q.Path()
	}
	return q.Path()
}

// method returns the method of the upstream's request. Everything but a blob in storage
// is fetched to answer HEAD, as some registries respond to that without a digest.
func (r *Relay) method(q *Request) string {
	if q.Head && q.Kind == oci.Blob && !r.singleHost {
		return http.MethodHead
	}
	return http.MethodGet
}
