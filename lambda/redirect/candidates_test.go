package redirect

import (
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
	here      = env{"DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "https://bucket.example"}
)

const (
	present = blobs.Present
	absent  = blobs.Absent
	unknown = blobs.Unknown
)

// location is where the digest follows, "" for upstream.
var candidateTests = []struct {
	name             string
	env              env
	place            string
	request          Request
	says             says
	asked            string
	location, reason string
}{
	{"region", nil, "AWS eu-west-3", Request{}, says{"eu-west-3": present}, "eu-west-3", paris, "aws-region"},
	{"region-absent", nil, "AWS eu-west-3", Request{}, says{"eu-west-3": absent, "default": present}, "eu-west-3 default", defaultMirror, "default-mirror"},
	{"region-unknown", nil, "AWS eu-west-3", Request{}, says{"eu-west-3": unknown, "default": present}, "eu-west-3 default", defaultMirror, "default-mirror"},
	{"absent-absent", nil, "AWS eu-west-3", Request{}, says{"eu-west-3": absent, "default": absent}, "eu-west-3 default", "", "mirror-absent"},
	{"absent-unknown", nil, "AWS eu-west-3", Request{}, says{"eu-west-3": absent, "default": unknown}, "eu-west-3 default", "", "mirror-unavailable"},
	{"unknown-absent", nil, "AWS eu-west-3", Request{}, says{"eu-west-3": unknown, "default": absent}, "eu-west-3 default", "", "mirror-unavailable"},
	{"unknown-unknown", nil, "AWS eu-west-3", Request{}, says{"eu-west-3": unknown, "default": unknown}, "eu-west-3 default", "", "mirror-unavailable"},
	{"no-default-absent", noDefault, "AWS eu-west-3", Request{}, says{"eu-west-3": absent}, "eu-west-3", "", "mirror-absent"},
	{"no-default-unknown", noDefault, "AWS eu-west-3", Request{}, says{"eu-west-3": unknown}, "eu-west-3", "", "mirror-unavailable"},

	{"nearest", nil, "AWS eu-west-1", Request{}, says{"eu-west-3": present}, "eu-west-3", paris, "nearest-region"},
	{"nearest-absent", nil, "AWS eu-west-1", Request{}, says{"eu-west-3": absent, "default": absent}, "eu-west-3 default", "", "mirror-absent"},
	{"rule", env{"MIRROR_FOR": "cn-north-1:us-east-1"}, "AWS cn-north-1", Request{}, says{"us-east-1": present}, "us-east-1", virginia, "mirror-rule"},
	{"rule-absent", env{"MIRROR_FOR": "cn-north-1:us-east-1"}, "AWS cn-north-1", Request{}, says{"us-east-1": absent, "default": present}, "us-east-1 default", defaultMirror, "default-mirror"},
	{"no-rule", nil, "AWS cn-north-1", Request{}, says{"default": present}, "default", defaultMirror, "default-mirror"},
	{"global", nil, "AWS GLOBAL", Request{}, says{"default": present}, "default", defaultMirror, "default-mirror"},
	{"azure", nil, "Azure westeurope", Request{}, says{"default": present}, "default", defaultMirror, "default-mirror"},
	{"no-cloud-absent", nil, "", Request{}, says{"default": absent}, "default", "", "mirror-absent"},
	{"no-cloud-unknown", nil, "", Request{}, says{"default": unknown}, "default", "", "mirror-unavailable"},
	{"no-address", nil, "invalid", Request{}, says{"default": present}, "default", defaultMirror, "default-mirror"},

	{"upstream-cloud", nil, "GCP europe-west9", Request{}, nil, "", "", "upstream-cloud"},
	{"upstream-cloud-authorized", nil, "GCP europe-west9", Request{Authorized: true}, nil, "", "", "upstream-cloud"},
	{"upstream-cloud-aws", env{"UPSTREAM_CLOUDS": "AWS"}, "AWS eu-west-3", Request{}, nil, "", "", "upstream-cloud"},
	{"upstream-cloud-none", env{"UPSTREAM_CLOUDS": "none"}, "GCP europe-west9", Request{}, says{"default": present}, "default", defaultMirror, "default-mirror"},
	{"other-digest", nil, "AWS eu-west-3", Request{Path: blobOf + blake3}, nil, "", "", "upstream-digest"},
	{"sha512", nil, "AWS eu-west-3", Request{Path: blobOf + sha512}, says{"eu-west-3": present}, "eu-west-3", paris, "aws-region"},
	{"no-mirror", noMirrors, "AWS eu-west-3", Request{}, nil, "", "", "no-mirror"},

	{"viewer", noDefault, "", Request{Positioned: true, Viewer: regions.Point{Latitude: 50, Longitude: 8}}, says{"eu-central-1": present}, "eu-central-1", frankfurt, "viewer-position"},
	{"viewer-absent", noDefault, "", Request{Positioned: true, Viewer: regions.Point{Latitude: 50, Longitude: 8}}, says{"eu-central-1": absent}, "eu-central-1", "", "mirror-absent"},
	{"function", noDefault, "", Request{}, says{"us-east-1": present}, "us-east-1", virginia, "function-region"},
	{"function-unknown", noDefault, "", Request{}, says{"us-east-1": unknown}, "us-east-1", "", "mirror-unavailable"},

	{"authorized", nil, "AWS eu-west-3", Request{Authorized: true}, says{"default": present}, "default", defaultMirror, "authorization"},
	{"authorized-absent", nil, "AWS eu-west-3", Request{Authorized: true}, says{"default": absent}, "default", "", "mirror-absent"},
	{"authorized-no-default", noDefault, "AWS eu-west-3", Request{Authorized: true}, nil, "", "", "no-mirror"},
	{"authorized-no-region", nil, "", Request{Authorized: true}, says{"default": present}, "default", defaultMirror, "default-mirror"},

	{"same-host", here, "", Request{}, says{"default": present}, "default", "/containers/images/", "default-mirror"},
	{"same-host-after-region", here, "AWS eu-west-3", Request{}, says{"eu-west-3": absent, "default": present}, "eu-west-3 default", "/containers/images/", "default-mirror"},
	{"same-host-authorized", here, "AWS eu-west-3", Request{Authorized: true}, says{"default": present}, "default", "/containers/images/", "authorization"},
	{"same-host-absent", here, "", Request{}, says{"default": absent}, "default", "", "mirror-absent"},
	{"same-host-load-balancer", here, "", Request{NoDistribution: true}, says{"us-east-1": present}, "us-east-1", virginia, "function-region"},
	{"same-host-load-balancer-absent", here, "AWS eu-west-3", Request{NoDistribution: true}, says{"eu-west-3": absent}, "eu-west-3", "", "mirror-absent"},
	{"load-balancer", nil, "", Request{NoDistribution: true}, says{"default": present}, "default", defaultMirror, "default-mirror"},

	{"base-path", env{"DEFAULT_AWS_BASE_URL": "https://default.example/base/"}, "", Request{}, says{"default": present}, "default", "https://default.example/base/containers/images/", "default-mirror"},
	{"override", env{"MIRROR_URL_OVERRIDES": "eu-west-3=https://other.example/x"}, "AWS eu-west-3", Request{}, says{"eu-west-3": present}, "eu-west-3", "https://other.example/x/containers/images/", "aws-region"},
}

func TestCandidates(t *testing.T) {
	for _, tt := range candidateTests {
		t.Run(tt.name, func(t *testing.T) {
			h, s := newHandler(t, tt.env, tt.says)
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
				t.Errorf("answer %+v, want %+v", got, want)
			}
			checkAsked(t, s, names(tt.asked))
			for _, path := range s.paths {
				if path != reference {
					t.Errorf("a mirror was asked for %q, want %q", path, reference)
				}
			}
		})
	}
}

// TestWalk goes through every combination of answers: nobody is asked twice,
// nobody once the blob is found, and the answer is where it was found.
func TestWalk(t *testing.T) {
	all := []blobs.Answer{present, absent, unknown}
	bases := map[string]string{"eu-west-3": paris, "eu-central-1": frankfurt, "upstream": images + "pause/blobs/"}
	for _, setting := range []env{nil, noDefault, here} {
		bases["default"] = defaultMirror
		if setting["DEFAULT_AWS_BASE_URL"] == "/" {
			bases["default"] = "/containers/images/"
		}
		for _, more := range []env{{}, {"FAILOVER_BUDGET": "1"}, {"SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example"}, {"FAILOVER_BUDGET": "1", "SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example"}} {
			for name, v := range setting {
				more[name] = v
			}
			for i := range 81 {
				answers := says{"eu-west-3": all[i%3], "eu-central-1": all[i/3%3], "default": all[i/9%3], "upstream": all[i/27]}
				h, s := newHandler(t, more, answers)
				got := h.Handle(t.Context(), Request{Method: "GET", Path: blobOf + digest, Client: client(t, "AWS eu-west-3")})
				base, unsure := images+"pause/blobs/", false
				for j, name := range s.asked {
					if slices.Contains(s.asked[:j], name) {
						t.Errorf("%v: asked %q, %s twice", more, s.asked, name)
					}
					switch answers[name] {
					case present:
						base = bases[name]
						if j != len(s.asked)-1 {
							t.Errorf("%v: asked %q, though %s has it", more, s.asked, name)
						}
					case absent:
						if name == "upstream" {
							base = "https://signatures.example/v2/project/images/pause/blobs/"
						}
					case unknown:
						unsure = unsure || name != "upstream"
					}
				}
				if got.Location != base+digest || got.Status != 307 || got.CacheControl != "private, no-store" {
					t.Errorf("%v: %+v after %q of %v, want %s", more, got, s.asked, answers, base)
				}
				if base == bases["upstream"] {
					want := "mirror-absent"
					if unsure {
						want = "mirror-unavailable"
					}
					if got.Reason != want {
						t.Errorf("%v: reason %s after %q of %v, want %s", more, got.Reason, s.asked, answers, want)
					}
				} else if signed := strings.HasPrefix(base, "https://signatures."); signed != (got.Reason == "signature") || strings.HasPrefix(got.Reason, "mirror-") {
					t.Errorf("%v: reason %s after %q of %v", more, got.Reason, s.asked, answers)
				}
			}
		}
	}
}

// What a request's checks may take together is one limit, and another
// request's is another.
func TestLimit(t *testing.T) {
	h, s := newHandler(t, env{"FAILOVER_BUDGET": "9", "SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example"},
		says{"eu-west-3": unknown, "eu-central-1": absent, "default": absent, "upstream": present})
	for range 2 {
		h.Handle(t.Context(), Request{Method: "GET", Path: blobOf + digest, Client: client(t, "AWS eu-west-3")})
	}
	checkAsked(t, s, names("eu-west-3 eu-central-1 default upstream eu-west-3 eu-central-1 default upstream"))
	for i, limit := range s.limits {
		if limit == nil || limit != s.limits[i/4*4] || i >= 4 && limit == s.limits[0] {
			t.Errorf("limits %p", s.limits)
		}
	}
}

// visitors is a network that answers every request the same, and keeps where
// it went.
type visitors struct {
	status int
	urls   []string
}

func (v *visitors) RoundTrip(r *http.Request) (*http.Response, error) {
	v.urls = append(v.urls, r.Method+" "+r.URL.String())
	return &http.Response{StatusCode: v.status, Body: http.NoBody, Request: r}, nil
}

func TestAsk(t *testing.T) {
	v := &visitors{status: 302} // present at a registry only
	var observed []string
	checker := blobs.New(blobs.Options{Timeout: time.Second, HealthInterval: time.Hour, Transport: v, Observe: func(origin, answer string, _ time.Duration) {
		observed = append(observed, origin+" "+answer)
	}})
	o := Ask(load(t, env{
		"SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example", "MIRROR_REGIONS": "eu-west-3,us-east-1",
		"DEFAULT_AWS_BASE_URL": "https://default.example", "DEFAULT_MIRROR_CHECK_URL": "https://bucket.example/b",
	}), checker)
	for _, origin := range append(o.Mirrors, o.Default, o.Upstream) {
		origin.Has(t.Context(), &blobs.Limit{}, "x")
	}
	if want := names("eu-west-3 unknown us-east-1 unknown default unknown upstream present"); !slices.Equal(names(strings.Join(observed, " ")), want) {
		t.Errorf("observed %q, want %q", observed, want)
	}
	if want := []string{"HEAD " + paris + "x", "HEAD " + virginia + "x", "HEAD https://bucket.example/b/containers/images/x", "HEAD https://upstream.example/v2/x"}; !slices.Equal(v.urls, want) {
		t.Errorf("asked %q, want %q", v.urls, want)
	}
	if o := Ask(load(t, noMirrors), checker); len(o.Mirrors) > 0 || o.Default != nil || o.Upstream != nil {
		t.Errorf("origins %+v of nothing", o)
	}
}
