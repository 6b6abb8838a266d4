package copier

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/sync/errgroup"
)

func TestRetryAfter(t *testing.T) {
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

// errReset is what networks do.
var errReset = errors.New("connection reset by peer")

// A request is sent again when that may help, and when the registry asks for it.
// The time is played.
func TestPatience(t *testing.T) {
	for _, tt := range []struct {
		name        string
		answers     []int // the last one again and again; 0 is a reset
		retryAfter  string
		requests    int
		least, most time.Duration
	}{
		{"right-at-once", []int{200}, "", 1, 0, 0},
		{"not-found", []int{404}, "", 1, 0, 0},
		{"unauthorized", []int{401}, "", 1, 0, 0},
		{"asked-to-wait", []int{429, 200}, "7", 2, 7 * time.Second, 7 * time.Second},
		{"asked-to-wait-until", []int{429, 200}, "Sat, 01 Jan 2000 00:00:30 GMT", 2, 30 * time.Second, 30 * time.Second},
		{"asked-twice", []int{429, 503, 200}, "7", 3, 14 * time.Second, 14 * time.Second},
		{"asked-for-an-hour", []int{429, 200}, "3600", 2, maxRetryAfter, maxRetryAfter},
		{"too-many-without-a-time", []int{429, 200}, "", 2, 250 * time.Millisecond, 500 * time.Millisecond},
		{"server-error", []int{500, 502, 200}, "", 3, 750 * time.Millisecond, 1500 * time.Millisecond},
		{"reset", []int{0, 200}, "", 2, 250 * time.Millisecond, 500 * time.Millisecond},
		{"never-right", []int{503}, "1", maxAttempts, 5 * time.Second, 5 * time.Second},
		{"reset-always", []int{0}, "", maxAttempts, 7750 * time.Millisecond, 15500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := 0
				p := &retryTransport{limiter: limiter(0, 1), next: wire(func(r *http.Request) (*http.Response, error) {
					status := tt.answers[min(n, len(tt.answers)-1)]
					n++
					if status == 0 {
						return nil, errReset
					}
					return answer(r, status, http.Header{"Retry-After": {tt.retryAfter}}, "")
				})}
				began := time.Now()
				resp, err := p.RoundTrip(request(t.Context(), t, http.MethodGet, "https://example.com/v2/app/tags/list", ""))
				last := tt.answers[len(tt.answers)-1]
				if last == 0 && !errors.Is(err, errReset) || last != 0 && (err != nil || resp.StatusCode != last) {
					t.Errorf("answer %v, error %v", resp, err)
				}
				if took := time.Since(began); n != tt.requests || took < tt.least || took > tt.most {
					t.Errorf("%d requests in %v, want %d in %v to %v", n, took, tt.requests, tt.least, tt.most)
				}
			})
		})
	}
}

func request(ctx context.Context, t *testing.T, method, address, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// A request that is sent again has its body again, as one for a token has.
func TestPatienceBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		p := &retryTransport{limiter: limiter(0, 1), next: wire(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			got = append(got, string(body))
			if len(got) < 3 {
				return answer(r, http.StatusServiceUnavailable, nil, "")
			}
			return answer(r, http.StatusOK, nil, "")
		})}
		resp, err := p.RoundTrip(request(t.Context(), t, http.MethodPost, "https://example.com/token", "secret"))
		if err != nil || resp.StatusCode != http.StatusOK || fmt.Sprint(got) != "[secret secret secret]" {
			t.Errorf("sent %q, error %v", got, err)
		}
	})
}

// The end of a run ends a wait, and is told from a failure, also where the rate
// leaves no time for one more request.
func TestPatienceEnds(t *testing.T) {
	over := errors.New("it is over")
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
				p := &retryTransport{limiter: limiter(tt.rate, 1), next: wire(func(r *http.Request) (*http.Response, error) {
					return answer(r, tt.status, http.Header{"Retry-After": {"60"}}, "")
				})}
				ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, over)
				defer cancel()
				began := time.Now()
				var err error
				for range 2 { // the first one is within the rate
					if _, err = p.RoundTrip(request(ctx, t, http.MethodGet, "https://example.com/v2/a/tags/list", "")); err != nil {
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

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &retryTransport{limiter: limiter(10, 10), next: wire(func(r *http.Request) (*http.Response, error) { return answer(r, http.StatusOK, nil, "") })}
		began := time.Now()
		var group errgroup.Group
		for range 100 {
			group.Go(func() error {
				_, err := p.RoundTrip(request(t.Context(), t, http.MethodGet, "https://example.com/v2/a/tags/list", ""))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 8900*time.Millisecond || took > 9100*time.Millisecond {
			t.Errorf("100 requests at 10 a second, 10 of them at once, took %v, want 9s", took)
		}
	})
}

// A ping that failed is no answer for those who ask later.
func TestPingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		p := &retryTransport{limiter: limiter(0, 1), next: wire(func(r *http.Request) (*http.Response, error) {
			if n++; n <= maxAttempts {
				return answer(r, http.StatusBadGateway, nil, "")
			}
			return answer(r, http.StatusUnauthorized, http.Header{"Www-Authenticate": {"Basic"}}, "")
		})}
		for i, want := range []int{http.StatusBadGateway, http.StatusUnauthorized, http.StatusUnauthorized} {
			resp, err := p.RoundTrip(request(t.Context(), t, http.MethodGet, "https://example.com/v2/", ""))
			if err != nil || resp.StatusCode != want || want == http.StatusUnauthorized && resp.Header.Get("Www-Authenticate") != "Basic" {
				t.Errorf("ping %d is answered with %+v, error %v", i, resp, err)
			}
		}
		if n != maxAttempts+1 {
			t.Errorf("%d requests", n)
		}
	})
}

// played is a Source whose blobs are played: each is answered with a body.
func played(t *testing.T, o SourceOptions, body func(ctx context.Context) io.ReadCloser) *Source {
	t.Helper()
	o.Keychain = authn.NewMultiKeychain()
	o.Transport = wire(func(r *http.Request) (*http.Response, error) {
		resp, err := answer(r, http.StatusOK, nil, "")
		if r.URL.Path != "/v2/" {
			resp.Body, resp.ContentLength = body(r.Context()), -1
		}
		return resp, err
	})
	s, err := NewSource("example.com", o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// All blobs together keep to the bandwidth.
func TestBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 5_000_000
		s := played(t, SourceOptions{Bandwidth: 1_000_000}, func(context.Context) io.ReadCloser {
			return io.NopCloser(strings.NewReader(strings.Repeat("x", size)))
		})
		began := time.Now()
		var group errgroup.Group
		for range 4 {
			group.Go(func() error {
				body, _, err := s.Blob(t.Context(), "app", Blob{a, size}, 0)
				if err != nil {
					return err
				}
				defer body.Close()
				n, err := io.Copy(io.Discard, body)
				if n != size {
					t.Errorf("%d bytes", n)
				}
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 19*time.Second || took > 21*time.Second {
			t.Errorf("20 MB at 1 MB a second took %v", took)
		}
	})
}

// dripping brings a byte at a time, after a pause that is longer each time.
type dripping struct {
	ctx   context.Context
	pause time.Duration
}

func (d *dripping) Read(p []byte) (int, error) {
	if err := sleep(d.ctx, d.pause); err != nil {
		return 0, d.ctx.Err() // as net/http has it
	}
	d.pause += 10 * time.Second
	return 1, nil
}

func (*dripping) Close() error { return nil }

// A stream that is slow goes on; one that brings nothing any more ends.
func TestStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := played(t, SourceOptions{}, func(ctx context.Context) io.ReadCloser { return &dripping{ctx, time.Second} })
		body, _, err := s.Blob(t.Context(), "app", Blob{a, 100}, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		began := time.Now()
		n, err := io.Copy(io.Discard, body)
		if n != 6 || !errors.Is(err, errStalled) || time.Since(began) != (1+11+21+31+41+51+60)*time.Second {
			t.Errorf("%d bytes after %v, error %v", n, time.Since(began), err)
		}
	})
}

// Who reads slowly does not make a stream stall.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var of context.Context
		s := played(t, SourceOptions{}, func(ctx context.Context) io.ReadCloser {
			of = ctx
			return io.NopCloser(strings.NewReader("abc"))
		})
		body, _, err := s.Blob(t.Context(), "app", Blob{a, 3}, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		for range 3 {
			if _, err := io.ReadFull(body, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			if time.Sleep(2 * stalled); of.Err() != nil {
				t.Fatal("the request was ended:", context.Cause(of))
			}
		}
	})
}
