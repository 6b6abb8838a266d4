package copier

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// retryTransport keeps to the rate, and waits as long as a registry asks it to. What
// the registry answers to a ping it asks once.
type retryTransport struct {
	next    http.RoundTripper
	limiter *rate.Limiter

	mu    sync.Mutex
	pings map[string]ping // by scheme
}

// ping is what a registry answered to one, by which a client finds out how to
// log in; over the wrong scheme that is an error.
type ping struct {
	answer *http.Response
	err    error
}

const (
	// maxAttempts is how often a request is sent again, maxRetryAfter how long a
	// registry may ask to wait.
	maxAttempts   = 6
	maxRetryAfter = 2 * time.Minute
)

func (p *retryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || r.URL.Path != "/v2/" {
		return p.send(r)
	}
	// Each repository begins with one; the others wait for the first.
	p.mu.Lock()
	defer p.mu.Unlock()
	known, ok := p.pings[r.URL.Scheme]
	if !ok {
		resp, err := p.send(r)
		switch {
		case otherScheme(err):
		case err != nil || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnauthorized:
			return resp, err
		default:
			resp.Body.Close()
		}
		if p.pings == nil {
			p.pings = map[string]ping{}
		}
		known = ping{resp, err}
		p.pings[r.URL.Scheme] = known
	}
	if known.err != nil {
		return nil, known.err
	}
	again := *known.answer
	again.Header, again.Body, again.Request = known.answer.Header.Clone(), http.NoBody, r
	return &again, nil
}

func (p *retryTransport) send(r *http.Request) (*http.Response, error) {
	for try := 1; ; try++ {
		if err := waitLimiter(r.Context(), p.limiter, 1); err != nil {
			return nil, err
		}
		if try > 1 && r.GetBody != nil { // it was read, as that of a request for a token
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			r = r.Clone(r.Context())
			r.Body = body
		}
		resp, err := p.next.RoundTrip(r)
		if try == maxAttempts || r.Context().Err() != nil || !retryable(resp, err) {
			return resp, err
		}
		wait := backoff(try)
		if err == nil {
			if asked, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
				wait = min(asked, maxRetryAfter)
			}
			resp.Body.Close()
		}
		if err := sleep(r.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// waitLimiter waits until a limiter lets n through. Where the end of ctx comes first
// it waits for that, so that what is cut off is not taken for a failure.
func waitLimiter(ctx context.Context, limiter *rate.Limiter, n int) error {
	err := limiter.WaitN(ctx, n)
	if _, ends := ctx.Deadline(); err != nil && ends {
		<-ctx.Done()
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// otherScheme tells that a server speaks no TLS.
func otherScheme(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record)
}

// retryable tells what may be right the next time.
func retryable(resp *http.Response, err error) bool {
	if err != nil {
		return !otherScheme(err)
	}
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// backoff is how long to wait before the next try: twice as long each time, and
// never the same for all who wait.
func backoff(try int) time.Duration {
	longest := 250 * time.Millisecond << min(try, 6)
	return longest/2 + rand.N(longest/2)
}

// retryAfter reads the header: seconds, or a date. RFC 9110 section 10.2.3.
func retryAfter(header string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.Atoi(header); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

const (
	// burst is how many bytes are read before a bandwidth is looked at.
	burst = 64 << 10
	// stalled is how long a stream may bring nothing.
	stalled = time.Minute
)

// stream is a body that keeps to a bandwidth, which it shares with others, and
// that fails where nothing comes any more.
type stream struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	body    io.ReadCloser
	limiter *rate.Limiter
	stall   *time.Timer
	stalled time.Duration
}

// newStream wraps the body of a request that cancel ends.
func newStream(ctx context.Context, cancel context.CancelCauseFunc, body io.ReadCloser, limiter *rate.Limiter) *stream {
	s := &stream{ctx: ctx, cancel: cancel, body: body, limiter: limiter, stalled: stalled}
	s.stall = time.AfterFunc(s.stalled, func() { cancel(errStalled) })
	s.stall.Stop()
	return s
}

var errStalled = errors.New("nothing came for a minute")

func (s *stream) Read(p []byte) (int, error) {
	s.stall.Reset(s.stalled)
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
	s.cancel(nil) // else a long run keeps a context of every blob
	return s.body.Close()
}
