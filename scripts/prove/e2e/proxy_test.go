package main

import (
	"context"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// TestProxyOutlivesCancelledRequests: a request that its client cancels must not
// break another one, which would look like a fault of a mirror.
func TestProxyOutlivesCancelledRequests(t *testing.T) {
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer target.Close()
	p := &proxy{}
	if err := p.setTarget(target.URL); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(p)
	defer server.Close()
	head := func(ctx context.Context, transport *http.Transport) (status int) {
		r, err := http.NewRequestWithContext(ctx, http.MethodHead, server.URL, nil)
		if err != nil {
			t.Error(err)
			return 0
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			return 0
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	ctx, stop := context.WithCancel(t.Context())
	var cancelling sync.WaitGroup
	for range 4 {
		cancelling.Go(func() {
			transport := &http.Transport{}
			defer transport.CloseIdleConnections()
			for ctx.Err() == nil {
				short, cancel := context.WithCancel(ctx)
				time.AfterFunc(rand.N(400*time.Microsecond), cancel)
				head(short, transport)
				cancel()
			}
		})
	}
	own := &http.Transport{}
	defer own.CloseIdleConnections()
	for i := range 3000 {
		if status := head(t.Context(), own); status != http.StatusOK {
			t.Errorf("request %d: status %d", i, status)
			break
		}
	}
	stop()
	cancelling.Wait()
}
