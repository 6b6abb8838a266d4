package blobs

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"archeio/lambda/download"
)

// Canceled checks close connections, also those that they have returned to the pool
// and that others use by then. Background checks that ended with their invocation
// made mirrors look unavailable that way.
func TestCheckSurvivesCancelOfAnother(t *testing.T) { // not parallel: it cancels all the time
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	transport := NewTransport()
	transport.(*http.Transport).MaxConnsPerHost = 1 // so that they share it
	defer transport.(*http.Transport).CloseIdleConnections()
	o := New(Options{Timeout: time.Second, HealthInterval: time.Hour, Transport: transport}).Origin("mirror", server.URL+"/", Mirror)
	ctx, stop := context.WithCancel(t.Context())
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for ctx.Err() == nil {
				short, cancel := context.WithCancel(ctx)
				time.AfterFunc(rand.N(100*time.Microsecond), cancel)
				o.head(short, transport, "x")
				cancel()
			}
		})
	}
	counted := &interruptions{RoundTripper: transport}
	for i := 0; i < 10_000 && counted.n < 3; i++ { // of some hundred, one is interrupted
		if status := o.head(t.Context(), counted, "x"); status != http.StatusOK {
			t.Errorf("check %d: status %d, want 200", i, status)
			break
		}
	}
	stop()
	others.Wait()
	if counted.n == 0 {
		t.Error("no check was interrupted")
	}
}

// interruptions counts the requests that others interrupted.
type interruptions struct {
	http.RoundTripper
	n int
}

func (s *interruptions) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.RoundTripper.RoundTrip(r)
	if err != nil && r.Context().Err() == nil {
		s.n++
	}
	return resp, err
}

func TestRetryAfterCancelOfAnother(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		err      error // of each request but the last
		fails    int
		want     Answer
		requests int
	}{
		{"no-error", nil, 0, Present, 1},
		{"canceled", context.Canceled, 1, Present, 2},
		{"deadline", context.DeadlineExceeded, 1, Present, 2},
		{"all-retries", context.Canceled, download.Retries, Present, download.Retries + 1},
		{"too-often", context.Canceled, download.Retries + 1, Unknown, download.Retries + 1},
		{"own-error", errors.New("connection refused"), 1, Unknown, 1},
		{"own-deadline", fmt.Errorf("dial: %w", context.DeadlineExceeded), 1, Unknown, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n, o := stub(Options{})
			left := tt.fails
			n.set("mirror", func(*http.Request) (int, error) {
				if left--; left >= 0 {
					return 0, tt.err
				}
				return 200, nil
			})
			has(t, o, "x", tt.want)
			n.expect(t, tt.name, tt.requests)
		})
	}
	t.Run("own-cancel", func(t *testing.T) {
		n, o := stub(Options{})
		ctx, cancel := context.WithCancel(t.Context())
		n.set("mirror", func(*http.Request) (int, error) {
			cancel()
			return 0, context.Canceled
		})
		hasIn(ctx, t, o, "x", Unknown)
		n.expect(t, "canceled", 1)
	})
}

// interruptsFirst is a transport in which another request interrupts the first one.
type interruptsFirst struct {
	http.RoundTripper
	requests int
}

func (s *interruptsFirst) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.requests++; s.requests == 1 {
		return nil, context.Canceled
	}
	return s.RoundTripper.RoundTrip(r)
}

func TestIndexSurvivesCancelOfAnother(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newIndexed(t)
		x.serve(t, 0, digest)
		x.loader().download.Transport = &interruptsFirst{RoundTripper: x.loader().download.Transport}
		x.load(t, IndexLoaded)
	})
}
