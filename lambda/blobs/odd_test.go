package blobs_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/redirect"
)

// odd is a server that responds to paths with "odd" or with a digest of zeros by turns
// as no server should, and has the objects of all other paths but those with "absent".
// It counts its requests by kind.
type odd struct {
	*httptest.Server
	turn, others, known atomic.Int64
}

func newOdd(t *testing.T) *odd {
	s := &odd{}
	statuses := []int{500, 500, 429, 503, 502, 400, 404, 500, 401, 403, 301}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case strings.Contains(path, "odd"), strings.Contains(path, "sha256:000000"):
			n := s.turn.Add(1)
			if n%1000 == 0 { // resets the connection
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(statuses[n/20%int64(len(statuses))]) // twenty in a row
		case strings.HasSuffix(path, "/v2/"):
			s.known.Add(1)
			w.WriteHeader(http.StatusUnauthorized)
		case strings.Contains(path, "index."):
			s.known.Add(1)
			w.WriteHeader(http.StatusForbidden)
		case strings.Contains(path, "absent"):
			w.WriteHeader(http.StatusNotFound)
		default:
			s.others.Add(1)
		}
	}))
	s.Config.ErrorLog = nil
	t.Cleanup(s.Close)
	return s
}

// A client alone opens no breaker, whatever it requests: 10,000 odd requests change
// nothing for the requests of others between them.
func TestOddRequests(t *testing.T) {
	upstream, regional, fallback := newOdd(t), newOdd(t), newOdd(t)
	env := map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT":  upstream.URL,
		"SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example",
		"DEFAULT_AWS_BASE_URL":        fallback.URL,
		"MIRROR_REGIONS":              "eu-west-3",
		"MIRROR_URL_TEMPLATE":         regional.URL + "/{region}",
		"MIRROR_CHECK_TIMEOUT":        "1.5s",
		"MIRROR_INDEX_REFRESH":        "none",
	}
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	checker := blobs.New(blobs.Options{Timeout: c.CheckTimeout, HealthInterval: c.HealthInterval, Transport: transport})
	h := redirect.New(c, redirect.NewOrigins(c, checker), nil, nil)
	get := func(path string) redirect.Response {
		return h.Handle(t.Context(), redirect.Request{Method: "GET", Path: path, Client: netip.MustParseAddr("35.180.1.1")})
	}
	digest := func(first string, i int) string { return fmt.Sprintf("sha256:%s%0*x", first, 64-len(first), i) }

	const clients, each = 8, 1250
	var wrong atomic.Int64
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for i := range each {
				n := client*each + i
				switch n % 4 {
				case 0:
					get("/v2/odd/manifests/" + digest("00", n))
				case 1:
					get("/v2/" + strings.Repeat("odd/", 50) + "x/manifests/" + digest("00", n))
				case 2:
					get("/v2/odd/blobs/" + digest("000000", n))
				case 3:
					get("/v2/odd/blobs/sha512:" + strings.Repeat("0", 100) + fmt.Sprintf("%028x", n))
				}
				if i%10 != 0 {
					continue
				}
				for _, other := range []struct{ path, location, cache, reason string }{
					{"/v2/app/manifests/" + digest("11", n), upstream.URL + "/v2/app/manifests/", "public, max-age=300", "manifest"},
					{"/v2/absent/manifests/" + digest("11", n), "https://signatures.example/v2/absent/manifests/", "", "signature"},
					{"/v2/app/blobs/" + digest("11", n), regional.URL + "/eu-west-3/containers/images/", "private, no-store", "aws-region"},
				} {
					r := get(other.path)
					if !strings.HasPrefix(r.Location, other.location) || r.Reason != other.reason || other.cache != "" && r.CacheControl != other.cache {
						wrong.Add(1)
						t.Errorf("%s: %s, %q, %s; want %s, %q, %s", other.path, r.Location, r.CacheControl, r.Reason, other.location, other.cache, other.reason)
					}
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d requests of others were affected; odd requests: %d to the upstream, %d and %d to mirrors; %d, %d and %d checks of what always works",
		wrong.Load(), upstream.turn.Load(), regional.turn.Load(), fallback.turn.Load(), upstream.known.Load(), regional.known.Load(), fallback.known.Load())
	for _, s := range []*odd{upstream, regional} {
		if s.turn.Load() < 1000 || s.known.Load() == 0 {
			t.Errorf("%d odd requests and %d checks of what always works, want at least 1000 and some", s.turn.Load(), s.known.Load())
		}
	}
}
