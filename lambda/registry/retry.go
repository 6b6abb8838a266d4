package registry

import (
	"crypto/tls"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"archeio/lambda/outage"
	"archeio/lambda/pace"
)

// retryTransport keeps to the request rate, retries, and waits for as long as
// the registry asks. It pings the registry once per scheme and caches the
// response. It is safe for concurrent use.
type retryTransport struct {
	next    http.RoundTripper
	limiter *rate.Limiter
	outages *outage.Watcher

	mu    sync.Mutex
	pings map[string]ping // by scheme
}

// ping is the response of a registry to GET /v2/, which has the authentication
// challenge, or the error if the registry uses the other scheme.
type ping struct {
	response *http.Response
	err      error
}

const (
	// maxAttempts is how often a request is sent at most.
	maxAttempts = 6
	// maxRetryAfter limits the wait that a registry can ask for.
	maxRetryAfter = 2 * time.Minute
)

func (t *retryTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet || r.URL.Path != "/v2/" {
		return t.send(r)
	}
	// Every repository starts with a ping; all others wait for the first.
	t.mu.Lock()
	defer t.mu.Unlock()
	cached, ok := t.pings[r.URL.Scheme]
	if !ok {
		resp, err := t.send(r)
		switch {
		case otherScheme(err):
		case err != nil || resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusUnauthorized:
			return resp, err
		default:
			resp.Body.Close()
		}
		if t.pings == nil {
			t.pings = map[string]ping{}
		}
		cached = ping{resp, err}
		t.pings[r.URL.Scheme] = cached
	}
	if cached.err != nil {
		return nil, cached.err
	}
	resp := *cached.response
	resp.Header, resp.Body, resp.Request = cached.response.Header.Clone(), http.NoBody, r
	return &resp, nil
}

func (t *retryTransport) send(r *http.Request) (*http.Response, error) {
	for attempt := 1; ; attempt++ {
		if err := pace.Wait(r.Context(), t.limiter, 1); err != nil {
			return nil, err
		}
		if attempt > 1 && r.GetBody != nil { // already read, for example that of a token request
			body, err := r.GetBody()
			if err != nil {
				return nil, err
			}
			r = r.Clone(r.Context())
			r.Body = body
		}
		resp, err := t.outages.Watch(r, t.next.RoundTrip)
		if attempt == maxAttempts || r.Context().Err() != nil || !retryable(resp, err) {
			return resp, err
		}
		wait := pace.Backoff(attempt)
		if err == nil {
			if asked, ok := retryAfter(resp.Header.Get("Retry-After"), time.Now()); ok {
				wait = min(asked, maxRetryAfter)
			}
			resp.Body.Close()
		}
		if err := pace.Sleep(r.Context(), wait); err != nil {
			return nil, err
		}
	}
}

// otherScheme reports whether a server does not use TLS.
func otherScheme(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record)
}

// retryable reports whether the same request may succeed later.
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

// retryAfter parses a Retry-After header: seconds or a date. RFC 9110, section
// 10.2.3.
func retryAfter(header string, now time.Time) (time.Duration, bool) {
	if seconds, err := strconv.Atoi(header); err == nil && seconds >= 0 {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now)), true
	}
	return 0, false
}
