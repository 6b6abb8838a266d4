package system

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/pull"
)

// TestIndex: once the index is loaded, a blob that nobody has asked for yet is
// answered without a question to the mirror.
func TestIndex(t *testing.T) {
	var mu sync.Mutex
	var target *url.URL
	asked := map[string]int{}
	check := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}
		proxy.ServeHTTP(w, r)
		mu.Lock()
		defer mu.Unlock()
		asked[r.Method+" "+r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]]++
	}))
	defer check.Close()
	count := func(what string) int {
		mu.Lock()
		defer mu.Unlock()
		return asked[what]
	}
	s, err := Start(t.Context(), Options{Log: io.Discard, Env: map[string]string{"DEFAULT_MIRROR_CHECK_URL": check.URL}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	if target, err = url.Parse(s.bucketURL(Regions[0], defaultBucket)); err != nil {
		t.Fatal(err)
	}
	image, err := s.Publish(t.Context(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	blob := func(digest string) string {
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
	for end := time.Now().Add(20 * time.Second); count("GET index.v1") == 0; {
		if reason := blob(first); reason != "default-mirror" {
			t.Fatalf("the first blob is answered with %q", reason)
		}
		if time.Now().After(end) {
			t.Fatal("the index is never asked for")
		}
	}
	for range 20 { // its answer is read and searched by then
		blob(first)
	}
	if n := count("HEAD " + first); n != 1 {
		t.Errorf("before the index is there, the mirror was asked %d times", n)
	}
	for _, b := range image.Blobs[1:] {
		want, questions := "default-mirror", 0
		if b == image.Missing {
			want, questions = "mirror-absent", 1
		}
		if reason := blob(b.String()); reason != want {
			t.Errorf("blob %s is answered with %q, want %q", b, reason, want)
		}
		if n := count("HEAD " + b.String()); n != questions {
			t.Errorf("the mirror was asked %d times for %s, want %d", n, b, questions)
		}
	}
}
