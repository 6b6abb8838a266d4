package system

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"archeio/lambda/index"
	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/pull"
)

// TestIndex checks that once the index is loaded, a blob is found in it without a
// request to the mirror.
func TestIndex(t *testing.T) {
	t.Parallel()
	var target atomic.Pointer[url.URL]
	var mu sync.Mutex
	requests := map[string]int{}
	check := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target.Load()) }}
		proxy.ServeHTTP(w, r)
		mu.Lock()
		defer mu.Unlock()
		requests[r.Method+" "+r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]++
	}))
	defer check.Close()
	count := func(request string) int {
		mu.Lock()
		defer mu.Unlock()
		return requests[request]
	}
	target.Store(&url.URL{Scheme: "http", Host: "127.0.0.1:1"}) // until there is a mirror
	s, err := Start(t.Context(), Options{Env: map[string]string{
		"DEFAULT_MIRROR_CHECK_URL": check.URL,
		"MIRROR_URL_OVERRIDES":     Regions[0] + "=" + check.URL, // so that the index covers the default mirror
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	bucket, err := url.Parse(s.bucketURL(Regions[0], defaultBucket))
	if err != nil {
		t.Fatal(err)
	}
	target.Store(bucket)
	image, err := s.Publish(t.Context(), t.Output())
	if err != nil {
		t.Fatal(err)
	}
	blob := func(digest string) (reason string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Distribution+"/v2/"+pull.Repository+"/blobs/"+digest, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set(entrypoint.ClientAddressHeader, "203.0.113.7")
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.Header.Get("X-Redirect-Reason")
	}
	first := image.Blobs[0].String()
	for end := time.Now().Add(20 * time.Second); count("GET "+index.Name) == 0; {
		if reason := blob(first); reason != "default-mirror" {
			t.Fatalf("the first blob has the reason %q, want default-mirror", reason)
		}
		if time.Now().After(end) {
			t.Fatal("no request for the index within 20 s")
		}
	}
	for range 20 { // the index is read and used by then
		blob(first)
	}
	heads := 0
	for _, b := range image.Blobs {
		want := "default-mirror"
		if b == image.Missing {
			want = "mirror-absent"
		}
		if reason := blob(b.String()); reason != want {
			t.Errorf("blob %s has the reason %q, want %q", b, reason, want)
		}
		n := count("HEAD " + b.String())
		if b != image.Missing {
			heads += n
		} else if n != 1 {
			t.Errorf("the mirror received %d requests for %s, want 1", n, b)
		}
	}
	// One before the index is loaded, and one of a witness, which confirms it.
	if heads > 2 {
		t.Errorf("the mirror received %d requests for blobs that the index lists, want at most 2", heads)
	}
}
