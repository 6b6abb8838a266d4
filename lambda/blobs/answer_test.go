package blobs

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

var statuses = []struct {
	status           int
	mirror, registry Answer
}{
	{100, Unknown, Unknown},
	{200, Present, Present},
	{201, Unknown, Present},
	{204, Unknown, Present},
	{206, Unknown, Present},
	{301, Unknown, Present},
	{302, Unknown, Present},
	{304, Unknown, Present},
	{307, Unknown, Present},
	{308, Unknown, Present},
	{399, Unknown, Present},
	{400, Unknown, Unknown},
	{401, Unknown, Unknown},
	{403, Absent, Unknown},
	{404, Absent, Absent},
	{410, Unknown, Unknown},
	{429, Unknown, Unknown},
	{500, Unknown, Unknown},
	{502, Unknown, Unknown},
	{503, Unknown, Unknown},
	{599, Unknown, Unknown},
	{0, Unknown, Unknown},
}

func TestStatusReaders(t *testing.T) {
	t.Parallel()
	for _, tt := range statuses {
		if got := Mirror(tt.status); got != tt.mirror {
			t.Errorf("Mirror(%d) is %v, want %v", tt.status, got, tt.mirror)
		}
		if got := Registry(tt.status); got != tt.registry {
			t.Errorf("Registry(%d) is %v, want %v", tt.status, got, tt.registry)
		}
	}
}

func TestAnswerNames(t *testing.T) {
	t.Parallel()
	for answer, want := range map[Answer]string{Unknown: "unknown", Present: "present", Absent: "absent"} {
		if answer.String() != want {
			t.Errorf("answer %d has the name %q, want %q", answer, answer, want)
		}
	}
	var zero Answer
	if zero != Unknown {
		t.Errorf("zero Answer is %v, want unknown", zero)
	}
}

// A check sends one HEAD request and does not follow redirects.
func TestRequest(t *testing.T) {
	const path = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	for _, tt := range statuses {
		if tt.status < 200 {
			continue // not final
		}
		for _, reader := range []struct {
			name string
			read StatusReader
			want Answer
		}{{"mirror", Mirror, tt.mirror}, {"registry", Registry, tt.registry}} {
			t.Run(reader.name+"/"+http.StatusText(tt.status), func(t *testing.T) {
				var requests, followed atomic.Int32
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/elsewhere" {
						followed.Add(1)
						return
					}
					if r.URL.Path == "/containers/images/" {
						return // what always works
					}
					requests.Add(1)
					if r.Method != "HEAD" || r.RequestURI != "/containers/images/"+path {
						t.Errorf("request %s %s, want HEAD of the blob", r.Method, r.RequestURI)
					}
					// Every type is accepted, but some registries want those of
					// manifests by name.
					types := strings.Split(strings.Join(r.Header.Values("Accept"), ","), ",")
					for i := range types {
						types[i] = strings.TrimSpace(types[i])
					}
					for _, want := range []string{
						"application/vnd.oci.image.manifest.v1+json",
						"application/vnd.oci.image.index.v1+json",
						"application/vnd.docker.distribution.manifest.v2+json",
						"application/vnd.docker.distribution.manifest.list.v2+json",
						"*/*",
					} {
						if !slices.Contains(types, want) {
							t.Errorf("Accept %q, want %s in it", types, want)
						}
					}
					if r.Header.Get("Authorization") != "" || r.Header.Get("Range") != "" {
						t.Errorf("header %v, want no Authorization and no Range", r.Header)
					}
					w.Header().Set("Location", "/elsewhere")
					w.WriteHeader(tt.status)
				}))
				defer server.Close()
				c := New(Options{Timeout: time.Second, HealthInterval: time.Hour})
				has(t, c.Origin("real", server.URL+"/containers/images/", reader.read), path, reader.want)
				if requests.Load() != 1 || followed.Load() != 0 {
					t.Errorf("%d requests, %d redirects followed; want 1, 0", requests.Load(), followed.Load())
				}
			})
		}
	}
}

// The body that a broken server sends to a HEAD request is closed unread.
func TestBodyIsClosed(t *testing.T) {
	t.Parallel()
	for _, code := range []int{200, 307, 404, 500} {
		body := &closing{}
		transport := func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: code, Body: body}, nil
		}
		c := New(Options{Timeout: time.Second, Transport: roundTripper(transport)})
		has(t, c.Origin("broken", "https://broken/", Mirror), "x", Mirror(code))
		if !body.closed || body.read {
			t.Errorf("status %d: body closed %v, read %v; want true, false", code, body.closed, body.read)
		}
	}
}

type closing struct{ read, closed bool }

func (c *closing) Read(p []byte) (int, error) { c.read = true; return len(p), nil }
func (c *closing) Close() error               { c.closed = true; return nil }

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestObserver(t *testing.T) {
	t.Parallel()
	type check struct {
		origin, answer string
		took           time.Duration
	}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var checks []check
		n, mirror := stub(Options{Observe: func(origin, answer string, took time.Duration) {
			mu.Lock()
			defer mu.Unlock()
			checks = append(checks, check{origin, answer, took})
		}})
		n.set(known, after(time.Millisecond, 404))
		other := mirror.checker.Origin("other-name", "https://other/", Mirror)
		n.set("other", after(300*time.Millisecond, 404))

		n.set("mirror", after(200*time.Millisecond, 200))
		has(t, mirror, "x", Present)
		has(t, mirror, "x", Present) // cached
		has(t, other, "x", Absent)
		n.set("mirror", status(500))
		has(t, mirror, "y", Unknown)
		advance(time.Millisecond)
		n.set("mirror", hangs)
		has(t, mirror, "z", Unknown)
		advance(time.Millisecond)
		invocation, cancel := context.WithCancel(t.Context())
		time.AfterFunc(400*time.Millisecond, cancel)
		hasIn(invocation, t, mirror, "z", Unknown)
		advance(10 * time.Second)
		n.set("mirror", after(100*time.Millisecond, 403))
		has(t, mirror, "x", Present) // cached, with a background check
		advance(time.Second)

		want := []check{
			{"mirror", "present", 200 * time.Millisecond},
			{"other-name", "absent", 300 * time.Millisecond},
			{"mirror", "unknown", 0},
			{"mirror", "present", time.Millisecond}, // of what always works
			{"mirror", "unknown", time.Second},
			{"mirror", "present", time.Millisecond},
			{"mirror", "unknown", 400 * time.Millisecond},
			{"mirror", "absent", 100 * time.Millisecond},
		}
		if !slices.Equal(checks, want) {
			t.Errorf("observed %v, want %v", checks, want)
		}
		n.expect(t, "checks", len(want)-2)
	})
}
