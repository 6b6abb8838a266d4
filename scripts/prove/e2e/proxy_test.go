package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestProxyCompletesCanceledRequests: a request that its client cancels is completed
// at the target, so that it cannot close the connection of another request.
func TestProxyCompletesCanceledRequests(t *testing.T) {
	t.Parallel()
	target := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "blob") }))
	defer target.Close()
	p := &proxy{}
	if err := p.setTarget(target.URL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil))
	if got := w.Body.String(); got != "blob" {
		t.Errorf("got %q, want %q", got, "blob")
	}
}

func TestProxyWithoutTarget(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	(&proxy{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d, want 503", w.Code)
	}
}
