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

// IndexOptions are the settings of the blob index, the list of the blobs that all
// mirrors have. It is read from one of them.
type IndexOptions struct {
	// URL is its address, empty for none.
	URL string
	// Refresh is how often it is refreshed. MaxAge is its maximum age, counted
	// from the listing that it was made of.
	Refresh, MaxAge time.Duration
	// Observe is called after each attempt to load it; it may be nil.
	Observe func(IndexEvent)
}

// IndexEvent is the result of an attempt to load the index, or that the loaded one
// has become too old.
type IndexEvent struct {
	// Outcome is one of the constants below.
	Outcome string
	// Age is the age of the loaded index, 0 if there is none.
	Age time.Duration
	// Err is what is wrong, nil if nothing is.
	Err error
}

// The outcomes, which are values of the dimension metrics.Index.
const (
	IndexLoaded      = "loaded"
	IndexUnchanged   = "unchanged"
	IndexMissing     = "missing"
	IndexCorrupt     = "corrupt"
	IndexStale       = "stale"
	IndexUnreachable = "unreachable"
)

const (
	// indexTimeout is the deadline of one attempt, indexRetry the time from a
	// failed one to the next.
	indexTimeout = 30 * time.Second
	indexRetry   = 30 * time.Second
)

// indexLoader holds the index and refreshes it.
type indexLoader struct {
	options   IndexOptions
	transport http.RoundTripper
	now       func() time.Time

	next    atomic.Int64 // time of the next attempt, in Unix nanoseconds
	tried   atomic.Int64 // end of the last one
	current atomic.Pointer[index.Index]

	mu   sync.Mutex // held by the attempt in progress
	etag string
}

// Refresh starts to load the index in the background if that is due, and returns
// at once. Call it when a response is ready. The Checker calls it only when a
// request waits for a mirror, so that no request shares its time with it.
func (c *Checker) Refresh() {
	l := c.index
	if l == nil {
		return
	}
	now := l.now()
	next := l.next.Load()
	if now.UnixNano() >= next && l.next.CompareAndSwap(next, now.Add(l.options.Refresh).UnixNano()) {
		go l.load()
	}
}

// has reports whether all mirrors have a blob by an index that is not too old. A
// function that was frozen for long cannot know what was removed from the index
// since, so the index does not count until the next attempt to load it.
func (l *indexLoader) has(now time.Time, digest string) bool {
	x := l.current.Load()
	if x == nil || !x.Has(digest) || now.UnixNano()-l.tried.Load() > 2*int64(l.options.Refresh) {
		return false
	}
	if age := now.Sub(x.Listed); age > l.options.MaxAge {
		if l.current.CompareAndSwap(x, nil) {
			l.report(IndexEvent{Outcome: IndexStale, Err: l.tooOld(age)})
		}
		return false
	}
	return true
}

func (l *indexLoader) tooOld(age time.Duration) error {
	return fmt.Errorf("blob index is %s old: want at most %s", age.Round(time.Minute), l.options.MaxAge)
}

func (l *indexLoader) report(e IndexEvent) {
	if l.options.Observe != nil {
		l.options.Observe(e)
	}
}

// load makes one attempt. It does not depend on an invocation: a function that is
// frozen during an attempt continues with it later, or tries again.
func (l *indexLoader) load() {
	l.mu.Lock()
	defer l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), indexTimeout)
	defer cancel()
	x, etag, outcome, err := l.fetch(ctx)
	now := l.now()
	switch {
	case outcome == IndexLoaded && x.Listed.After(now.Add(index.Skew)): // it would not become too old
		outcome, err = IndexCorrupt, fmt.Errorf("blob index is of %s: want a time in the past", x.Listed.UTC().Format(time.RFC3339))
	case outcome == IndexLoaded && now.Sub(x.Listed) > l.options.MaxAge:
		outcome, err = IndexStale, l.tooOld(now.Sub(x.Listed))
	case outcome == IndexLoaded:
		l.current.Store(x)
		l.etag = etag
	case outcome == IndexMissing: // removed on purpose
		l.current.Store(nil)
		l.etag = ""
	case outcome == IndexUnreachable:
		// Soon, but not later than without a failure.
		l.next.Store(now.Add(min(indexRetry, l.options.Refresh)).UnixNano())
	}
	l.tried.Store(now.UnixNano())
	event := IndexEvent{Outcome: outcome, Err: err}
	if x := l.current.Load(); x != nil {
		event.Age = now.Sub(x.Listed)
	}
	l.report(event)
}

// fetch requests the index.
func (l *indexLoader) fetch(ctx context.Context) (x *index.Index, etag, outcome string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.options.URL, nil)
	if err != nil {
		return nil, "", IndexUnreachable, err
	}
	req.Header.Set("Accept-Encoding", "identity") // else its length is unknown
	if l.etag != "" {
		req.Header.Set("If-None-Match", l.etag)
	}
	resp, err := send(l.transport, req)
	if err != nil {
		return nil, "", IndexUnreachable, err
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotModified:
		return nil, "", IndexUnchanged, nil
	case http.StatusForbidden, http.StatusNotFound:
		return nil, "", IndexMissing, fmt.Errorf("requesting the blob index: status %d", resp.StatusCode)
	default:
		return nil, "", IndexUnreachable, fmt.Errorf("requesting the blob index: status %d", resp.StatusCode)
	}
	if resp.ContentLength > index.MaxSize {
		return nil, "", IndexCorrupt, fmt.Errorf("blob index has %d bytes: want at most %d", resp.ContentLength, index.MaxSize)
	}
	data, err := read(resp)
	if err != nil {
		return nil, "", IndexUnreachable, fmt.Errorf("reading the blob index: %w", err)
	}
	if x, err = index.Parse(data); err != nil {
		return nil, "", IndexCorrupt, err
	}
	return x, resp.Header.Get("ETag"), IndexLoaded, nil
}

// read reads the body with no more memory than the index needs.
func read(resp *http.Response) ([]byte, error) {
	if resp.ContentLength >= 0 {
		data := make([]byte, resp.ContentLength)
		_, err := io.ReadFull(resp.Body, data)
		return data, err
	}
	var data bytes.Buffer
	if n, err := io.Copy(&data, io.LimitReader(resp.Body, index.MaxSize+1)); err != nil || n > index.MaxSize {
		return nil, errors.Join(err, fmt.Errorf("more than %d bytes", index.MaxSize))
	}
	return data.Bytes(), nil
}
