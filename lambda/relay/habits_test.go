package relay

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// habits are what a rude upstream may send, as data. They are combined at random.
var habits = struct {
	challenges, tokens, locations, links, digests, types []string
	statuses                                             []int
}{
	challenges: []string{
		``, `Bearer`, `Basic realm="x"`, `Negotiate abc==`, `Basic realm="x", Bearer realm="https://auth.example.com/token"`,
		`Bearer realm="https://auth.example.com/token",scope="repository:other/x:pull,push"`,
		`Bearer realm="https://auth.example.com/token?scope=repository:other:push&x=1",service="a b"`,
		`bearer REALM=https://auth.example.com/token, service="\"q\""`,
		`Bearer realm="https://evil.example/", Bearer realm="https://auth.example.com:443/token"`,
		`Bearer realm="https://auth.example.com.evil.example/"`, `Bearer realm="https://evil.example\@auth.example.com/"`,
		`Bearer realm="https://auth.example.com/token#x"`, `Bearer realm="ftp://auth.example.com/"`, `Bearer realm="https://127.0.0.1/"`,
		`Bearer realm="https://[::1]/"`, `Bearer realm="//auth.example.com/token"`, `Bearer realm="https://AUTH.example.com/token"`,
		`Bearer realm="` + strings.Repeat("a", 9000) + `"`, `Bearer realm="https://auth.example.com/token",scope="` + strings.Repeat("b", 9000) + `"`,
		`Bearer realm="https://registry.example.com/token"`,
	},
	tokens: []string{
		`{"token":"a"}`, `{"access_token":"b","expires_in":1}`, `{"token":"c","expires_in":1e99}`, `{}`, `[]`, ``, `null`, `{"token":null}`,
		`{"token":"a b"}`, `{"token":"` + strings.Repeat("x", 100_000) + `"}`, strings.Repeat(`{"a":`, 10_000), `{"token":"d","expires_in":"soon"}`,
	},
	locations: []string{
		``, `/x`, `https://blobs.example.com/x`, `https://blobs.example.com:443/x?Expires=1`, `https://blobs.example.com/x?X-Amz-Expires=9999999999`,
		`https://evil.example/`, `https://blobs.example.com@evil.example/`, `https:\\evil.example`, `http://blobs.example.com/`, `//blobs.example.com/x`,
		`https://blobs.example.com.evil.example/`, `https://10.0.0.1/`, `https://[fd00::1]/`, `javascript:alert(1)`, "https://blobs.example.com/\x00",
		"https://blobs.example.com/é", `https://blobs.example.com:8443/`, `https://blobs.example.com/#a`, `https://blobs.example.com%2eevil.example/`,
		`HTTPS://BLOBS.example.com/x?se=2000-01-01T00:00:00Z`, `https://blobs.example.com./x`, ` https://blobs.example.com/x`,
	},
	links: []string{
		``, `</v2/a/b/tags/list?last=x>; rel="next"`, `<https://evil.example/v2/a/b/tags/list?last=x>; rel="next"`, `<tags/list?last=1>;rel=next`,
		`<http://registry.example.com/v2/a/b/tags/list?next_page=z>; rel=next`, `</v2/a/b/tags/list?a>; rel=prev`, `<javascript:x/tags/list>; rel=next`,
		"</v2/a/b/tags/list?a\r\nX: y>; rel=next", `</v2/a/b/tags/list?a>, </v2/a/b/tags/list?b>`, `<>`, `</v2/a/b/tags/list?%zz>; rel=next`, `nonsense`,
	},
	digests:  []string{"", manifestDigest, "sha256:x", "latest", "a\r\nb", digest("", []byte("other"))},
	types:    []string{"", manifestType, "text/html", "a/b\r\nX: y", strings.Repeat("x", 5000), "application/vnd.oci.image.index.v1+json"},
	statuses: []int{200, 200, 200, 204, 206, 301, 302, 307, 307, 307, 400, 401, 401, 403, 404, 405, 410, 416, 418, 429, 500, 503, 520},
}

func pick[T any](r *rand.Rand, all []T) T { return all[r.IntN(len(all))] }

// TestHabits sends requests to upstreams that behave in random ways. The stub network
// fails the test for a request to a host that is not allowed, the oracle for a response
// that must not be sent.
func TestHabits(t *testing.T) {
	t.Parallel()
	requests := []Request{byTag, byDigest, theTags, theRefs, aBlob}
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 22))
		var reproduce []string
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(t)
			rude := func(r *http.Request) (*http.Response, error) {
				n.mu.Lock()
				defer n.mu.Unlock()
				status := pick(random, habits.statuses)
				header := http.Header{
					"Www-Authenticate": {pick(random, habits.challenges)}, "Location": {pick(random, habits.locations)}, "Link": {pick(random, habits.links)},
					"Docker-Content-Digest": {pick(random, habits.digests)}, "Content-Type": {pick(random, habits.types)}, "Oci-Filters-Applied": {pick(random, habits.types)}, "Retry-After": {pick(random, []string{"", "1", "-1", "x", "99999999"})},
				}
				reproduce = append(reproduce, fmt.Sprint(r.URL.Host, " ", status, " ", header))
				switch random.IntN(12) {
				case 0:
					return nil, http.ErrHandlerTimeout
				case 1:
					return sends(endless{}, -1)(r)
				case 2:
					return sends(cut{}, 10)(r)
				}
				return respond(r, status, header, string(pick(random, [][]byte{manifestText, nil, []byte("{}")})))
			}
			n.registry, n.storage = rude, rude
			n.tokens = func(r *http.Request) (*http.Response, error) {
				n.mu.Lock()
				defer n.mu.Unlock()
				return respond(r, pick(random, []int{200, 200, 200, 200, 401, 500}), nil, pick(random, habits.tokens))
			}
			mode := []string{}
			r := newRelay(t, n, mode...)
			for range 20 {
				q := pick(random, requests)
				q.Head = random.IntN(2) == 0
				fetch(t, r, q)
				time.Sleep(time.Duration(random.IntN(90)) * time.Second)
			}
		})
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, strings.Join(reproduce, "\n"))
		}
	}
}

// fuzzed fetches from an upstream that sends one value, and checks the response.
func fuzzed(t *testing.T, q Request, set func(n *network)) {
	n := newNetwork(t)
	set(n)
	r := newRelay(t, n)
	for range 2 {
		resp := r.Fetch(t.Context(), &q)
		if err := sound(&q, &resp); err != nil {
			t.Fatal(err)
		}
	}
}

func FuzzChallenge(f *testing.F) {
	for _, c := range habits.challenges {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, header string) {
		fuzzed(t, byTag, func(n *network) {
			n.registry = always(401, http.Header{"Www-Authenticate": {header}})
			n.tokens = text(`{"token":"a"}`)
		})
	})
}

func FuzzLocation(f *testing.F) {
	for _, l := range habits.locations {
		f.Add(l)
	}
	f.Fuzz(func(t *testing.T, location string) {
		fuzzed(t, aBlob, func(n *network) { n.registry = redirects(location) })
		fuzzed(t, byTag, func(n *network) { n.registry = redirects(location) })
	})
}

func FuzzLink(f *testing.F) {
	for _, l := range habits.links {
		f.Add(l)
	}
	f.Fuzz(func(t *testing.T, link string) {
		fuzzed(t, theTags, func(n *network) { n.registry = with("Link", link) })
	})
}

func FuzzToken(f *testing.F) {
	for _, body := range habits.tokens {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) {
		fuzzed(t, byTag, func(n *network) { n.tokens = text(body) })
	})
}
