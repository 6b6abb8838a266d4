package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"archeio/lambda/outage"
	"archeio/lambda/pace"
)

// retryTransport keeps to the request rate, retries, waits for as long as a host
// asks, and ends silent requests. It is safe for concurrent use.
type retryTransport struct {
	next     http.RoundTripper
	limiter  *rate.Limiter
	outages  *outage.Watcher
	notify   func(message string)
	retried  func()
	patience time.Duration

	mu    sync.Mutex
	hosts map[string]*hostState
}

// hostState is the pace of the requests to a host.
type hostState struct {
	throttle pace.Throttle
	reported time.Time // until when a reported wait lasts
	// exhausted reports whether a request was given up, and none has succeeded
	// since: then others are given up sooner.
	exhausted atomic.Bool
}

const (
	// maxAttempts is how often a request is sent that fails in other ways than
	// through overload.
	maxAttempts = 6
	// patience is how long an overloaded host is waited for that does not say for
	// how long.
	patience = 2 * time.Minute
	// maxAskedAttempts is how often a request is sent to a host that asks again
	// and again to wait.
	maxAskedAttempts = 24
	// maxRetryAfter is the longest wait that a host can ask for. Docker Hub counts
	// requests in six hours.
	maxRetryAfter = 12 * time.Hour
	// reportedWait is the shortest wait that is reported.
	reportedWait = 10 * time.Second
	// maxHosts limits the states of hosts, which redirects name.
	maxHosts = 256
	// headerTimeout is how long a host may take to begin its response.
	headerTimeout = pace.StallTimeout
)

// redirected is the context key of a request that follows a redirect. It does not count
// against the rate.
type redirected struct{}

// errSilent is the error for a host that does not respond.
var errSilent = fmt.Errorf("no response for %v", headerTimeout)

func (t *retryTransport) host(name string) *hostState {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.hosts[name]; h != nil {
		return h
	}
	if t.hosts == nil || len(t.hosts) >= maxHosts {
		t.hosts = map[string]*hostState{}
	}
	h := &hostState{}
	t.hosts[name] = h
	return h
}

// RoundTrip implements http.RoundTripper. The body of a response ends with an
// error once it stalls.
func (t *retryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	host := t.host(r.URL.Host)
	var waited time.Duration
	for attempt := 1; ; attempt++ {
		if err := host.throttle.Wait(r.Context()); err != nil {
			return nil, err
		}
		if r.Context().Value(redirected{}) == nil {
			if err := pace.Wait(r.Context(), t.limiter, 1); err != nil {
				return nil, err
			}
		}
		if attempt > 1 && r.GetBody != nil { // already read, for example that of a token request
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			r = r.Clone(r.Context())
			r.Body = body
		}
		sent := time.Now()
		resp, err := t.attempt(r)
		if r.Context().Err() != nil {
			return resp, err
		}
		if !retryable(resp, err) {
			if err == nil {
				host.throttle.Succeeded()
				host.exhausted.Store(false)
			}
			return resp, err
		}
		wait, ok := t.wait(host, r.URL.Host, resp, sent, attempt, waited)
		if !ok {
			return resp, err
		}
		if err == nil {
			drain(resp)
		}
		t.again()
		if err := pace.Sleep(r.Context(), wait); err != nil {
			return nil, err
		}
		waited += wait
	}
}

// again reports that a request is sent again.
func (t *retryTransport) again() {
	if t.retried != nil {
		t.retried()
	}
}

// wait returns how long to wait before the next attempt, and whether there is one.
func (t *retryTransport) wait(host *hostState, name string, resp *http.Response, sent time.Time, attempt int, waited time.Duration) (time.Duration, bool) {
	backoff := pace.Backoff(attempt)
	if resp == nil {
		return backoff, attempt < maxAttempts
	}
	asked, said := retryAfter(resp.Header.Get("Retry-After"), time.Now())
	if asked > maxRetryAfter {
		host.exhausted.Store(true)
		return 0, false
	}
	if resp.StatusCode == http.StatusTooManyRequests && (asked > 0 || !said) || resp.StatusCode == http.StatusServiceUnavailable && asked > 0 {
		host.throttle.Refused(sent, asked)
	}
	most, attempts := t.patience, maxAskedAttempts
	if most == 0 {
		most = patience
	}
	if host.exhausted.Load() {
		most, attempts = most/10, 2
	}
	switch {
	case said && asked > 0:
		if attempt >= attempts && waited >= most {
			host.exhausted.Store(true)
			return 0, false
		}
		t.report(host, name, asked)
		if attempt > 4 {
			asked = max(asked, backoff)
		}
		return asked, true
	case !overloaded(resp.StatusCode):
		return backoff, attempt < maxAttempts
	}
	if waited >= most {
		host.exhausted.Store(true)
		return 0, false
	}
	return min(backoff, most-waited), true
}

// report reports a wait, once for all requests to a host that wait at once.
func (t *retryTransport) report(host *hostState, name string, asked time.Duration) {
	if t.notify == nil || asked < reportedWait {
		return
	}
	now := time.Now()
	t.mu.Lock()
	again := now.Before(host.reported)
	if !again {
		host.reported = now.Add(asked)
	}
	t.mu.Unlock()
	if !again {
		t.notify(fmt.Sprintf("%s asks to wait %v: waiting", line(name), asked.Round(time.Second)))
	}
}

// attempt sends a request once, and ends it if the host is silent.
func (t *retryTransport) attempt(r *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	timer := time.AfterFunc(headerTimeout, func() { cancel(errSilent) })
	resp, err := t.outages.Watch(r.WithContext(ctx), t.next.RoundTrip)
	timer.Stop()
	if err != nil {
		if r.Context().Err() == nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		cancel(nil)
		return nil, err
	}
	resp.Body = pace.NewReader(ctx, cancel, resp.Body, unlimited)
	resp.Request = r
	return resp, nil
}

// unlimited is the bandwidth of responses, unless they are blobs.
var unlimited = rate.NewLimiter(rate.Inf, pace.Burst)

// drain reads the rest of a short body, so that the connection can be used again,
// and closes it.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBody)
	resp.Body.Close()
}

// otherScheme reports whether a server does not use TLS.
func otherScheme(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record)
}

// overloaded reports whether a status code is that of a host that may soon
// respond again: quotas, gateways, and those of Cloudflare.
// https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/
func overloaded(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, 520, 521, 522, 523, 524:
		return true
	}
	return false
}

// retryable reports whether the same request may succeed later.
func retryable(resp *http.Response, err error) bool {
	if err != nil {
		var invalid *tls.CertificateVerificationError
		return !otherScheme(err) && !errors.As(err, &invalid)
	}
	switch resp.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return resp.StatusCode >= 500 && resp.StatusCode <= 599
}

// retryAfter parses a Retry-After header: seconds or a date. RFC 9110, section
// 10.2.3.
func retryAfter(header string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.ParseInt(header, 10, 32); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, true
	} else if errors.Is(err, strconv.ErrRange) && header[0] != '-' {
		return maxRetryAfter + time.Second, true
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}
