package blobs

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// network is a stub of what lies behind a Checker: each host replies as it was
// told to, and what it was asked is kept.
type network struct {
	mu      sync.Mutex
	replies map[string]reply
	asked   []string
}

type reply func(*http.Request) (status int, err error)

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.asked = append(n.asked, r.URL.Host+r.URL.Path)
	reply := n.replies[r.URL.Host]
	n.mu.Unlock()
	status, err := reply(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: http.NoBody, Request: r}, nil
}

func (n *network) set(host string, r reply) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.replies[host] = r
}

// requests tells how many were made since it was last called.
func (n *network) requests() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := len(n.asked)
	n.asked = nil
	return count
}

func (n *network) expect(t *testing.T, what string, want int) {
	t.Helper()
	if got := n.requests(); got != want {
		t.Errorf("%s: %d requests, want %d", what, got, want)
	}
}

// after replies when some time has passed, and gives up with the request.
func after(d time.Duration, status int) reply {
	return func(r *http.Request) (int, error) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return status, nil
		case <-r.Context().Done():
			return 0, r.Context().Err()
		}
	}
}

func status(code int) reply {
	return func(*http.Request) (int, error) { return code, nil }
}

var refuses = func(*http.Request) (int, error) { return 0, errors.New("connection refused") }

var hangs = after(time.Hour, 200)

// stub makes an origin on the host "mirror" of a stub network.
func stub(o Options) (*network, *Origin) {
	n := &network{replies: map[string]reply{}}
	o.Transport = n
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.HealthInterval == 0 {
		o.HealthInterval = 10 * time.Second
	}
	return n, New(o).Origin("mirror", "https://mirror/", Mirror)
}

// has asks as the only question of a request.
func has(t *testing.T, o *Origin, path string, want Answer) {
	t.Helper()
	hasIn(t.Context(), t, o, path, want)
}

func hasIn(ctx context.Context, t *testing.T, o *Origin, path string, want Answer) {
	t.Helper()
	var limit Limit
	if got := o.Has(ctx, &limit, path); got != want {
		t.Errorf("%s has %s: %v, want %v", o.name, path, got, want)
	}
}

// took tells that something takes exactly this long; for the fake clock.
func took(t *testing.T, want time.Duration, do func()) {
	t.Helper()
	start := time.Now()
	do()
	if got := time.Since(start); got != want {
		t.Errorf("took %v, want %v", got, want)
	}
}

// pass puts the fake clock of a synctest bubble forward; no time goes by.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
