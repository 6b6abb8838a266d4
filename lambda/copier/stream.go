package copier

import (
	"context"
	"errors"
	"io"
	"time"

	"golang.org/x/time/rate"
)

const (
	// burst is the number of bytes that are read before the bandwidth limit
	// applies.
	burst = 64 << 10
	// stallTimeout is how long a stream may deliver no bytes.
	stallTimeout = time.Minute
)

// stream is a response body that keeps to a bandwidth, which it shares with
// other streams, and that fails when it stalls.
type stream struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	body    io.ReadCloser
	limiter *rate.Limiter
	stall   *time.Timer
}

// newStream wraps the body of a request that cancel ends.
func newStream(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, limiter *rate.Limiter) *stream {
	s := &stream{ctx: ctx, cancel: cancel, body: body, limiter: limiter}
	s.stall = time.AfterFunc(stallTimeout, func() { cancel(errStalled) })
	s.stall.Stop()
	return s
}

var errStalled = errors.New("no bytes received for a minute")

func (s *stream) Read(p []byte) (int, error) {
	s.stall.Reset(stallTimeout)
	n, err := s.body.Read(p[:min(len(p), burst)])
	s.stall.Stop()
	if cause := context.Cause(s.ctx); err != nil && err != io.EOF && cause != nil {
		return n, cause
	}
	if waited := waitLimiter(s.ctx, s.limiter, n); waited != nil {
		return n, waited
	}
	return n, err
}

func (s *stream) Close() error {
	s.stall.Stop()
	s.cancel(nil) // or a long run keeps one context per blob
	return s.body.Close()
}
