package blobs

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"archeio/lambda/index"
)

// network is a stub transport: each host has a reply, as may have some of its paths, and
// the requests are recorded.
type network struct {
	mu      sync.Mutex
	replies map[string]reply
	sent    []string
}

type reply func(*http.Request) (status int, err error)

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.sent = append(n.sent, r.URL.Host+r.URL.Path)
	reply, ok := n.replies[r.URL.Host+r.URL.Path]
	if !ok {
		reply = n.replies[r.URL.Host]
	}
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

// requests returns the number of requests since the last call, without those for what
// always works.
func (n *network) requests() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	count := len(n.sent) - n.known()
	n.sent = nil
	return count
}

// known returns the number of requests for what always works.
func (n *network) known() (count int) {
	for _, target := range n.sent {
		if strings.HasSuffix(target, "/") || strings.HasSuffix(target, "/"+index.Name) {
			count++
		}
	}
	return count
}

func (n *network) expect(t *testing.T, what string, want int) {
	t.Helper()
	if got := n.requests(); got != want {
		t.Errorf("%s: %d requests, want %d", what, got, want)
	}
}

// after replies after some time, unless the request ends first.
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

// known is where the stub's mirror always works.
const known = "mirror/" + index.Name

// stub returns a mirror with the host "mirror" of a stub network.
func stub(o Options) (*network, *Origin) {
	n := &network{replies: map[string]reply{}}
	o.Transport = n
	if o.Timeout == 0 {
		o.Timeout = time.Second
	}
	if o.HealthInterval == 0 {
		o.HealthInterval = 10 * time.Second
	}
	return n, New(o).Mirror("mirror", "https://mirror/", "")
}

// has calls Has as the only check of a request.
func has(t *testing.T, o *Origin, path string, want Answer) {
	t.Helper()
	hasIn(t.Context(), t, o, path, want)
}

func hasIn(ctx context.Context, t *testing.T, o *Origin, path string, want Answer) {
	t.Helper()
	var limit Limit
	if got := o.Has(ctx, &limit, path); got != want {
		t.Errorf("%s: Has(%q) is %v, want %v", o.name, path, got, want)
	}
}

// took checks that do takes exactly that long by the fake clock.
func took(t *testing.T, want time.Duration, do func()) {
	t.Helper()
	start := time.Now()
	do()
	if got := time.Since(start); got != want {
		t.Errorf("took %v, want %v", got, want)
	}
}

// advance advances the fake clock of a synctest bubble, without real time passing.
func advance(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
