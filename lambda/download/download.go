// Package download fetches an object of a mirror in the background of a function that
// is frozen between its invocations. What the end of an invocation interrupts goes on
// with the next one, as long as the object has not changed.
package download

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Stall is how long a request may make no progress.
const Stall = 10 * time.Second

// Sink receives an object. Its ReadFrom may be called several times and continues
// where it has stopped.
type Sink interface {
	io.ReaderFrom
	// Received returns the number of bytes that have arrived.
	Received() int64
}

// Status is how a fetch has ended.
type Status uint8

// The ways in which a fetch ends.
const (
	// Unreachable: the mirror did not respond as it should, or the object did not
	// arrive as a whole. What has arrived is kept for the next fetch.
	Unreachable Status = iota
	// Complete: the object has arrived.
	Complete
	// Unchanged: the object is still the one that is held.
	Unchanged
	// Missing: there is no such object.
	Missing
	// Refused: the sink does not accept the object.
	Refused
)

// Object is an object that is fetched again and again. Its fields must not be changed
// while it is fetched. Only one fetch may run at a time; Interrupt may be called
// during it.
type Object struct {
	Transport http.RoundTripper
	URL       string
	// Name is for errors, for example "blob index".
	Name string
	// Held returns the entity tag of the object that the caller has, empty for none.
	Held func() string
	// Sink returns the sink for an object of a size in bytes, -1 if it is unknown.
	Sink func(size int64) Sink
	// Refuses reports whether an error of the sink is about the content of the
	// object. Others are of the connection.
	Refuses func(error) bool

	sink Sink   // nil if nothing has arrived
	etag string // of the object that is arriving

	mu     sync.Mutex
	cancel context.CancelFunc // ends the request in progress
}

// Interrupt ends the request in progress, if there is one. The fetch continues with
// another request.
func (o *Object) Interrupt() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cancel != nil {
		o.cancel()
	}
}

// start returns the context of a request. It ends when it is interrupted, or when
// progress is not called for the time of Stall.
func (o *Object) start() (ctx context.Context, progress, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	stall := time.AfterFunc(Stall, cancel)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.cancel = cancel
	return ctx, func() { stall.Reset(Stall) }, func() { stall.Stop(); cancel() }
}

// Received returns the number of bytes that have arrived of an object that is not
// complete.
func (o *Object) Received() int64 {
	if o.sink == nil {
		return 0
	}
	return o.sink.Received()
}

func (o *Object) reset() { o.sink, o.etag = nil, "" }

// errInterrupted marks a request after which another one can continue.
var errInterrupted = errors.New("interrupted")

// errChanged is the error if what has arrived is not a part of the object any more.
var errChanged = errors.New("it has changed")

// Fetch requests the object, or the rest of it. It tries again as long as something
// arrives, and once if nothing does: the connection may be older than a freeze. The
// sink is that of a complete object, with its entity tag, which is also returned for
// a refused one. The error is nil only if the object is complete or unchanged.
func (o *Object) Fetch() (sink Sink, etag string, status Status, err error) {
	for failed := 0; failed < 2; failed++ {
		before := o.Received()
		status, err = o.request()
		switch {
		case !errors.Is(err, errInterrupted):
			if status == Unreachable {
				return nil, "", status, err
			}
			if status == Complete {
				sink = o.sink
			}
			etag = o.etag
			o.reset()
			return sink, etag, status, err
		case errors.Is(err, errChanged), !resumable(o.etag):
			o.reset()
		case o.Received() > before:
			failed = -1
		}
	}
	return nil, "", Unreachable, err
}

// resumable reports whether a request may have an entity tag in If-Match.
// https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
func resumable(etag string) bool { return strings.HasPrefix(etag, `"`) }

// request makes one request. If it was interrupted, the sink has what has arrived.
func (o *Object) request() (Status, error) {
	ctx, progress, stop := o.start()
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL, nil)
	if err != nil {
		return Unreachable, err
	}
	req.Header.Set("Accept-Encoding", "identity") // positions are of the object itself
	from, held := o.Received(), o.Held()
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		req.Header.Set("If-Match", o.etag)
	} else if held != "" {
		req.Header.Set("If-None-Match", held)
	}
	resp, err := Send(o.Transport, req)
	if err != nil {
		return o.interrupted("requesting", err)
	}
	defer resp.Body.Close()
	switch status := resp.StatusCode; {
	case status == http.StatusOK:
		o.sink, o.etag = o.Sink(resp.ContentLength), resp.Header.Get("ETag")
	case status == http.StatusPartialContent && from > 0:
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)) {
			return o.interrupted("requesting the rest of", errChanged)
		}
	case status == http.StatusNotModified && from == 0 && held != "":
		return Unchanged, nil
	case from > 0 && (status == http.StatusPreconditionFailed || status == http.StatusRequestedRangeNotSatisfiable):
		return o.interrupted("requesting the rest of", errChanged)
	case status == http.StatusForbidden, status == http.StatusNotFound:
		return Missing, fmt.Errorf("requesting the %s: status %d", o.Name, status)
	default:
		return Unreachable, fmt.Errorf("requesting the %s: status %d", o.Name, status)
	}
	_, err = o.sink.ReadFrom(&progressReader{resp.Body, progress})
	switch {
	case err == nil:
		return Complete, nil
	case o.Refuses(err):
		return Refused, err
	}
	return o.interrupted("reading", err)
}

// interruption is an error that wraps errInterrupted without its text.
type interruption struct{ error }

func (e interruption) Is(target error) bool { return target == errInterrupted }
func (e interruption) Unwrap() error        { return e.error }

func (o *Object) interrupted(doing string, err error) (Status, error) {
	return Unreachable, interruption{fmt.Errorf("%s the %s: %w", doing, o.Name, err)}
}

// progressReader calls progress whenever something was read.
type progressReader struct {
	io.Reader
	progress func()
}

func (r *progressReader) Read(p []byte) (n int, err error) {
	n, err = r.Reader.Read(p)
	if n > 0 {
		r.progress()
	}
	return n, err
}
