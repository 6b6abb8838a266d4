package blobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"archeio/lambda/index"
)

// IndexOptions are the settings of the index: a list of what all mirrors hold,
// that is read from one of them.
type IndexOptions struct {
	// URL is where it lies; empty for none.
	URL string
	// Refresh is how often it is asked for, MaxAge how old it may be: what it
	// was made of was listed then.
	Refresh, MaxAge time.Duration
	// Observe is told how each attempt to load it ended; it may be nil.
	Observe func(IndexEvent)
}

// IndexEvent is how an attempt to load the index ended, or that it has become
// too old.
type IndexEvent struct {
	// Outcome is one of the constants below.
	Outcome string
	// Age is that of the index that is used, 0 where there is none.
	Age time.Duration
	// Err says what is wrong with it, nil if nothing is.
	Err error
}

// The outcomes, which are values of a metric's dimension.
const (
	IndexLoaded      = "loaded"
	IndexUnchanged   = "unchanged"
	IndexMissing     = "missing"
	IndexDamaged     = "damaged"
	IndexStale       = "stale"
	IndexUnreachable = "unreachable"
)

const (
	// indexTimeout bounds one attempt, indexRetry is how long after one that
	// failed the next one is made.
	indexTimeout = 30 * time.Second
	indexRetry   = 30 * time.Second
)

// shelf keeps the index and sees to it that it is fresh.
type shelf struct {
	options   IndexOptions
	transport http.RoundTripper
	now       func() time.Time

	next    atomic.Int64 // Unix nanoseconds of the next attempt
	tried   atomic.Int64 // and of the end of the last one
	current atomic.Pointer[index.Index]

	mu   sync.Mutex // one attempt at a time
	etag string
}

// Refresh sees to it that the index is loaded, beside whatever the caller does
// then, when it is time. It returns at once. Call it when an answer is made: the
// Checker itself calls it when a request waits for a mirror, and never before,
// so that no request has to share its time with it.
func (c *Checker) Refresh() {
	s := c.shelf
	if s == nil {
		return
	}
	now := s.now()
	next := s.next.Load()
	if now.UnixNano() >= next && s.next.CompareAndSwap(next, now.Add(s.options.Refresh).UnixNano()) {
		go s.load()
	}
}

// has tells that all mirrors hold a blob, as far as the index is not too old.
// A function that was frozen for long does not know what has left the index
// since: what it has counts again when it has tried to load it anew.
func (s *shelf) has(now time.Time, digest string) bool {
	x := s.current.Load()
	if x == nil || !x.Has(digest) || now.UnixNano()-s.tried.Load() > 2*int64(s.options.Refresh) {
		return false
	}
	if age := now.Sub(x.Listed); age > s.options.MaxAge {
		if s.current.CompareAndSwap(x, nil) {
			s.report(IndexEvent{Outcome: IndexStale, Err: fmt.Errorf("it is %s old", age.Round(time.Minute))})
		}
		return false
	}
	return true
}

func (s *shelf) report(e IndexEvent) {
	if s.options.Observe != nil {
		s.options.Observe(e)
	}
}

// load is not bound to an invocation: a function that is frozen in the midst of
// it goes on with it, or tries again.
func (s *shelf) load() {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), indexTimeout)
	defer cancel()
	x, etag, outcome, err := s.fetch(ctx)
	now := s.now()
	switch {
	case outcome == IndexLoaded && x.Listed.After(now.Add(index.Skew)): // it would never be too old
		outcome, err = IndexDamaged, fmt.Errorf("it is of %s, which is still to come", x.Listed.UTC().Format(time.RFC3339))
	case outcome == IndexLoaded && now.Sub(x.Listed) > s.options.MaxAge:
		outcome, err = IndexStale, fmt.Errorf("it is %s old", now.Sub(x.Listed).Round(time.Minute))
	case outcome == IndexLoaded:
		s.current.Store(x)
		s.etag = etag
	case outcome == IndexMissing: // taken away on purpose
		s.current.Store(nil)
		s.etag = ""
	case outcome == IndexUnreachable:
		// Soon, but never later than it would be anyway.
		s.next.Store(now.Add(min(indexRetry, s.options.Refresh)).UnixNano())
	}
	s.tried.Store(now.UnixNano())
	event := IndexEvent{Outcome: outcome, Err: err}
	if x := s.current.Load(); x != nil {
		event.Age = now.Sub(x.Listed)
	}
	s.report(event)
}

func (s *shelf) fetch(ctx context.Context) (x *index.Index, etag, outcome string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.options.URL, nil)
	if err != nil {
		return nil, "", IndexUnreachable, err
	}
	req.Header.Set("Accept-Encoding", "identity") // its length is to be known
	if s.etag != "" {
		req.Header.Set("If-None-Match", s.etag)
	}
	resp, err := send(s.transport, req)
	if err != nil {
		return nil, "", IndexUnreachable, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return nil, "", IndexUnchanged, nil
	case http.StatusForbidden, http.StatusNotFound:
		return nil, "", IndexMissing, fmt.Errorf("status %d", resp.StatusCode)
	default:
		return nil, "", IndexUnreachable, fmt.Errorf("status %d", resp.StatusCode)
	}
	if resp.ContentLength > index.Largest {
		return nil, "", IndexDamaged, fmt.Errorf("it has %d bytes, %d are the most", resp.ContentLength, index.Largest)
	}
	data, err := read(resp)
	if err != nil {
		return nil, "", IndexUnreachable, err
	}
	if x, err = index.Parse(data); err != nil {
		return nil, "", IndexDamaged, err
	}
	return x, resp.Header.Get("ETag"), IndexLoaded, nil
}

// read takes no more memory than the index has bytes.
func read(resp *http.Response) ([]byte, error) {
	if resp.ContentLength >= 0 {
		data := make([]byte, resp.ContentLength)
		_, err := io.ReadFull(resp.Body, data)
		return data, err
	}
	var data bytes.Buffer
	if n, err := io.Copy(&data, io.LimitReader(resp.Body, index.Largest+1)); err != nil || n > index.Largest {
		return nil, errors.Join(err, fmt.Errorf("it has more than %d bytes", index.Largest))
	}
	return data.Bytes(), nil
}
