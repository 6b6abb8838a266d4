package redirect

import (
	"context"
	"strings"
	"testing"

	"archeio/lambda/oci"
	"archeio/lambda/relay"
)

// stubRelay sends one response and records the request.
type stubRelay struct {
	response relay.Response
	got      *relay.Request
}

func (s *stubRelay) Fetch(_ context.Context, q *relay.Request) relay.Response {
	s.got = q
	return s.response
}

var (
	tokenEnv = env{"UPSTREAM_ACCESS": "token"}
	oneHost  = env{
		"SINGLE_HOST": "true", "DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "https://bucket.example",
		"INFO_URL": "", "PRIVACY_URL": "",
	}
	hub = env{"UPSTREAM_ACCESS": "token", "UPSTREAM_REGISTRY_ENDPOINT": "https://registry-1.docker.io", "UPSTREAM_REGISTRY_PATH": ""}

	sent = relay.Response{Status: 200, Outcome: relay.Fetched, CacheControl: "public, max-age=60", ContentType: "a/b", Digest: digest, Filters: "artifactType", Body: "body", Length: 4}
)

func withSignatures(e env, endpoint string) env {
	out := env{"SIGNATURE_UPSTREAM_ENDPOINT": endpoint}
	for name, value := range e {
		out[name] = value
	}
	return out
}

func TestRelayed(t *testing.T) {
	t.Parallel()
	failed := relay.Response{Status: 502, Outcome: relay.Failed, CacheControl: "no-store", Error: &oci.Error{Status: 502, Code: oci.Unavailable, Message: "x"}}
	limited := relay.Response{Status: 429, Outcome: relay.Limited, CacheControl: "no-store", RetryAfter: 7, Error: &oci.Error{Status: 429, Code: oci.TooManyRequests}}
	missing := relay.Response{Status: 404, Outcome: relay.Absent, CacheControl: "public, max-age=10", Error: &oci.Error{Status: 404, Code: oci.ManifestUnknown}}
	moved := relay.Response{Status: 307, Outcome: relay.Redirected, Location: "https://blobs.example/x?sig=%2F"}
	const signatures = "https://signatures.example"
	for _, tt := range []struct {
		name            string
		env             env
		results         results
		method, path    string
		query, place    string
		sends           relay.Response
		status          int
		location        string
		cache, reason   string
		upstream, name2 string // what the relay is asked for, empty for nothing
	}{
		{"manifest", tokenEnv, nil, "GET", "/v2/a/manifests/1", "x=y", "", sent, 200, "", "public, max-age=60", "manifest", "project/images/a", "a"},
		{"manifest-head", tokenEnv, nil, "HEAD", "/v2/a/manifests/1", "", "", sent, 200, "", "public, max-age=60", "manifest", "project/images/a", "a"},
		{"tags", tokenEnv, nil, "GET", "/v2/project/images/a/tags/list", "n=1", "", sent, 200, "", "public, max-age=60", "tags", "project/images/a", "project/images/a"},
		{"library", hub, nil, "GET", "/v2/nginx/manifests/1", "", "", sent, 200, "", "public, max-age=60", "manifest", "library/nginx", "nginx"},
		{"library-not", hub, nil, "GET", "/v2/grafana/grafana/manifests/1", "", "", sent, 200, "", "public, max-age=60", "manifest", "grafana/grafana", "grafana/grafana"},
		{"failed", tokenEnv, nil, "GET", "/v2/a/manifests/1", "", "", failed, 502, "", "no-store", "upstream-failed", "project/images/a", "a"},
		{"limited", tokenEnv, nil, "GET", "/v2/a/manifests/1", "", "", limited, 429, "", "no-store", "upstream-limited", "project/images/a", "a"},
		{"missing", tokenEnv, nil, "GET", "/v2/a/manifests/1", "", "", missing, 404, "", "public, max-age=10", "manifest", "project/images/a", "a"},
		{"mirrored-blob", tokenEnv, results{"default": present}, "GET", blobOf + digest, "", "", moved, 307, "https://default.example/containers/images/" + digest, "private, no-store", "default-mirror", "", ""},
		{"blob", tokenEnv, results{"default": absent}, "GET", blobOf + digest, "", "", moved, 307, "https://blobs.example/x?sig=%2F", "private, no-store", "mirror-absent", "project/images/pause", "pause"},
		{"blob-of-a-cloud", tokenEnv, nil, "GET", blobOf + digest, "", "GCP europe-west9", moved, 307, "https://blobs.example/x?sig=%2F", "private, no-store", "upstream-cloud", "project/images/pause", "pause"},
		{"signature", withSignatures(tokenEnv, signatures), nil, "GET", "/v2/a/manifests/sha256-" + hex64 + ".sig", "", "", sent, 307, signatures + "/v2/project/images/a/manifests/sha256-" + hex64 + ".sig", minutes, "signature", "", ""},
		{"signature-by-digest", withSignatures(tokenEnv, signatures), nil, "GET", "/v2/a/manifests/" + digest, "", "", missing, 307, signatures + "/v2/project/images/a/manifests/" + digest, "no-store", "signature", "project/images/a", "a"},
		{"signature-at-upstream", withSignatures(tokenEnv, "https://upstream.example"), nil, "GET", "/v2/a/manifests/sha256-" + hex64 + ".sig", "", "", sent, 200, "", "public, max-age=60", "signature", "project/images/a", "a"},
		{"single-manifest", oneHost, nil, "GET", "/v2/a/manifests/1", "", "", sent, 200, "", "public, max-age=60", "manifest", "project/images/a", "a"},
		{"single-mirrored", oneHost, results{"default": present}, "GET", blobOf + digest, "", "AWS eu-west-3", sent, 307, "https://d111111abcdef8.cloudfront.net/containers/images/" + digest, "private, no-store", "default-mirror", "", ""},
		{"single-blob", oneHost, results{"default": unknown}, "GET", blobOf + digest, "", "GCP europe-west9", relay.Response{Status: 200, Body: "b", Length: 1}, 200, "", "private, no-store", "mirror-unavailable", "project/images/pause", "pause"},
		{"single-sha512", oneHost, nil, "GET", blobOf + sha512, "", "", relay.Response{Status: 200, Body: "b", Length: 1}, 200, "", "private, no-store", "upstream-digest", "project/images/pause", "pause"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := load(t, tt.env)
			s := &script{tb: t, results: tt.results}
			stub := &stubRelay{response: tt.sends}
			o := s.origins(c)
			o.Relay, o.Upstream = stub, nil
			h := New(c, o, nil, nil)
			got := h.Handle(t.Context(), Request{Method: tt.method, Path: tt.path, Query: tt.query, Client: client(t, tt.place), ViewerHost: "d111111abcdef8.cloudfront.net"})
			if got.Status != tt.status || got.Location != tt.location || got.CacheControl != tt.cache || got.Reason != tt.reason {
				t.Errorf("got %+v", got)
			}
			switch {
			case stub.got == nil && tt.upstream != "":
				t.Error("the upstream is not asked")
			case stub.got != nil && (stub.got.Name != tt.upstream || stub.got.ClientName != tt.name2 || stub.got.Head != (tt.method == "HEAD")):
				t.Errorf("the upstream is asked for %+v", stub.got)
			}
			if tt.method == "HEAD" && (got.Body != sent.Body || got.Relayed.Length != "4" || got.Relayed.Digest != digest) {
				t.Errorf("HEAD: %+v", got.Relayed)
			}
			if tt.sends == sent && stub.got != nil && got.Relayed.Filters != sent.Filters {
				t.Errorf("OCI-Filters-Applied %q", got.Relayed.Filters)
			}
			if tt.name == "limited" && got.Relayed.RetryAfter != "7" {
				t.Errorf("Retry-After %q", got.Relayed.RetryAfter)
			}
			if got.Status >= 400 && !strings.Contains(got.Body, `"errors"`) {
				t.Errorf("body %s", got.Body)
			}
			if stub.got != nil && got.Relayed != nil && got.Policy == "" {
				t.Error("a browser may run what is relayed")
			}
		})
	}
}

// TestLengthLost tests that the response to HEAD has no digest where the length is lost.
func TestLengthLost(t *testing.T) {
	t.Parallel()
	c := load(t, tokenEnv)
	o := (&script{tb: t}).origins(c)
	o.Relay = &stubRelay{response: sent}
	h := New(c, o, nil, nil)
	r := Request{Method: "HEAD", Path: "/v2/a/manifests/1", LengthLost: true}
	if got := h.Handle(t.Context(), r); got.Relayed.Digest != "" || got.Relayed.Length != "" || got.Body != sent.Body {
		t.Errorf("%+v", got.Relayed)
	}
	r.Method = "GET"
	if got := h.Handle(t.Context(), r); got.Relayed.Digest != digest || got.Body != "body" {
		t.Errorf("%+v", got)
	}
}
