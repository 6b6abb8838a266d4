package pace

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/time/rate"
)

const (
	// Burst is the number of bytes that are read before the bandwidth limit
	// applies.
	Burst = 64 << 10
	// StallTimeout is how long a stream may deliver no bytes.
	StallTimeout = time.Minute
	// slowAfter is the time spent on waiting for bytes after which a stream must
	// have delivered slowest bytes per second on average.
	slowAfter = 10 * time.Minute
	slowest   = 256
)

// Reader is a response body that keeps to a bandwidth, which it shares with
// other readers, and that fails when it stalls.
type Reader struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	body    io.ReadCloser
	limiter *rate.Limiter
	stall   *time.Timer
	waited  time.Duration // for bytes, without the time that the bandwidth costs
	bytes   int64
}

// NewReader wraps the body of a request that cancel ends.
func NewReader(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, limiter *rate.Limiter) *Reader {
	r := &Reader{ctx: ctx, cancel: cancel, body: body, limiter: limiter}
	r.stall = time.AfterFunc(StallTimeout, func() { cancel(ErrStalled) })
	r.stall.Stop()
	return r
}

// ErrStalled is the error of a Reader without bytes for StallTimeout.
var ErrStalled = errors.New("no bytes received for a minute")

// ErrSlow is the error of a Reader that received next to no bytes in ten
// minutes.
var ErrSlow = errors.New("fewer than 256 bytes per second received for ten minutes")

func (r *Reader) Read(p []byte) (int, error) {
	began := time.Now()
	r.stall.Reset(StallTimeout)
	n, err := r.body.Read(p[:min(len(p), Burst)])
	r.stall.Stop()
	r.waited += time.Since(began)
	r.bytes += int64(n)
	if err == nil && r.waited > slowAfter && r.bytes < int64(r.waited.Seconds())*slowest {
		r.cancel(ErrSlow)
		return n, ErrSlow
	}
	if cause := context.Cause(r.ctx); err != nil && err != io.EOF && cause != nil {
		return n, cause
	}
	if waited := Wait(r.ctx, r.limiter, n); waited != nil {
		return n, waited
	}
	return n, err
}

func (r *Reader) Close() error {
	r.stall.Stop()
	r.cancel(nil) // or a long run keeps one context per blob
	return r.body.Close()
}
