package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/pace"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tt := range []struct {
		name, header string
		want         time.Duration
		ok           bool
	}{
		{"seconds", "7", 7 * time.Second, true},
		{"zero", "0", 0, true},
		{"date", "Fri, 02 Jan 2026 03:04:35 GMT", 30 * time.Second, true},
		{"past", "Fri, 02 Jan 2026 03:04:00 GMT", 0, true},
		{"negative", "-1", 0, false},
		{"none", "", 0, false},
		{"nonsense", "soon", 0, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := retryAfter(tt.header, now); got != tt.want || ok != tt.ok {
				t.Errorf("%v, %v, want %v, %v", got, ok, tt.want, tt.ok)
			}
		})
	}
}

// errReset is a network error.
var errReset = errors.New("connection reset by peer")

// TestRetry tests which requests are retried, and after which time.
func TestRetry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		statuses    []int // the last one is repeated; 0 is a reset
		retryAfter  string
		requests    int // 0 is any number
		least, most time.Duration
	}{
		{"right-at-once", []int{200}, "", 1, 0, 0},
		{"not-found", []int{404}, "", 1, 0, 0},
		{"unauthorized", []int{401}, "", 1, 0, 0},
		{"asked-to-wait", []int{429, 200}, "7", 2, 7 * time.Second, 7 * time.Second},
		{"asked-to-wait-until", []int{429, 200}, "Sat, 01 Jan 2000 00:00:30 GMT", 2, 30 * time.Second, 30 * time.Second},
		{"asked-twice", []int{429, 503, 200}, "7", 3, 14 * time.Second, 14 * time.Second},
		{"asked-for-an-hour", []int{429, 200}, "3600", 2, time.Hour, time.Hour},
		{"asked-for-a-year", []int{429}, "31536000", 1, 0, 0},
		{"asked-for-ever", []int{503}, "99999999999999999999", 1, 0, 0},
		{"too-many-without-a-time", []int{429, 200}, "", 2, 250 * time.Millisecond, 500 * time.Millisecond},
		{"server-error", []int{500, 502, 200}, "", 3, 750 * time.Millisecond, 1500 * time.Millisecond},
		{"reset", []int{0, 200}, "", 2, 250 * time.Millisecond, 500 * time.Millisecond},
		{"asked-again-and-again", []int{503}, "1", maxAskedAttempts, patience, 3 * patience},
		{"overloaded-for-a-minute", append(slices.Repeat([]int{429}, 6), 200), "", 7, 15750 * time.Millisecond, 40 * time.Second},
		{"overloaded-always", []int{429}, "", 0, patience, patience + 10*time.Second},
		{"bad-gateway-always", []int{502}, "", 0, patience, patience},
		{"cdn-522-always", []int{522}, "", 0, patience, patience},
		{"cdn-520", []int{520, 521, 522, 523, 524, 200}, "", 6, 7750 * time.Millisecond, 15500 * time.Millisecond},
		{"server-error-always", []int{500}, "", maxAttempts, 7750 * time.Millisecond, 15500 * time.Millisecond},
		{"not-implemented", []int{501}, "", 1, 0, 0},
		{"reset-always", []int{0}, "", maxAttempts, 7750 * time.Millisecond, 15500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				rt := &retryTransport{limiter: pace.Limiter(0, 1), next: wire(func(r *http.Request) (*http.Response, error) {
					status := tt.statuses[min(n, len(tt.statuses)-1)]
					n++
					if status == 0 {
						return nil, errReset
					}
					return respond(r, status, http.Header{"Retry-After": {tt.retryAfter}}, "")
				})}
				began := time.Now()
				resp, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodGet, "https://example.com/v2/app/tags/list", ""))
				last := tt.statuses[len(tt.statuses)-1]
				if last == 0 && !errors.Is(err, errReset) || last != 0 && (err != nil || resp.StatusCode != last) {
					t.Errorf("response %v, error %v", resp, err)
				}
				if took := time.Since(began); tt.requests > 0 && n != tt.requests || took < tt.least || took > tt.most {
					t.Errorf("%d requests in %v, want %d in %v to %v", n, took, tt.requests, tt.least, tt.most)
				}
			})
		})
	}
}

func newRequest(ctx context.Context, t *testing.T, method, address, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRetryBody tests that a retried request has its body again, for example that
// of a token request.
func TestRetryBody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got []string
		rt := &retryTransport{limiter: pace.Limiter(0, 1), next: wire(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			got = append(got, string(body))
			if len(got) < 3 {
				return respond(r, http.StatusServiceUnavailable, nil, "")
			}
			return respond(r, http.StatusOK, nil, "")
		})}
		resp, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodPost, "https://example.com/token", "secret"))
		if err != nil || resp.StatusCode != http.StatusOK || fmt.Sprint(got) != "[secret secret secret]" {
			t.Errorf("sent %q, error %v", got, err)
		}
	})
}

// TestRetryEnds tests that a deadline ends a wait, also that for the rate limit, and
// is distinguishable from a failure.
func TestRetryEnds(t *testing.T) {
	t.Parallel()
	over := errors.New("interrupted by the test")
	for _, tt := range []struct {
		name   string
		rate   float64
		status int
	}{
		{"asked-to-wait", 0, http.StatusTooManyRequests},
		{"rate", 0.01, http.StatusOK},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt := &retryTransport{limiter: pace.Limiter(tt.rate, 1), next: wire(func(r *http.Request) (*http.Response, error) {
					return respond(r, tt.status, http.Header{"Retry-After": {"60"}}, "")
				})}
				ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, over)
				defer cancel()
				began := time.Now()
				var err error
				for range 2 { // the first one is within the rate
					if _, err = rt.RoundTrip(newRequest(ctx, t, http.MethodGet, "https://example.com/v2/a/tags/list", "")); err != nil {
						break
					}
				}
				if !errors.Is(err, over) || ctx.Err() == nil || time.Since(began) > 30*time.Second {
					t.Errorf("error %v after %v", err, time.Since(began))
				}
			})
		})
	}
}

// TestRedirectRate tests that a request that follows a redirect does not count against
// the rate.
func TestRedirectRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		data, blob := noise(1, 100)
		c, _ := served(t, "example.com", Options{Rate: 10}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Host == "example.com" {
				w.Header().Set("Location", "https://storage.example/x")
				w.WriteHeader(http.StatusTemporaryRedirect)
				return
			}
			w.Write(data)
		})
		began := time.Now()
		for range 40 {
			body, _, err := c.Blob(t.Context(), "app", blob, 0)
			if err != nil {
				t.Fatal(err)
			}
			body.Close()
		}
		if took := time.Since(began); took < 3*time.Second || took > 3500*time.Millisecond {
			t.Errorf("40 blobs after redirects took %v at 10 requests per second, want about 3 s", took)
		}
	})
}

func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rt := &retryTransport{limiter: pace.Limiter(10, 10), next: wire(func(r *http.Request) (*http.Response, error) { return respond(r, http.StatusOK, nil, "") })}
		began := time.Now()
		var group errgroup.Group
		for range 100 {
			group.Go(func() error {
				_, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodGet, "https://example.com/v2/a/tags/list", ""))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 8900*time.Millisecond || took > 9100*time.Millisecond {
			t.Errorf("100 requests at 10 per second with a burst of 10 took %v, want 9s", took)
		}
	})
}

// TestExhausted tests that a host that was given up is given up sooner by the
// next request, until one succeeds.
func TestExhausted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		status := http.StatusServiceUnavailable
		rt := &retryTransport{limiter: pace.Limiter(0, 1), next: wire(func(r *http.Request) (*http.Response, error) { return respond(r, status, nil, "") })}
		for i, want := range []time.Duration{patience, patience / 10, 0, patience} {
			if status = http.StatusServiceUnavailable; want == 0 {
				status = http.StatusOK
			}
			began := time.Now()
			if _, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodGet, "https://example.com/v2/a/tags/list", "")); err != nil || time.Since(began) != want {
				t.Errorf("request %d took %v, error %v, want %v", i, time.Since(began), err, want)
			}
		}
	})
}

// TestLongWait tests that a wait that is too long ends the request, and does not
// hold up others.
func TestLongWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rt := &retryTransport{limiter: pace.Limiter(0, 1), next: wire(func(r *http.Request) (*http.Response, error) {
			if n++; n == 1 {
				return respond(r, http.StatusTooManyRequests, http.Header{"Retry-After": {"31536000"}}, "")
			}
			return respond(r, http.StatusOK, nil, "")
		})}
		began := time.Now()
		for _, want := range []int{http.StatusTooManyRequests, http.StatusOK} {
			resp, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodGet, "https://example.com/v2/a/tags/list", ""))
			if err != nil || resp.StatusCode != want || time.Since(began) != 0 {
				t.Errorf("response %v, error %v after %v, want status %d", resp, err, time.Since(began), want)
			}
		}
	})
}

// TestSlowDown tests that all requests to a host slow down together after a
// refusal, those to other hosts do not, and that a wait is reported once.
func TestSlowDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var messages []string
		refused := false
		rt := &retryTransport{limiter: pace.Limiter(0, 1), notify: func(m string) {
			mu.Lock()
			defer mu.Unlock()
			messages = append(messages, m)
		}, next: wire(func(r *http.Request) (*http.Response, error) {
			mu.Lock()
			defer mu.Unlock()
			if r.URL.Host == "example.com" && !refused {
				refused = true
				return respond(r, http.StatusTooManyRequests, http.Header{"Retry-After": {"300"}}, "")
			}
			return respond(r, http.StatusOK, nil, "")
		})}
		took := func(host string) time.Duration {
			began := time.Now()
			if _, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodGet, "https://"+host+"/v2/a/tags/list", "")); err != nil {
				t.Error(err)
			}
			return time.Since(began)
		}
		var group sync.WaitGroup
		group.Go(func() {
			if d := took("example.com"); d < 5*time.Minute {
				t.Errorf("the refused request took %v", d)
			}
		})
		synctest.Wait()
		group.Go(func() {
			if d := took("example.com"); d < 5*time.Minute {
				t.Errorf("the next request took %v", d)
			}
		})
		group.Go(func() {
			if d := took("other.example"); d != 0 {
				t.Errorf("a request to another host took %v", d)
			}
		})
		group.Wait()
		if want := []string{"example.com asks to wait 5m0s: waiting"}; !slices.Equal(messages, want) {
			t.Errorf("messages %q, want %q", messages, want)
		}
	})
}

// TestSilent tests that a host that does not respond is given up after a minute,
// and asked again.
func TestSilent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := 0
		rt := &retryTransport{limiter: pace.Limiter(0, 1), next: wire(func(r *http.Request) (*http.Response, error) {
			if n++; n == 1 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return respond(r, http.StatusOK, nil, "")
		})}
		began := time.Now()
		resp, err := rt.RoundTrip(newRequest(t.Context(), t, http.MethodGet, "https://example.com/v2/a/tags/list", ""))
		if err != nil || resp.StatusCode != http.StatusOK || time.Since(began) < headerTimeout || time.Since(began) > headerTimeout+time.Second {
			t.Errorf("response %v, error %v after %v", resp, err, time.Since(began))
		}
	})
}
