package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"archeio/scripts/lab/pull"
)

// TestWatch counts failures that a client could hide by a retry.
func TestWatch(t *testing.T) {
	t.Parallel()
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
	p := &pulls{}
	transport := p.watch(&http.Transport{})
	for _, path := range []string{"/", "/moved", "/busy", "/broken"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := transport.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}
	if all := strings.Join(p.failures, "\n"); p.requests != 4 || len(p.failures) != 2 || !strings.Contains(all, "/busy: status 503") || !strings.Contains(all, "/broken: EOF") {
		t.Errorf("failures of %d requests:\n%s", p.requests, all)
	}
}

// TestPullsFail counts pulls from an empty registry.
func TestPullsFail(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	p := &pulls{stopped: make(chan struct{}), ended: make(chan struct{}), pulled: make([]int, 1)}
	p.clients = []namedClient{{"home", pull.Client{Registry: strings.TrimPrefix(server.URL, "http://"), Transport: &http.Transport{}}}}
	go p.run(t.Context(), &pull.Image{})
	p.stop()
	if total, byClient := p.count(); total < 1 || len(p.failures) != total || !strings.HasSuffix(byClient, " from home") {
		t.Errorf("%d pulls (%s), failures %q", total, byClient, p.failures)
	}
}
