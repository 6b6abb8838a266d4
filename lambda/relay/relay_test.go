package relay

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"archeio/lambda/oci"
)

// fetch fetches, and checks the response with the oracle.
func fetch(t *testing.T, r *Relay, q Request) Response {
	t.Helper()
	start := time.Now()
	resp := r.Fetch(t.Context(), &q)
	if err := sound(&q, &resp); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > timeout {
		t.Errorf("took %v", took)
	}
	return resp
}

func expect(t *testing.T, what string, got Response, status int, outcome Outcome) {
	t.Helper()
	if got.Status != status || got.Outcome != outcome {
		t.Errorf("%s: status %d, %s (%v); want %d, %s", what, got.Status, got.Outcome, got.Error, status, outcome)
	}
}

func TestFetch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := newRelay(t, n)
		got := fetch(t, r, byTag)
		want := Response{Status: 200, Outcome: Fetched, CacheControl: "public, max-age=60, stale-if-error=3600", ContentType: manifestType,
			Digest: manifestDigest, ETag: `"1"`, Body: string(manifestText), Length: len(manifestText)}
		if got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if a, b := n.count(registryHost), n.count(tokenHost); a != 2 || b != 1 {
			t.Errorf("%d requests to the registry, %d to the token server; want 2, 1", a, b)
		}
		time.Sleep(20 * time.Second)
		got = fetch(t, r, byTag)
		expect(t, "again", got, 200, Memory)
		if got.CacheControl != "public, max-age=40, stale-if-error=3600" {
			t.Errorf("Cache-Control %q", got.CacheControl)
		}
		got = fetch(t, r, byDigest)
		expect(t, "by digest", got, 200, Fetched)
		if got.CacheControl != "public, max-age=86400, stale-if-error=3600" {
			t.Errorf("Cache-Control %q", got.CacheControl)
		}
		got = fetch(t, r, theTags)
		if got.Link != `</v2/b/tags/list?last=1&n=1>; rel="next"` || got.Status != 200 {
			t.Errorf("tags: %+v", got)
		}
		got = fetch(t, r, theRefs)
		expect(t, "referrers", got, 200, Fetched)
		if got.Filters != "artifactType" || got.Link != "" {
			t.Errorf("referrers: %+v", got)
		}
		missing := byTag
		missing.Reference = "missing"
		got = fetch(t, r, missing)
		expect(t, "missing", got, 404, Absent)
		if got.CacheControl != "public, max-age=10" || got.Error.Code != oci.ManifestUnknown {
			t.Errorf("missing: %+v", got)
		}
		blob := fetch(t, r, aBlob)
		expect(t, "blob", blob, 307, Redirected)
		if blob.CacheControl != "" || !strings.HasSuffix(blob.Location, "&X-Amz-Signature=%2f") {
			t.Errorf("blob: %+v", blob)
		}
		n.count(registryHost)
		time.Sleep(239 * time.Second)
		if again := fetch(t, r, aBlob); again.Location != blob.Location || n.count(registryHost) != 0 {
			t.Error("the address is not passed on again")
		}
		time.Sleep(time.Second)
		if again := fetch(t, r, aBlob); again.Location == blob.Location {
			t.Error("the address is passed on less than a minute before its end")
		}
		other := byDigest
		other.Reference = "blake3:" + strings.Repeat("a", 64)
		n.count(registryHost)
		expect(t, "another algorithm", fetch(t, r, other), 404, Absent)
		if n.count(registryHost) != 0 {
			t.Error("the upstream is asked for a digest that it cannot hold")
		}
	})
}

// TestBlobHead tests HEAD of blobs: the address is one that permits HEAD, and what the
// upstream sends itself, or redirects only GET of, is fetched, because entry points compute
// the length from it.
func TestBlobHead(t *testing.T) {
	t.Parallel()
	sized := func(length int64) reply {
		return func(r *http.Request) (*http.Response, error) {
			resp, err := respond(r, 200, nil, string(manifestText))
			if r.Method == http.MethodHead {
				resp.ContentLength = length
			}
			return resp, err
		}
	}
	onlyGET := func(query string) reply {
		return func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodHead {
				return sized(MaxBody + 1)(r)
			}
			return redirects("https://blobs.example.com/b?" + query)(r)
		}
	}
	for _, tt := range []struct {
		name     string
		registry reply // nil for the usual one
		status   int
		outcome  Outcome
		requests int   // to the registry
		storage  reply // nil if it must not be used
	}{
		{"in-storage", nil, 307, Redirected, 2, nil}, // with the challenge
		{"sent", sized(int64(len(manifestText))), 200, Fetched, 2, nil},
		{"sent-without-a-length", sized(-1), 200, Fetched, 2, nil},
		{"too-large", func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodHead {
				return sized(MaxBody + 1)(r)
			}
			return sends(endless{}, MaxBody+1)(r)
		}, 502, TooLarge, 2, nil},
		{"grows", func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodHead {
				return sized(1)(r)
			}
			return sends(endless{}, -1)(r)
		}, 502, TooLarge, 2, nil},
		{"absent", always(404, nil), 404, Absent, 1, nil},
		{"redirects-only-GET", func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodHead {
				return sized(MaxBody + 1)(r)
			}
			return redirects("https://blobs.example.com/b")(r)
		}, 307, Redirected, 2, nil},
		{"signed-for-any-method", onlyGET("Expires=9999999999&Signature=a&Key-Pair-Id=b"), 307, Redirected, 2, nil},
		{"signed-for-any-method-azure", onlyGET("se=2099-01-01T00:00:00Z&sp=r&sig=a"), 307, Redirected, 2, nil},
		{"signed-for-GET", onlyGET("X-Amz-Expires=60&X-Amz-Signature=a"), 200, Fetched, 2, text(string(manifestText))},
		{"signed-for-GET-version-2", onlyGET("AWSAccessKeyId=a&Signature=b"), 200, Fetched, 2, text(string(manifestText))},
		{"signed-for-GET-gcs", onlyGET("X-Goog-Signature=a"), 200, Fetched, 2, text(string(manifestText))},
		{"signed-for-GET-wrong", onlyGET("X-Amz-Signature=a"), 502, Invalid, 2, text("x")},
		{"signed-for-GET-too-large", onlyGET("X-Amz-Signature=a"), 502, TooLarge, 2, sends(endless{}, MaxBody+1)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				if tt.registry != nil {
					n.registry = tt.registry
				}
				if tt.storage != nil {
					n.storage = tt.storage
				}
				r := newRelay(t, n)
				q := aBlob
				q.Head = true
				got := fetch(t, r, q)
				expect(t, "HEAD", got, tt.status, tt.outcome)
				if c := n.count(blobHost); (c > 0) != (tt.storage != nil) {
					t.Errorf("%d requests to the storage", c)
				}
				if tt.status == 200 && (got.Body != string(manifestText) || got.Length != len(manifestText)) {
					t.Errorf("%+v", got)
				}
				if c := n.count(registryHost); c != tt.requests {
					t.Errorf("%d requests to the registry, want %d", c, tt.requests)
				}
			})
		})
	}
}

// TestClock tests that tokens and signed addresses are used for as long as they are valid
// if the clock of the upstream is an hour off ours.
func TestClock(t *testing.T) {
	t.Parallel()
	for _, off := range []time.Duration{-time.Hour, 0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			n.registry = func(r *http.Request) (*http.Response, error) {
				resp, err := n.serve(r)
				theirs := time.Now().Add(off).UTC()
				resp.Header.Set("Date", theirs.Format(http.TimeFormat))
				if resp.StatusCode == 307 {
					resp.Header.Set("Location", fmt.Sprintf(signed, theirs.Format("20060102T150405Z")))
				}
				return resp, err
			}
			r := newRelay(t, n)
			first := fetch(t, r, aBlob)
			time.Sleep(238 * time.Second)
			if again := fetch(t, r, aBlob); again.Location != first.Location {
				t.Errorf("%v off: the address is not passed on again", off)
			}
			time.Sleep(2 * time.Second)
			if again := fetch(t, r, aBlob); again.Location == first.Location {
				t.Errorf("%v off: the address is passed on less than a minute before its end", off)
			}
			if a, b := n.count(registryHost), n.count(tokenHost); a != 3 || b != 1 { // with the challenge
				t.Errorf("%v off: %d requests to the registry, %d to the token server; want 3, 1", off, a, b)
			}
		})
	}
}

// faults are what can be wrong with an upstream, its token server and its storage. stale
// is whether what was fetched before is served instead.
var faults = []struct {
	name    string
	set     func(n *network)
	q       Request
	status  int
	outcome Outcome
	tokens  int // requests to the token server, -1 for any number
	stale   bool
}{
	{"token-server-down", func(n *network) { n.tokens = refuse }, byTag, 502, Failed, 1, true},
	{"token-server-slow", func(n *network) { n.tokens = hang }, byTag, 502, Failed, 1, true},
	{"token-server-500", func(n *network) { n.tokens = always(500, nil) }, byTag, 502, Failed, 1, true},
	{"token-server-429", func(n *network) { n.tokens = always(429, nil) }, byTag, 429, Limited, 1, true},
	{"token-server-403", func(n *network) { n.tokens = always(403, nil) }, byTag, 502, Denied, 1, false},
	{"token-server-redirects", func(n *network) { n.tokens = always(302, http.Header{"Location": {"https://evil.example/"}}) }, byTag, 502, Denied, 1, false},
	{"token-too-long", func(n *network) { n.tokens = text(`{"token":"` + strings.Repeat("a", 100_000) + `"}`) }, byTag, 502, Invalid, 1, false},
	{"token-json-bomb", func(n *network) { n.tokens = text(strings.Repeat("[", 60_000)) }, byTag, 502, Invalid, 1, false},
	{"token-with-a-line-break", func(n *network) { n.tokens = text(`{"token":"a\r\nX: y"}`) }, byTag, 502, Invalid, 1, false},
	{"token-endless", func(n *network) { n.tokens = sends(endless{}, -1) }, byTag, 502, Invalid, 1, false},
	{"foreign-realm", challenged(`Bearer realm="https://evil.example/token"`), byTag, 502, Invalid, 0, false},
	{"realm-http", challenged(`Bearer realm="http://auth.example.com/token"`), byTag, 502, Invalid, 0, false},
	{"realm-port", challenged(`Bearer realm="https://auth.example.com:8443/token"`), byTag, 502, Invalid, 0, false},
	{"realm-user", challenged(`Bearer realm="https://auth.example.com@evil.example/token"`), byTag, 502, Invalid, 0, false},
	{"realm-private-address", challenged(`Bearer realm="https://169.254.169.254/token"`), byTag, 502, Invalid, 0, false},
	{"realm-relative", challenged(`Bearer realm="/token"`), byTag, 502, Invalid, 0, false},
	{"basic-only", challenged(`Basic realm="x"`), byTag, 502, Denied, 0, false},
	{"no-challenge", func(n *network) { n.registry = always(401, nil) }, byTag, 502, Denied, 0, false},
	{"token-refused-always", func(n *network) { n.registry = n.challenge }, byTag, 502, Denied, 1, false},
	{"upstream-403", func(n *network) { n.registry = always(403, nil) }, byTag, 502, Denied, 0, false},
	{"upstream-404", func(n *network) { n.registry = always(404, nil) }, byTag, 404, Absent, 0, false},
	{"upstream-410", func(n *network) { n.registry = always(410, nil) }, byTag, 410, Rejected, 0, false},
	{"upstream-429", func(n *network) { n.registry = always(429, http.Header{"Retry-After": {"7"}}) }, byTag, 429, Limited, 0, true},
	{"upstream-500", func(n *network) { n.registry = always(500, nil) }, byTag, 502, Failed, 0, true},
	{"upstream-down", func(n *network) { n.registry = refuse }, byTag, 502, Failed, 0, true},
	{"upstream-hanging", func(n *network) { n.registry = hang }, byTag, 502, Failed, 0, true},
	{"upstream-204", func(n *network) { n.registry = always(204, nil) }, byTag, 502, Invalid, 0, false},
	{"wrong-digest", func(n *network) { n.registry = text("{}") }, byDigest, 502, Invalid, 0, false},
	{"wrong-digest-of-a-tag", func(n *network) { n.registry = stating(digest("", nil)) }, byTag, 502, Invalid, 0, false},
	{"wrong-length", func(n *network) { n.registry = sends(cut{}, 100) }, byTag, 502, Failed, 0, true},
	{"5-mib", func(n *network) { n.registry = sends(endless{}, 5<<20) }, byTag, 502, TooLarge, 0, false},
	{"endless-body", func(n *network) { n.registry = sends(endless{}, -1) }, byTag, 502, TooLarge, 0, false},
	{"a-page", func(n *network) { n.registry = page }, byTag, 502, Invalid, 0, false},
	{"a-page-of-referrers", func(n *network) { n.registry = page }, theRefs, 404, Absent, 0, false},
	{"coded-list", func(n *network) { n.registry = with("Content-Encoding", "gzip") }, theTags, 502, Invalid, 0, false},
	{"coded", func(n *network) { n.registry = with("Content-Encoding", "gzip") }, byTag, 502, Invalid, 0, false},
	{"link-elsewhere", func(n *network) { n.registry = with("Link", `<https://evil.example/v2/a/b/tags/list>; rel="next"`) }, theTags, 502, Invalid, 0, false},
	{"link-to-something-else", func(n *network) { n.registry = with("Link", `</v2/_catalog?n=1>; rel="next"`) }, theTags, 502, Invalid, 0, false},
	{"link-unreadable", func(n *network) { n.registry = with("Link", `next`) }, theTags, 502, Invalid, 0, false},
	{"manifest-elsewhere", func(n *network) { n.registry = redirects("https://evil.example/m") }, byTag, 502, Invalid, 0, false},
	{"manifest-in-a-circle", func(n *network) { n.registry = redirects("https://blobs.example.com/m"); n.storage = n.registry }, byTag, 502, Invalid, 0, false},
	{"storage-not-allowed", func(n *network) { n.registry = redirects("https://evil.example/b") }, aBlob, 502, Invalid, 0, false},
	{"storage-user", func(n *network) { n.registry = redirects("https://blobs.example.com@evil.example/") }, aBlob, 502, Invalid, 0, false},
	{"storage-http", func(n *network) { n.registry = redirects("http://blobs.example.com/b") }, aBlob, 502, Invalid, 0, false},
	{"storage-port", func(n *network) { n.registry = redirects("https://blobs.example.com:22/b") }, aBlob, 502, Invalid, 0, false},
	{"storage-private-address", func(n *network) { n.registry = redirects("https://10.0.0.1/b") }, aBlob, 502, Invalid, 0, false},
	{"storage-relative", func(n *network) { n.registry = redirects("/b") }, aBlob, 502, Invalid, 0, false},
	{"storage-control-byte", func(n *network) { n.registry = redirects("https://blobs.example.com/b\r\nX: y") }, aBlob, 502, Invalid, 0, false},
	{"storage-backslash", func(n *network) { n.registry = redirects(`https://blobs.example.com\@evil.example/`) }, aBlob, 502, Invalid, 0, false},
	{"storage-none", func(n *network) { n.registry = always(307, nil) }, aBlob, 502, Invalid, 0, false},
	{"blob-5-mib", func(n *network) { n.registry = sends(endless{}, 5<<20) }, aBlob, 502, TooLarge, 0, false},
	{"blob-wrong", func(n *network) { n.registry = text("x") }, aBlob, 502, Invalid, 0, false},
}

func challenged(header string) func(*network) {
	return func(n *network) { n.registry = always(401, http.Header{"Www-Authenticate": {header}}) }
}

func text(body string) reply {
	return func(r *http.Request) (*http.Response, error) { return respond(r, 200, nil, body) }
}

func page(r *http.Request) (*http.Response, error) {
	return respond(r, 200, http.Header{"Content-Type": {"text/html; charset=utf-8"}}, "<p>Sign in")
}

func stating(digest string) reply { return with("Docker-Content-Digest", digest) }

func with(name, value string) reply {
	return func(r *http.Request) (*http.Response, error) {
		return respond(r, 200, http.Header{"Content-Type": {manifestType}, name: {value}}, string(manifestText))
	}
}

func redirects(location string) reply { return always(307, http.Header{"Location": {location}}) }

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range faults {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				r := newRelay(t, n)
				tt.set(n)
				got := fetch(t, r, tt.q)
				expect(t, "first", got, tt.status, tt.outcome)
				if c := n.count(tokenHost); c != tt.tokens {
					t.Errorf("%d requests for a token, want %d", c, tt.tokens)
				}
				if len(n.observed) != 1 || n.observed[0] != tt.q.Kind.String()+" "+tt.outcome.String() || len(n.tokenOutcomes) != tt.tokens {
					t.Errorf("counted: %q, tokens %q", n.observed, n.tokenOutcomes)
				}
				if want := "no-store"; tt.outcome != Absent && got.CacheControl != want {
					t.Errorf("Cache-Control %q, want %s", got.CacheControl, want)
				}
				if tt.name == "upstream-429" && got.RetryAfter != 7 {
					t.Errorf("Retry-After %d", got.RetryAfter)
				}
			})
		})
		t.Run(tt.name+"-later", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				r := newRelay(t, n)
				before := fetch(t, r, tt.q)
				if before.Outcome != Fetched && before.Outcome != Redirected {
					t.Fatalf("%+v", before)
				}
				time.Sleep(10 * time.Minute) // the token has expired too
				tt.set(n)
				got := fetch(t, r, tt.q)
				if !tt.stale {
					expect(t, "later", got, tt.status, tt.outcome)
					return
				}
				expect(t, "later", got, 200, Stale)
				if got.Body != before.Body || got.CacheControl != "public, max-age=10, stale-if-error=3600" {
					t.Errorf("%+v", got)
				}
				time.Sleep(time.Hour)
				expect(t, "after an hour", fetch(t, r, tt.q), tt.status, tt.outcome)
			})
		})
	}
}

// TestTokenOnce tests that a token is requested once, however many wait for it.
func TestTokenOnce(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		tokens  func(n *network) reply
		outcome Outcome
	}{
		"issued": {func(n *network) reply { return n.issue }, Fetched},
		"down":   {func(*network) reply { return refuse }, Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				r := newRelay(t, n)
				n.tokens = after(time.Second, tt.tokens(n))
				var all sync.WaitGroup
				for range 1000 {
					all.Go(func() {
						if got := r.Fetch(t.Context(), &byTag); got.Outcome != tt.outcome {
							t.Errorf("%+v", got)
						}
					})
				}
				all.Wait()
				if c := n.count(tokenHost); c != 1 {
					t.Errorf("%d requests for a token", c)
				}
			})
		})
	}
}

// TestTokenRenewed tests that a token which the registry refuses is replaced, once.
func TestTokenRenewed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{401, 403, 400} {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			r := newRelay(t, n)
			expect(t, "first", fetch(t, r, byTag), 200, Fetched)
			n.count(tokenHost)
			n.registry = func(q *http.Request) (*http.Response, error) {
				if q.Header.Get("Authorization") == "Bearer token-1" && status != 401 {
					return respond(q, status, nil, "")
				}
				if q.Header.Get("Authorization") == "Bearer token-1" {
					return n.challenge(q)
				}
				return n.serve(q)
			}
			time.Sleep(61 * time.Second) // the token is still kept
			expect(t, "refused once", fetch(t, r, byTag), 200, Fetched)
			if c := n.count(tokenHost); c != 1 {
				t.Errorf("%d: %d requests for a token", status, c)
			}
		})
	}
}

// TestTokenLifetime tests how long a token is used.
func TestTokenLifetime(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]time.Duration{
		`{"token":"a"}`:                                45 * time.Second,
		`{"access_token":"a","expires_in":300}`:        290 * time.Second,
		`{"token":"a","expires_in":"300"}`:             290 * time.Second,
		`{"token":"a","expires_in":1e300}`:             12*time.Hour - 10*time.Second,
		`{"token":"a","expires_in":0}`:                 45 * time.Second,
		`{"token":"a","expires_in":-5}`:                45 * time.Second,
		`{"token":"a","expires_in":5}`:                 -5 * time.Second,
		`{"token":"a","expires_in":{"a":1}}`:           45 * time.Second,
		`{"token":"","access_token":"b"}`:              45 * time.Second,
		`{"token":""}`:                                 -1,
		`[]`:                                           -1,
		`{"token":7}`:                                  -1,
		`{"token":"a","issued_at":"1999-01-01","x":1}`: 45 * time.Second,
	} {
		now := time.Unix(1000, 0)
		got := parseToken([]byte(body), now)
		switch {
		case want == -1 && got != nil:
			t.Errorf("%s: %+v", body, got)
		case want != -1 && (got == nil || got.until.Sub(now) != want):
			t.Errorf("%s: %+v, want %v", body, got, want)
		}
	}
}

// TestRate tests that the process does not send more than its share, and that what was
// fetched before is served when it may not.
func TestRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		r := newRelay(t, n, "UPSTREAM_RATE", "1")
		expect(t, "first", fetch(t, r, byTag), 200, Fetched)
		time.Sleep(2 * time.Minute)
		n.count(registryHost)
		sent := 0
		for i := range 100 {
			q := byTag
			q.Reference = strings.Repeat("a", i+1)
			if got := fetch(t, r, q); got.Outcome == Limited && got.RetryAfter == 1 && got.CacheControl == "no-store" {
				continue
			}
			sent++
		}
		if c := n.count(registryHost); sent != burst || c > burst+1 {
			t.Errorf("%d of 100 were fetched with %d requests, want %d", sent, c, burst)
		}
		expect(t, "later", fetch(t, r, byTag), 200, Stale)
	})
}

// TestBreaker tests that an unavailable upstream costs only the first requests their
// time.
func TestBreaker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		down := &downNetwork{network: newNetwork(t)}
		r := newRelay(t, down)
		start := time.Now()
		for range 20 {
			expect(t, "down", fetch(t, r, byTag), 502, Failed)
		}
		if took := time.Since(start); took > 5*timeout {
			t.Errorf("20 requests took %v", took)
		}
		down.up.Store(true)
		time.Sleep(31 * time.Second)
		expect(t, "up again", fetch(t, r, byTag), 200, Fetched)
	})
}

// downNetwork does not respond until it is up.
type downNetwork struct {
	*network
	up atomic.Bool
}

func (d *downNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	if !d.up.Load() {
		return hang(r)
	}
	return d.network.RoundTrip(r)
}

// TestFilters tests which OCI-Filters-Applied of an upstream is passed on.
func TestFilters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		values []string
		want   string
	}{
		{nil, ""},
		{[]string{"artifactType"}, "artifactType"},
		{[]string{"artifactType", "other"}, "artifactType, other"},
		{[]string{"artifactType\r\nX: y"}, ""},
		{[]string{strings.Repeat("x", maxField+1)}, ""},
	} {
		if got := filters(http.Header{"Oci-Filters-Applied": tt.values}); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.values, got, tt.want)
		}
	}
}
