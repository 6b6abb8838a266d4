package outage

import (
	"net/http"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// send sends a request.
type send = func(*http.Request) (*http.Response, error)

// TestWatch tests which errors are reported, and when.
func TestWatch(t *testing.T) {
	t.Parallel()
	reset := func(*http.Request) (*http.Response, error) { return nil, syscall.ECONNRESET }
	ok := func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Request: r}, nil
	}
	connect := func(d time.Duration) send {
		return func(r *http.Request) (*http.Response, error) {
			select {
			case <-time.After(d):
				return ok(r)
			case <-r.Context().Done():
				return nil, r.Context().Err()
			}
		}
	}
	const after = ": retrying each request up to 5 times"
	for _, tt := range []struct {
		name     string
		requests []send
		pause    time.Duration // after each
		want     []string
	}{
		{"reachable", []send{ok, ok}, 0, nil},
		{"slow", []send{connect(2 * time.Second)}, 0, nil},
		{"no-connection", []send{connect(30 * time.Second)}, 0, []string{"no connection after 3s" + after}},
		{"refused-repeatedly", []send{reset, reset, reset}, 2 * noticeInterval, []string{syscall.ECONNRESET.Error() + after}},
		{"second-outage", []send{reset, ok, reset}, noticeInterval, []string{syscall.ECONNRESET.Error() + after, syscall.ECONNRESET.Error() + after}},
		{"flapping", []send{reset, ok, reset, ok, reset}, time.Second, []string{syscall.ECONNRESET.Error() + after}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var messages []string
				o := New(func(message string) {
					mu.Lock()
					defer mu.Unlock()
					messages = append(messages, message)
				}, 6)
				for _, w := range tt.requests {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://example.com/v2/app/tags/list", nil)
					if err != nil {
						t.Fatal(err)
					}
					o.Watch(r, w)
					time.Sleep(tt.pause) // in the bubble
				}
				synctest.Wait()
				mu.Lock()
				defer mu.Unlock()
				for i, want := range tt.want {
					if len(messages) != len(tt.want) || messages[i] != "cannot reach example.com: "+want {
						t.Fatalf("messages %q, want %q", messages, tt.want)
					}
				}
				if len(messages) != len(tt.want) {
					t.Errorf("messages %q, want none", messages)
				}
			})
		})
	}
}
