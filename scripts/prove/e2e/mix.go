package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/gateway"
	"archeio/lambda/redirect"
	"archeio/ranges"
	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/system"
)

// want is an answer as far as it is compared.
type want struct {
	status                 int
	location, reason, body string
}

// asked is one request of the mix, as it is sent, and the answers that it may
// get: one where nothing fails.
type asked struct {
	front, name, method string
	text                []byte
	wants               []want
}

// right tells whether an answer is one of those.
func (a *asked) right(got want) bool {
	for _, w := range a.wants {
		if got == w {
			return true
		}
	}
	return false
}

// shelves say which blobs the mirrors hold, as they are filled for a load.
type shelves struct {
	// everywhere and indexed are in all mirrors, indexed in the index too; near
	// and far are in the mirror of one region, byDefault in the default mirror
	// only; absent are in none.
	everywhere, indexed, near, far, byDefault, absent []string
}

// content is a blob of the load, and digest its name.
func content(kind string, i int) []byte { return fmt.Appendf(nil, "%s %d", kind, i) }

func digestOf(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

func newShelves() *shelves {
	some := func(kind string, n int) (digests []string) {
		for i := range n {
			digests = append(digests, digestOf(content(kind, i)))
		}
		return digests
	}
	return &shelves{
		everywhere: some("everywhere", 40), indexed: some("indexed", 80), near: some("near", 10),
		far: some("far", 10), byDefault: some("default", 10), absent: some("absent", 30),
	}
}

// held is a mirror that answers by what it was filled with; silent is one that
// cannot say.
type held map[string]bool

func (h held) Has(_ context.Context, _ *blobs.Limit, digest string) blobs.Answer {
	if h[digest] {
		return blobs.Present
	}
	return blobs.Absent
}

type silent struct{}

func (silent) Has(context.Context, *blobs.Limit, string) blobs.Answer { return blobs.Unknown }

func union(lists ...[]string) held {
	h := held{}
	for _, l := range lists {
		for _, d := range l {
			h[d] = true
		}
	}
	return h
}

// oracle tells what a function with this environment has to answer. It is the
// function's own handler, asked without a front, a Runtime API, a network, a
// memory or an index. With nearFails the mirror of us-east-1 cannot say.
func oracle(env map[string]string, s *shelves, nearFails bool) (*redirect.Handler, error) {
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		return nil, err
	}
	origins := redirect.Origins{Default: union(s.everywhere, s.indexed, s.byDefault)}
	for _, m := range c.Mirrors {
		own := map[string][]string{"us-east-1": s.near, "eu-central-1": s.far}[m.Region]
		if m.Region == "us-east-1" && nearFails {
			origins.Mirrors = append(origins.Mirrors, silent{})
			continue
		}
		origins.Mirrors = append(origins.Mirrors, union(s.everywhere, s.indexed, own))
	}
	return redirect.New(c, origins, nil, nil), nil
}

// place is a client of the mix.
type place struct {
	name string
	addr netip.Addr
}

func places() (all []place) {
	for _, c := range system.Clients() {
		all = append(all, place{c.Name, c.Addr})
	}
	return append(all,
		place{"AWS ap-southeast-2", system.Address(ranges.AWS, "ap-southeast-2")},
		place{"AWS eu-west-3, IPv6", address6(ranges.AWS, "eu-west-3")},
		place{"home, IPv6", netip.MustParseAddr("2001:db8::7")},
	)
}

// form is a request without its front and its client.
type form struct {
	method, target string
	authorized     bool
}

// forms are everything that is asked, with the errors that it may be.
func (s *shelves) forms() (all []form) {
	get := func(targets ...string) {
		for _, t := range targets {
			all = append(all, form{method: http.MethodGet, target: t})
		}
	}
	blob := func(d string) string { return "/v2/load/image/blobs/" + d }
	manifest := "/v2/load/image/manifests/"
	d := s.everywhere[0]
	get("/v2/", "/v2", "/", "/privacy")
	for i := range 20 {
		get(fmt.Sprintf("%sv%d", manifest, i), manifest+s.everywhere[i])
	}
	get(manifest+strings.Replace(d, ":", "-", 1)+".sig", "/v2/load/image/referrers/"+d, "/v2/load/image/referrers/"+d+"?artifactType=a/b")
	for i := range 10 { // in the order in which a load balancer's parameters, a map, are written
		get(fmt.Sprintf("/v2/load/image/tags/list?last=v%%2F%d&n=%d", i, i+1))
	}
	for _, list := range [][]string{s.everywhere, s.indexed, s.near, s.far, s.byDefault, s.absent} {
		for _, d := range list {
			get(blob(d))
		}
		all = append(all,
			form{method: http.MethodHead, target: blob(list[0])},
			form{method: http.MethodGet, target: blob(list[1]), authorized: true})
		get(blob(strings.Replace(list[2], ":", "%3A", 1)))
	}
	get(blob("blake3:" + strings.Repeat("ab", 32)))
	// 400, 404 and 405.
	get("/v2/BAD/tags/list", "/v2/load/../x/manifests/v1", manifest+"-x", manifest+"sha256:12", blob("sha256:12"), blob(strings.ToUpper(d)), "/v2/load/image/referrers/v1", "/v2/load/image/tags/list?a=|")
	get("/v2/_catalog", "/v2/load", "/favicon.ico", "/v1/search", "/v2/load/image/blobs/uploads/1")
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		all = append(all, form{method: method, target: "/v2/load/image/blobs/uploads/"}, form{method: method, target: manifest + "v1"})
	}
	return all
}

// mix is every form by every client through both fronts, each with what the
// oracles say; an answer of any of them will do.
func (s *shelves) mix(ctx context.Context, oracles ...*redirect.Handler) (all []asked) {
	for _, shape := range []string{loadBalancer, distribution} {
		for _, p := range places() {
			for _, f := range s.forms() {
				a := asked{front: shape, name: fmt.Sprintf("%s %s as %s through the %s", f.method, short(f.target), p.name, shape), method: f.method}
				head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: load.example\r\nUser-Agent: archeio-e2e\r\n%s: %s\r\n", f.method, f.target, entrypoint.PlayAddress, p.addr)
				if f.authorized {
					head += "Authorization: Bearer e2e\r\n"
				}
				if f.method == http.MethodPost || f.method == http.MethodPut || f.method == http.MethodPatch {
					head += "Content-Length: 0\r\n"
				}
				a.text = []byte(head + "\r\n")
				path, query, _ := strings.Cut(f.target, "?")
				for _, o := range oracles {
					r := redirect.Request{Method: f.method, Query: query, Client: p.addr, Authorized: f.authorized}
					gateway.DecodePath(&r, []byte(path))
					x := o.Handle(ctx, r)
					a.wants = append(a.wants, want{x.Status, x.Location, x.Reason, x.Body})
				}
				all = append(all, a)
			}
		}
	}
	return all
}
