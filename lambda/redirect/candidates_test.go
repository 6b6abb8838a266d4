package redirect

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/lambda/blobs"
	"archeio/ranges/regions"
)

const (
	paris, frankfurt, virginia = "https://mirror-eu-west-3.example/containers/images/", "https://mirror-eu-central-1.example/containers/images/", "https://mirror-us-east-1.example/containers/images/"

	defaultMirror = "https://default.example/containers/images/"
)

var (
	noDefault = env{"DEFAULT_AWS_BASE_URL": ""}
	noMirrors = env{"DEFAULT_AWS_BASE_URL": "", "MIRROR_REGIONS": ""}
	sameHost  = env{"DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "https://bucket.example", "VIEWER_HOSTS": "registry.example.com"}
)

const (
	present = blobs.Present
	absent  = blobs.Absent
	unknown = blobs.Unknown
)

// candidateTests are blob requests. location is the URL without the digest; "" is
// the upstream.
var candidateTests = []struct {
	name             string
	env              env
	place            string
	request          Request
	results          results
	checked          string
	location, reason string
}{
	{"region", nil, "AWS eu-west-3", Request{}, results{"eu-west-3": present}, "eu-west-3", paris, "aws-region"},
	{"region-absent", nil, "AWS eu-west-3", Request{}, results{"eu-west-3": absent, "default": present}, "eu-west-3 default", defaultMirror, "default-mirror"},
	{"region-unknown", nil, "AWS eu-west-3", Request{}, results{"eu-west-3": unknown, "default": present}, "eu-west-3 default", defaultMirror, "default-mirror"},
	{"absent-absent", nil, "AWS eu-west-3", Request{}, results{"eu-west-3": absent, "default": absent}, "eu-west-3 default", "", "mirror-absent"},
	{"absent-unknown", nil, "AWS eu-west-3", Request{}, results{"eu-west-3": absent, "default": unknown}, "eu-west-3 default", "", "mirror-unavailable"},
	{"unknown-absent", nil, "AWS eu-west-3", Request{}, results{"eu-west-3": unknown, "default": absent}, "eu-west-3 default", "", "mirror-unavailable"},
	{"unknown-unknown", nil, "AWS eu-west-3", Request{}, results{"eu-west-3": unknown, "default": unknown}, "eu-west-3 default", "", "mirror-unavailable"},
	{"no-default-absent", noDefault, "AWS eu-west-3", Request{}, results{"eu-west-3": absent}, "eu-west-3", "", "mirror-absent"},
	{"no-default-unknown", noDefault, "AWS eu-west-3", Request{}, results{"eu-west-3": unknown}, "eu-west-3", "", "mirror-unavailable"},

	{"nearest", nil, "AWS eu-west-1", Request{}, results{"eu-west-3": present}, "eu-west-3", paris, "nearest-region"},
	{"nearest-absent", nil, "AWS eu-west-1", Request{}, results{"eu-west-3": absent, "default": absent}, "eu-west-3 default", "", "mirror-absent"},
	{"rule", env{"MIRROR_FOR": "cn-north-1:us-east-1"}, "AWS cn-north-1", Request{}, results{"us-east-1": present}, "us-east-1", virginia, "mirror-rule"},
	{"rule-absent", env{"MIRROR_FOR": "cn-north-1:us-east-1"}, "AWS cn-north-1", Request{}, results{"us-east-1": absent, "default": present}, "us-east-1 default", defaultMirror, "default-mirror"},
	{"no-rule", nil, "AWS cn-north-1", Request{}, results{"default": present}, "default", defaultMirror, "default-mirror"},
	{"global", nil, "AWS GLOBAL", Request{}, results{"default": present}, "default", defaultMirror, "default-mirror"},
	{"azure", nil, "Azure westeurope", Request{}, results{"default": present}, "default", defaultMirror, "default-mirror"},
	{"no-cloud-absent", nil, "", Request{}, results{"default": absent}, "default", "", "mirror-absent"},
	{"no-cloud-unknown", nil, "", Request{}, results{"default": unknown}, "default", "", "mirror-unavailable"},
	{"no-address", nil, "invalid", Request{}, results{"default": present}, "default", defaultMirror, "default-mirror"},

	{"upstream-cloud", nil, "GCP europe-west9", Request{}, nil, "", "", "upstream-cloud"},
	{"upstream-cloud-authorized", nil, "GCP europe-west9", Request{Authorized: true}, nil, "", "", "upstream-cloud"},
	{"upstream-cloud-aws", env{"UPSTREAM_CLOUDS": "AWS"}, "AWS eu-west-3", Request{}, nil, "", "", "upstream-cloud"},
	{"upstream-cloud-none", env{"UPSTREAM_CLOUDS": "none"}, "GCP europe-west9", Request{}, results{"default": present}, "default", defaultMirror, "default-mirror"},
	{"other-digest", nil, "AWS eu-west-3", Request{Path: blobOf + blake3}, nil, "", "", "upstream-digest"},
	{"sha512", nil, "AWS eu-west-3", Request{Path: blobOf + sha512}, nil, "", "", "upstream-digest"},
	{"sha512-no-cloud", nil, "", Request{Path: blobOf + sha512}, nil, "", "", "upstream-digest"},
	{"no-mirror", noMirrors, "AWS eu-west-3", Request{}, nil, "", "", "no-mirror"},

	{"viewer", noDefault, "", Request{Positioned: true, Viewer: regions.Point{Latitude: 50, Longitude: 8}}, results{"eu-central-1": present}, "eu-central-1", frankfurt, "viewer-position"},
	{"viewer-absent", noDefault, "", Request{Positioned: true, Viewer: regions.Point{Latitude: 50, Longitude: 8}}, results{"eu-central-1": absent}, "eu-central-1", "", "mirror-absent"},
	{"function", noDefault, "", Request{}, results{"us-east-1": present}, "us-east-1", virginia, "function-region"},
	{"function-unknown", noDefault, "", Request{}, results{"us-east-1": unknown}, "us-east-1", "", "mirror-unavailable"},

	{"authorized", nil, "AWS eu-west-3", Request{Authorized: true}, results{"default": present}, "default", defaultMirror, "authorization"},
	{"authorized-absent", nil, "AWS eu-west-3", Request{Authorized: true}, results{"default": absent}, "default", "", "mirror-absent"},
	{"authorized-no-default", noDefault, "AWS eu-west-3", Request{Authorized: true}, nil, "", "", "no-mirror"},
	{"authorized-no-region", nil, "", Request{Authorized: true}, results{"default": present}, "default", defaultMirror, "default-mirror"},

	{"same-host", sameHost, "", Request{}, results{"default": present}, "default", "/containers/images/", "default-mirror"},
	{"same-host-after-region", sameHost, "AWS eu-west-3", Request{}, results{"eu-west-3": absent, "default": present}, "eu-west-3 default", "/containers/images/", "default-mirror"},
	{"same-host-authorized", sameHost, "AWS eu-west-3", Request{Authorized: true}, results{"default": present}, "default", "/containers/images/", "authorization"},
	{"same-host-absent", sameHost, "", Request{}, results{"default": absent}, "default", "", "mirror-absent"},
	{"viewer-host", sameHost, "", Request{ViewerHost: "d111111abcdef8.cloudfront.net"}, results{"default": present}, "default", "https://d111111abcdef8.cloudfront.net/containers/images/", "default-mirror"},
	{"viewer-host-configured", sameHost, "", Request{ViewerHost: "registry.example.com"}, results{"default": present}, "default", "https://registry.example.com/containers/images/", "default-mirror"},
	{"viewer-host-foreign", sameHost, "", Request{ViewerHost: "attacker.example"}, results{"default": present}, "default", "/containers/images/", "default-mirror"},
	{"viewer-host-with-port", sameHost, "", Request{ViewerHost: "registry.example.com:443"}, results{"default": present}, "default", "/containers/images/", "default-mirror"},
	{"viewer-host-after-region", sameHost, "AWS eu-west-3", Request{ViewerHost: "registry.example.com"}, results{"eu-west-3": absent, "default": present}, "eu-west-3 default", "https://registry.example.com/containers/images/", "default-mirror"},
	{"viewer-host-authorized", sameHost, "AWS eu-west-3", Request{ViewerHost: "registry.example.com", Authorized: true}, results{"default": present}, "default", "https://registry.example.com/containers/images/", "authorization"},
	{"viewer-host-region", sameHost, "AWS eu-west-3", Request{ViewerHost: "registry.example.com"}, results{"eu-west-3": present}, "eu-west-3", paris, "aws-region"},
	{"viewer-host-absent", sameHost, "", Request{ViewerHost: "registry.example.com"}, results{"default": absent}, "default", "", "mirror-absent"},
	{"viewer-host-base-url", env{"VIEWER_HOSTS": "registry.example.com"}, "", Request{ViewerHost: "registry.example.com"}, results{"default": present}, "default", defaultMirror, "default-mirror"},
	{"viewer-host-load-balancer", sameHost, "", Request{ViewerHost: "registry.example.com", NoDistribution: true}, results{"us-east-1": present}, "us-east-1", virginia, "function-region"},
	{"same-host-load-balancer", sameHost, "", Request{NoDistribution: true}, results{"us-east-1": present}, "us-east-1", virginia, "function-region"},
	{"same-host-load-balancer-absent", sameHost, "AWS eu-west-3", Request{NoDistribution: true}, results{"eu-west-3": absent}, "eu-west-3", "", "mirror-absent"},
	{"load-balancer", nil, "", Request{NoDistribution: true}, results{"default": present}, "default", defaultMirror, "default-mirror"},

	{"base-path", env{"DEFAULT_AWS_BASE_URL": "https://default.example/base/"}, "", Request{}, results{"default": present}, "default", "https://default.example/base/containers/images/", "default-mirror"},
	{"override", env{"MIRROR_URL_OVERRIDES": "eu-west-3=https://other.example/x"}, "AWS eu-west-3", Request{}, results{"eu-west-3": present}, "eu-west-3", "https://other.example/x/containers/images/", "aws-region"},
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	for _, tt := range candidateTests {
		t.Run(tt.name, func(t *testing.T) {
			h, s := newHandler(t, tt.env, tt.results)
			r := tt.request
			if r.Path == "" {
				r.Path = blobOf + digest
			}
			reference := strings.TrimPrefix(r.Path, blobOf)
			r.Method, r.Client = "GET", client(t, tt.place)
			location := tt.location
			if location == "" {
				location = images + "pause/blobs/"
			}
			want := found307(location+reference, "private, no-store", tt.reason)
			if got := h.Handle(t.Context(), r); got != want {
				t.Errorf("response %+v, want %+v", got, want)
			}
			checkOrder(t, s, names(tt.checked))
			for _, path := range s.paths {
				if path != reference {
					t.Errorf("a mirror is checked for %q, want %q", path, reference)
				}
			}
		})
	}
}

// TestAllResults tries every combination of results: no origin is checked twice, or
// after one that has the blob, and the redirect leads to where the blob is.
func TestAllResults(t *testing.T) {
	t.Parallel()
	all := []blobs.Answer{present, absent, unknown}
	signatures := env{"SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example"}
	budget := env{"FAILOVER_BUDGET": "1"}
	both := maps.Clone(signatures)
	maps.Copy(both, budget)
	for _, mirrors := range []env{nil, noDefault, sameHost} {
		for _, more := range []env{nil, budget, signatures, both} {
			e := env{}
			maps.Copy(e, mirrors)
			maps.Copy(e, more)
			for i := range 81 {
				r := results{"eu-west-3": all[i%3], "eu-central-1": all[i/3%3], "default": all[i/9%3], "upstream": all[i/27]}
				h, s := newHandler(t, e, r)
				got := h.Handle(t.Context(), Request{Method: "GET", Path: blobOf + digest, Client: client(t, "AWS eu-west-3")})
				if problem := wrong(e, r, s.checked, &got); problem != "" {
					t.Errorf("%v: checked %q with results %v, response %+v: %s", e, s.checked, r, got, problem)
				}
			}
		}
	}
}

// wrong returns what is wrong with the response to a client in eu-west-3, or "".
func wrong(e env, r results, checked []string, got *Response) string {
	bases := map[string]string{
		"eu-west-3": paris, "eu-central-1": frankfurt, "default": defaultMirror,
		"upstream": images + "pause/blobs/", "signatures": signed + "pause/blobs/",
	}
	if e["DEFAULT_AWS_BASE_URL"] == "/" {
		bases["default"] = "/containers/images/"
	}
	found, mirrors := "upstream", "mirror-absent"
	for i, name := range checked {
		if slices.Contains(checked[:i], name) {
			return name + " is checked twice"
		}
		switch {
		case r[name] == present && i < len(checked)-1:
			return "checks continue after " + name
		case r[name] == present:
			found = name
		case r[name] == absent && name == "upstream":
			found = "signatures"
		case r[name] == unknown && name != "upstream":
			mirrors = "mirror-unavailable"
		}
	}
	reason := map[string]string{
		"eu-west-3": "aws-region", "eu-central-1": "failover-region", "default": "default-mirror", "upstream": mirrors, "signatures": "signature",
	}[found]
	if want := found307(bases[found]+digest, "private, no-store", reason); *got != want {
		return fmt.Sprintf("want %+v", want)
	}
	return ""
}

// TestLimit checks that all checks of a request share a limit, and that every
// request has its own.
func TestLimit(t *testing.T) {
	t.Parallel()
	h, s := newHandler(t, env{"FAILOVER_BUDGET": "9", "SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example"},
		results{"eu-west-3": unknown, "eu-central-1": absent, "default": absent, "upstream": present})
	for range 2 {
		h.Handle(t.Context(), Request{Method: "GET", Path: blobOf + digest, Client: client(t, "AWS eu-west-3")})
	}
	checkOrder(t, s, names("eu-west-3 eu-central-1 default upstream eu-west-3 eu-central-1 default upstream"))
	for i, limit := range s.limits {
		if limit == nil || limit != s.limits[i/4*4] || i >= 4 && limit == s.limits[0] {
			t.Errorf("limits %p, want one for each of two requests", s.limits)
		}
	}
}

// network is a transport that gives every request the same status and records it.
type network struct {
	status   int
	requests []string
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.requests = append(n.requests, r.Method+" "+r.URL.String())
	return &http.Response{StatusCode: n.status, Body: http.NoBody, Request: r}, nil
}

func TestNewOrigins(t *testing.T) {
	t.Parallel()
	n := &network{status: 302} // present at a registry, unknown at a mirror
	var observed []string
	checker := blobs.New(blobs.Options{Timeout: time.Second, HealthInterval: time.Hour, Transport: n, Observe: func(origin, result string, _ time.Duration) {
		observed = append(observed, origin+" "+result)
	}})
	o := NewOrigins(load(t, env{
		"SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example", "MIRROR_REGIONS": "eu-west-3,us-east-1",
		"DEFAULT_AWS_BASE_URL": "https://default.example", "DEFAULT_MIRROR_CHECK_URL": "https://bucket.example/b",
	}), checker)
	for _, origin := range append(o.Mirrors, o.Default, o.Upstream) {
		origin.Has(t.Context(), &blobs.Limit{}, "x")
	}
	if want := names("eu-west-3 unknown us-east-1 unknown default unknown upstream present"); !slices.Equal(names(strings.Join(observed, " ")), want) {
		t.Errorf("observed results %q, want %q", observed, want)
	}
	if want := []string{"HEAD " + paris + "x", "HEAD " + virginia + "x", "HEAD https://bucket.example/b/containers/images/x", "HEAD https://upstream.example/v2/x"}; !slices.Equal(n.requests, want) {
		t.Errorf("requests %q, want %q", n.requests, want)
	}
	if o := NewOrigins(load(t, noMirrors), checker); len(o.Mirrors) > 0 || o.Default != nil || o.Upstream != nil {
		t.Errorf("origins %+v without mirrors, want none", o)
	}
}
