package registry

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"golang.org/x/sync/errgroup"
)

// TestConnections tests that connections are used again by as many requests at once as
// archeio mirror copy -parallel 16 sends, and that these are in progress at once.
func TestConnections(t *testing.T) {
	t.Parallel()
	const atOnce, rounds = 128, 4
	var opened atomic.Int64
	// Each round of requests is responded to when all have arrived.
	var mu sync.Mutex
	arrived, all := 0, make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		round := all
		if arrived++; arrived%atOnce == 0 {
			close(all)
			all = make(chan struct{})
		}
		mu.Unlock()
		select {
		case <-round:
		case <-t.Context().Done():
		}
		w.Header().Set("Docker-Content-Digest", a)
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	c, err := New(strings.TrimPrefix(server.URL, "http://"), Options{Keychain: authn.NewMultiKeychain()})
	if err != nil {
		t.Fatal(err)
	}
	for range rounds {
		var group errgroup.Group
		for range atOnce {
			group.Go(func() error {
				_, err := c.Resolve(t.Context(), "app", "v1")
				return err
			})
		}
		if err := group.Wait(); err != nil {
			t.Fatal(err)
		}
	}
	// One finds out that the server does not use TLS, and a connection may break.
	if n := opened.Load(); n > atOnce+8 {
		t.Errorf("%d connections for %d requests, want at most %d", n, atOnce*rounds, atOnce+8)
	}
}
