package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"archeio/lambda/index"
)

// indexStall is how long a request for the index may make no progress.
const indexStall = 10 * time.Second

// download is the part of an index that has arrived. If the end of an invocation
// interrupts a request for it, another one continues.
type download struct {
	decoder *index.Decoder // nil if nothing has arrived
	etag    string         // of the index that it is a part of

	mu     sync.Mutex
	cancel context.CancelFunc // ends the request in progress
}

// interrupt ends the request in progress, if there is one.
func (d *download) interrupt() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cancel != nil {
		d.cancel()
	}
}

// start returns the context of a request. It ends when it is interrupted, or when
// progress is not called for indexStall.
func (d *download) start() (ctx context.Context, progress, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	stall := time.AfterFunc(indexStall, cancel)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.cancel = cancel
	return ctx, func() { stall.Reset(indexStall) }, func() { stall.Stop(); cancel() }
}

// received returns the number of bytes that have arrived.
func (d *download) received() int64 {
	if d.decoder == nil {
		return 0
	}
	return d.decoder.Received()
}

func (d *download) reset() { d.decoder, d.etag = nil, "" }

// errChanged is the error if what has arrived is not a part of the index any more.
var errChanged = errors.New("requesting the rest of the blob index: it has changed")

// fetch requests the index, or the rest of it. It tries again as long as something
// arrives, and once if nothing does: the connection may be older than a freeze.
func (l *indexLoader) fetch() (x *index.Index, etag, outcome string, err error) {
	d := &l.download
	for failed := 0; failed < 2; failed++ {
		before := d.received()
		x, outcome, err = l.request()
		switch {
		case outcome == IndexUnreachable:
			return nil, "", outcome, err
		case outcome != "":
			etag = d.etag
			d.reset()
			return x, etag, outcome, err
		case err == errChanged, !resumable(d.etag):
			d.reset()
		case d.received() > before:
			failed = -1
		}
	}
	return nil, "", IndexUnreachable, err
}

// resumable reports whether a request may have an entity tag in If-Match.
// https://www.rfc-editor.org/rfc/rfc9110#section-13.1.1
func resumable(etag string) bool { return strings.HasPrefix(etag, `"`) }

// request makes one request. The outcome is empty if it was interrupted; then the
// download has what has arrived.
func (l *indexLoader) request() (x *index.Index, outcome string, err error) {
	d := &l.download
	ctx, progress, stop := d.start()
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.options.URL, nil)
	if err != nil {
		return nil, IndexUnreachable, err
	}
	req.Header.Set("Accept-Encoding", "identity") // positions are of the index itself
	from := d.received()
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		req.Header.Set("If-Match", d.etag)
	} else if l.etag != "" {
		req.Header.Set("If-None-Match", l.etag)
	}
	resp, err := send(l.transport, req)
	if err != nil {
		return nil, "", fmt.Errorf("requesting the blob index: %w", err)
	}
	defer resp.Body.Close()
	switch status := resp.StatusCode; {
	case status == http.StatusOK:
		d.decoder, d.etag = index.NewDecoder(l.admit), resp.Header.Get("ETag")
	case status == http.StatusPartialContent && from > 0:
		if !strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", from)) {
			return nil, "", errChanged
		}
	case status == http.StatusNotModified && from == 0 && l.etag != "":
		return nil, IndexUnchanged, nil
	case from > 0 && (status == http.StatusPreconditionFailed || status == http.StatusRequestedRangeNotSatisfiable):
		return nil, "", errChanged
	case status == http.StatusForbidden, status == http.StatusNotFound:
		return nil, IndexMissing, fmt.Errorf("requesting the blob index: status %d", status)
	default:
		return nil, IndexUnreachable, fmt.Errorf("requesting the blob index: status %d", status)
	}
	_, err = d.decoder.ReadFrom(&progressReader{resp.Body, progress})
	_, stale := errors.AsType[*staleError](err)
	switch {
	case stale:
		return nil, IndexStale, err
	case errors.Is(err, index.ErrInvalid):
		return nil, IndexCorrupt, err
	case errors.Is(err, errTooLarge):
		return nil, IndexTooLarge, err
	case err != nil:
		return nil, "", fmt.Errorf("reading the blob index: %w", err)
	}
	if x, err = d.decoder.Index(); err != nil {
		return nil, IndexCorrupt, err
	}
	return x, IndexLoaded, nil
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
