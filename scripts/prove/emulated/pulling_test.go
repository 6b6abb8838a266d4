package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"archeio/scripts/lab/pull"
)

// TestWatch counts what a client would have got over by trying again.
func TestWatch(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/broken":
			panic(http.ErrAbortHandler)
		case "/busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "/moved":
			http.Redirect(w, r, "/", http.StatusTemporaryRedirect)
		}
	}))
	defer server.Close()
	p := &pulling{}
	transport := p.watch(http.DefaultTransport)
	for _, path := range []string{"/", "/moved", "/busy", "/broken"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := transport.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}
	if all := strings.Join(p.failed, "\n"); p.requests != 4 || len(p.failed) != 2 || !strings.Contains(all, "/busy: status 503") || !strings.Contains(all, "/broken: EOF") {
		t.Errorf("of %d requests these failed:\n%s", p.requests, all)
	}
}

// TestPullingFails counts pulls of a registry that has nothing.
func TestPullingFails(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	p := &pulling{stopped: make(chan struct{}), ended: make(chan struct{}), pulls: make([]int, 1)}
	p.client = []puller{{"somebody", pull.Client{Registry: strings.TrimPrefix(server.URL, "http://"), Transport: http.DefaultTransport}}}
	go p.run(context.Background(), &pull.Image{Digest: v1.Hash{}})
	p.stop()
	if total, by := p.done(); total < 1 || len(p.failed) != total || !strings.HasSuffix(by, " from somebody") {
		t.Errorf("of %d pulls (%s) failed %q", total, by, p.failed)
	}
}
