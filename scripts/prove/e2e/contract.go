package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// rule is one rule that HTTP requests must follow at an entry point.
type rule struct {
	name string
	// check returns what the client observed, and an error if that breaks the
	// rule.
	check func(*ruleTest, context.Context) (observed string, err error)
}

// rules are all rules, in the order of the report.
var rules = []rule{
	{"HEAD matches GET, without a body", (*ruleTest).headMatchesGet},
	{"Range", (*ruleTest).rangeRequest},
	{"download cut halfway and resumed", (*ruleTest).resumedDownload},
	{"Authorization forwarded across the redirect", (*ruleTest).authorization},
	{"digest with %3A instead of a colon", (*ruleTest).escapedDigest},
	{"IPv6 client in AWS eu-west-3", (*ruleTest).ipv6Client},
	{"connection over IPv6", (*ruleTest).ipv6Connection},
	{"HTTP/2", (*ruleTest).http2},
	{"HTTP/1.1, one connection for 60 requests", (*ruleTest).keepAlive},
	{"ns= with a name that has the upstream's prefix", (*ruleTest).prefixedName},
	{"sha512 blob", (*ruleTest).sha512Blob},
	{"signature requested before it is pushed", (*ruleTest).earlySignature},
	{"odd requests of one client", (*ruleTest).oddRequests},
}

const ruleTimeout = time.Minute

// ruleTest checks rules at the entry point of a client in AWS us-east-1, next to
// a mirror, with a blob of 256 KiB that every mirror has.
type ruleTest struct {
	*testSystem
	images    *testImages
	at        entryPoint
	transport http.RoundTripper
	path      string // of the blob
	digest    string
	mirror    *server // in us-east-1
}

// runContract checks every rule at both kinds of entry points.
func (s *testSystem) runContract(ctx context.Context, o *options, images *testImages) (checks []check) {
	blobs := images.single.nativeBlobs
	digest := blobs[len(blobs)-2].String()
	transport := &http.Transport{MaxIdleConnsPerHost: 4}
	defer transport.CloseIdleConnections()
	for _, rule := range rules {
		for _, e := range s.entryPoints {
			if e.client.Name != "AWS us-east-1" || !o.selects("contract", rule.name) || ctx.Err() != nil {
				continue
			}
			t := &ruleTest{s, images, e, transport, "/v2/" + singleRepository + "/blobs/" + digest, digest, s.mirrors["us-east-1"]}
			bounded, cancel := context.WithTimeout(ctx, ruleTimeout)
			began := time.Now()
			observed, err := rule.check(t, bounded)
			cancel()
			checks = append(checks, newCheck("contract", rule.name, e.kind, observed, began, err))
		}
	}
	return checks
}

// get follows the redirect of the entry point.
func (t *ruleTest) get(ctx context.Context, path string, headers map[string]string) (fetched, error) {
	return fetch(ctx, t.transport, http.MethodGet, t.at.url+path, headers)
}

// getBlob gets the blob, checks it, and checks the reason of the redirect.
func (t *ruleTest) getBlob(ctx context.Context, transport http.RoundTripper, url string, headers map[string]string, reason string) (fetched, error) {
	a, err := fetch(ctx, transport, http.MethodGet, url, headers)
	if err != nil {
		return a, err
	}
	if a.reason() != reason {
		return a, fmt.Errorf("the reason is %q, want %q", a.reason(), reason)
	}
	return a, checkDigest(a.body, t.digest)
}
