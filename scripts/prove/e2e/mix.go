package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"archeio/lambda/gateway"
	"archeio/lambda/redirect"
	"archeio/ranges"
	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/system"
)

// response is what is checked of a response.
type response struct {
	status                 int
	location, reason, body string
}

// loadRequest is one request of the load, with the responses that it may get: one if
// nothing fails.
type loadRequest struct {
	entryPoint, name, method string
	text                     []byte // as it is sent
	accepted                 []response
}

// accepts reports whether the request may get a response.
func (r *loadRequest) accepts(got response) bool { return slices.Contains(r.accepted, got) }

// location is a client of the load.
type location struct {
	name string
	addr netip.Addr
}

func locations() (all []location) {
	for _, c := range system.Clients() {
		all = append(all, location{c.Name, c.Addr})
	}
	return append(all,
		location{"AWS ap-southeast-2", system.Address(ranges.AWS, "ap-southeast-2")},
		location{"AWS eu-west-3, IPv6", ipv6Address(ranges.AWS, "eu-west-3")},
		location{"home, IPv6", netip.MustParseAddr("2001:db8::7")},
	)
}

// form is a request without its entry point and client.
type form struct {
	method, target string
	authorized     bool
}

// text is the request as a client at an address sends it.
func (f form) text(client netip.Addr) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: load.example\r\nUser-Agent: archeio-e2e\r\n%s: %s\r\n", f.method, f.target, entrypoint.ClientAddressHeader, client)
	if f.authorized {
		b.WriteString("Authorization: Bearer e2e\r\n")
	}
	if f.method == http.MethodPost || f.method == http.MethodPut || f.method == http.MethodPatch {
		b.WriteString("Content-Length: 0\r\n")
	}
	b.WriteString("\r\n")
	return []byte(b.String())
}

// expected returns the response of an oracle to a client at an address.
func (f form) expected(ctx context.Context, oracle *redirect.Handler, client netip.Addr) response {
	path, query, _ := strings.Cut(f.target, "?")
	r := redirect.Request{Method: f.method, Query: query, Client: client, Authorized: f.authorized}
	gateway.DecodePath(&r, []byte(path))
	x := oracle.Handle(ctx, r)
	return response{x.Status, x.Location, x.Reason, x.Body}
}

const (
	loadBlobs     = "/v2/load/image/blobs/"
	loadManifests = "/v2/load/image/manifests/"
)

// forms are all requests of the load, those that get an error included.
func (b *blobSets) forms() (all []form) {
	get := func(targets ...string) {
		for _, t := range targets {
			all = append(all, form{method: http.MethodGet, target: t})
		}
	}
	digest := b.everywhere[0]
	get("/v2/", "/v2", "/", "/privacy")
	for i := range 20 {
		get(fmt.Sprintf("%sv%d", loadManifests, i), loadManifests+b.everywhere[i])
	}
	get(loadManifests+strings.Replace(digest, ":", "-", 1)+".sig", "/v2/load/image/referrers/"+digest, "/v2/load/image/referrers/"+digest+"?artifactType=a/b")
	for i := range 10 { // in the order of names, as a load balancer's parameters are a map
		get(fmt.Sprintf("/v2/load/image/tags/list?last=v%%2F%d&n=%d", i, i+1))
	}
	for _, set := range [][]string{b.everywhere, b.indexed, b.near, b.far, b.byDefault, b.absent} {
		for _, d := range set {
			get(loadBlobs + d)
		}
		all = append(all,
			form{method: http.MethodHead, target: loadBlobs + set[0]},
			form{method: http.MethodGet, target: loadBlobs + set[1], authorized: true})
		get(loadBlobs + strings.Replace(set[2], ":", "%3A", 1))
	}
	get(loadBlobs + "blake3:" + strings.Repeat("ab", 32))
	return append(all, invalidForms(digest)...)
}

// invalidForms are requests that get 400, 404 or 405.
func invalidForms(digest string) (all []form) {
	for _, t := range []string{
		"/v2/BAD/tags/list", "/v2/load/../x/manifests/v1", loadManifests + "-x", loadManifests + "sha256:12", loadBlobs + "sha256:12",
		loadBlobs + strings.ToUpper(digest), "/v2/load/image/referrers/v1", "/v2/load/image/tags/list?a=|",
		"/v2/_catalog", "/v2/load", "/favicon.ico", "/v1/search", "/v2/load/image/blobs/uploads/1",
	} {
		all = append(all, form{method: http.MethodGet, target: t})
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		all = append(all, form{method: method, target: loadBlobs + "uploads/"}, form{method: method, target: loadManifests + "v1"})
	}
	return all
}

// mix returns every form from every location through both entry points, each
// with the responses of the oracles.
func (b *blobSets) mix(ctx context.Context, oracles ...*redirect.Handler) (all []loadRequest) {
	for _, kind := range kinds {
		for _, l := range locations() {
			for _, f := range b.forms() {
				if kind == distribution && strings.Contains(f.target, "/../") {
					continue // the edge rejects it, the oracles do not see it
				}
				r := loadRequest{
					entryPoint: kind, method: f.method, text: f.text(l.addr),
					name: fmt.Sprintf("%s %s from %s through the %s", f.method, shortDigest(f.target), l.name, kind),
				}
				for _, o := range oracles {
					r.accepted = append(r.accepted, f.expected(ctx, o, l.addr))
				}
				all = append(all, r)
			}
		}
	}
	return all
}
