package relay

import (
	"net/http"
	"testing"
	"testing/synctest"
)

// single are the settings of a stage in which no client is sent to another host.
var single = []string{"SINGLE_HOST", "true", "DEFAULT_AWS_BASE_URL", "/", "DEFAULT_MIRROR_CHECK_URL", "https://bucket.example"}

// TestSingleHost tests blobs in a stage with one host: they are relayed from the
// upstream, or from its storage without the token, and there is no redirect.
func TestSingleHost(t *testing.T) {
	t.Parallel()
	coded := func(r *http.Request) (*http.Response, error) {
		return respond(r, 200, http.Header{"Content-Encoding": {"gzip"}}, string(manifestText))
	}
	for _, tt := range []struct {
		name    string
		set     func(n *network)
		status  int
		outcome Outcome
		storage int // requests to it
	}{
		{"from-storage", func(*network) {}, 200, Fetched, 1},
		{"from-the-upstream", func(n *network) { n.registry = text(string(manifestText)) }, 200, Fetched, 0},
		{"from-its-own-storage", func(n *network) {
			n.registry = func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/storage/b" {
					return respond(r, 200, nil, string(manifestText))
				}
				return redirects("https://registry.example.com/storage/b?signature=%2f")(r)
			}
		}, 200, Fetched, 0},
		{"by-two-redirects", func(n *network) {
			n.storage = func(r *http.Request) (*http.Response, error) {
				if r.URL.Path == "/c" {
					return respond(r, 200, nil, string(manifestText))
				}
				return redirects("https://blobs.example.com/c")(r)
			}
		}, 200, Fetched, 2},
		{"coded", func(n *network) { n.storage = coded }, 200, Fetched, 1},
		{"wrong", func(n *network) { n.storage = text("x") }, 502, Invalid, 1},
		{"5-mib", func(n *network) { n.storage = sends(endless{}, 5<<20) }, 503, TooLarge, 1},
		{"endless", func(n *network) { n.storage = sends(endless{}, -1) }, 503, TooLarge, 1},
		{"storage-404", func(n *network) { n.storage = always(404, nil) }, 404, Absent, 1},
		{"storage-403", func(n *network) { n.storage = always(403, nil) }, 502, Denied, 1},
		{"storage-down", func(n *network) { n.storage = refuse }, 502, Failed, 1},
		{"storage-hanging", func(n *network) { n.storage = hang }, 502, Failed, 1},
		{"in-a-circle", func(n *network) { n.storage = redirects("https://blobs.example.com/b") }, 502, Invalid, maxRedirects},
		{"storage-not-allowed", func(n *network) { n.registry = redirects("https://evil.example/b") }, 502, Invalid, 0},
		{"storage-leads-elsewhere", func(n *network) { n.storage = redirects("https://evil.example/b") }, 502, Invalid, 1},
		{"another-port-of-the-upstream", func(n *network) { n.registry = redirects("https://registry.example.com:8443/b") }, 502, Invalid, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				r := newRelay(t, n, single...)
				tt.set(n)
				head := aBlob
				head.Head = true
				for _, q := range []Request{head, aBlob} { // HEAD fetches too
					got := r.Fetch(t.Context(), &q)
					if got.Status != tt.status || got.Outcome != tt.outcome && (tt.status != 200 || got.Outcome != Memory) || got.Location != "" {
						t.Errorf("%+v, want %d, %s", got, tt.status, tt.outcome)
					}
					if tt.status == 200 && (got.Body != string(manifestText) || got.Length != len(manifestText) || got.Digest != manifestDigest) {
						t.Errorf("%+v", got)
					}
					if q.Head {
						if c := n.count(blobHost); c != tt.storage {
							t.Errorf("%d requests to the storage, want %d", c, tt.storage)
						}
					}
				}
			})
		})
	}
}
