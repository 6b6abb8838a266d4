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
	"time"
)

// TestCheckSurvivesAnothersEnd: checks that are cut off close connections, also
// those that they have given back and that others use by then. The end of a
// check that runs beside an answer made mirrors look dead that way.
func TestCheckSurvivesAnothersEnd(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	transport := newTransport()
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
	for i := range 6000 {
		if a := o.head(t.Context(), transport, "x"); a != Present {
			t.Errorf("check %d: %v", i, a)
			break
		}
	}
	stop()
	others.Wait()
}

func TestAnothersEnd(t *testing.T) {
	for _, tt := range []struct {
		name     string
		err      error // of each request but the last
		fails    int
		want     Answer
		requests int
	}{
		{"none", nil, 0, Present, 1},
		{"cancelled", context.Canceled, 1, Present, 2},
		{"out-of-time", context.DeadlineExceeded, 1, Present, 2},
		{"again", context.Canceled, retries, Present, retries + 1},
		{"again-and-again", context.Canceled, retries + 1, Unknown, retries + 1},
		{"its-own", errors.New("connection refused"), 1, Unknown, 1},
		{"its-own-deadline", fmt.Errorf("dial: %w", context.DeadlineExceeded), 1, Unknown, 1},
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
	t.Run("when-its-own-time-is-over", func(t *testing.T) {
		n, o := stub(Options{})
		ctx, cancel := context.WithCancel(t.Context())
		n.set("mirror", func(*http.Request) (int, error) {
			cancel()
			return 0, context.Canceled
		})
		hasIn(ctx, t, o, "x", Unknown)
		n.expect(t, "cut off", 1)
	})
}

// spoilt has the end of another request spoil the first.
type spoilt struct {
	http.RoundTripper
	requests int
}

func (s *spoilt) RoundTrip(r *http.Request) (*http.Response, error) {
	if s.requests++; s.requests == 1 {
		return nil, context.Canceled
	}
	return s.RoundTripper.RoundTrip(r)
}

func TestIndexSurvivesAnothersEnd(t *testing.T) {
	x := newIndexed(t)
	x.serve(t, 0, digest)
	x.shelf.transport = &spoilt{RoundTripper: x.shelf.transport}
	x.load(t, IndexLoaded)
}
