package redirect

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/lambda/blobs"
	"archeio/lambda/metrics"
	"archeio/lambda/route"
	"archeio/ranges/regions"
)

// fuzzed are the configurations for FuzzLocation, each with the base URLs that a
// Location may have by the target of its reason.
var fuzzed = []struct {
	env   env
	bases map[route.Target][]string
}{
	{
		env{"FAILOVER_BUDGET": "1000000", "SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example", "MIRROR_FOR": "cn-north-1:us-east-1"},
		map[route.Target][]string{
			route.Regional: {paris, frankfurt, virginia}, route.Default: {defaultMirror}, route.Upstream: {images, signed}, route.SignatureUpstream: {signed},
			route.InfoPage: {common["INFO_URL"]}, route.PrivacyPage: {common["PRIVACY_URL"]},
		},
	},
	{
		env{"DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "https://bucket.example", "INFO_URL": "", "VIEWER_HOSTS": "registry.example.com"},
		map[route.Target][]string{
			route.Regional: {paris, frankfurt, virginia}, route.Default: {"/containers/images/", "https://registry.example.com/containers/images/"}, route.Upstream: {images},
			route.PrivacyPage: {common["PRIVACY_URL"]},
		},
	},
	{
		env{"DEFAULT_AWS_BASE_URL": "", "MIRROR_REGIONS": "", "UPSTREAM_REGISTRY_PATH": "", "UPSTREAM_CLOUDS": "none"},
		map[route.Target][]string{
			route.Upstream: {bare}, route.InfoPage: {common["INFO_URL"]}, route.PrivacyPage: {common["PRIVACY_URL"]},
		},
	},
}

// coin is an origin that takes its results from the digits of a number.
type coin struct{ left *uint16 }

func (c coin) Has(context.Context, *blobs.Limit, string) blobs.Answer {
	a := blobs.Answer(*c.left % 3)
	*c.left /= 3
	return a
}

// assignedName matches the names that CloudFront assigns. \z is the end of the text.
var assignedName = regexp.MustCompile(`^[a-z0-9]{1,63}\.cloudfront\.net\z`)

// FuzzLocation checks that every response is one of the specified ones, and that a
// Location has no unsafe byte or segment and is below a base URL of its reason.
func FuzzLocation(f *testing.F) {
	paths := []string{
		"//evil.example/", "/v2//evil.example/blobs/" + digest, "/v2/@evil.example/manifests/1", "/v2/..%2f/tags/list",
		"/v2/a\r\nLocation: https://evil.example/tags/list", "/v2/a/../b/manifests/1", "/v2/a/manifests/..", "/v2/a/manifests/.",
		"/v2/a/blobs/x:y=_-", "/v2/ü/tags/list", "/v2/a/manifests/1?x", "/v2/a/manifests/1#x", `/v2/a\b/tags/list`,
	}
	hosts := []string{"", "registry.example.com", "d1.cloudfront.net", "attacker.example", "d1.cloudfront.net@attacker.example", "attacker.example/.cloudfront.net"}
	for i, tt := range responseTests {
		f.Add(cmp.Or(tt.method, "GET"), tt.path, tt.query, hosts[i%len(hosts)], []byte{35, 180, 1, 1}, uint8(i), uint16(i))
	}
	for i, query := range []string{"", "image=pause:3.9", "image=%3Cscript%3E", "path=" + blobOf + digest, "path=/%3Cb%3E", "path=/where?path=/", "a=%00%ff"} {
		f.Add("GET", "/where", query, "", []byte{35, 180, 1, 1}, uint8(i), uint16(0))
		f.Add("GET", "/", query, hosts[i%len(hosts)], []byte{35, 180, 1, 1}, uint8(1), uint16(0))
		f.Add("GET", "/hosts.json", query, hosts[i%len(hosts)], []byte{35, 180, 1, 1}, uint8(i), uint16(0))
	}
	for _, host := range slices.Concat(hosts, paths) {
		// To the default mirror of the second configuration, which has the blob.
		f.Add("GET", blobOf+digest, "", host, []byte{203, 0, 113, 7}, uint8(1), uint16(blobs.Present))
	}
	for i, path := range paths {
		f.Add("GET", path, "", path, []byte{34, 1, 208, 1}, uint8(i), uint16(81+i))
		f.Add("HEAD", "/v2/pause/tags/list", path, "", netip.MustParseAddr("2600:1f14::1").AsSlice(), uint8(i), uint16(7*i))
	}
	for i := range 64 {
		f.Add("GET", blobOf+digest, "", hosts[i%len(hosts)], []byte{35, 180, 1, byte(i)}, uint8(i), uint16(i*31))
	}
	var left uint16
	var handlers []*Handler
	for _, c := range fuzzed {
		config := load(f, c.env)
		o := (&script{}).origins(config)
		for i := range o.Mirrors {
			o.Mirrors[i] = coin{&left}
		}
		o.Default, o.Upstream = coin{&left}, coin{&left}
		log := slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))
		handlers = append(handlers, New(config, o, metrics.NewRecorder(io.Discard, time.Now), log))
	}
	f.Fuzz(func(t *testing.T, method, path, query, host string, address []byte, flags uint8, results uint16) {
		left = results
		setting, handler := fuzzed[flags%3], handlers[flags%3]
		from, _ := netip.AddrFromSlice(address)
		r := Request{
			Method: method, Path: path, Query: query, Client: from, ViewerHost: host,
			Malformed: flags&0xf0 == 0xf0, Authorized: flags&16 != 0, NoDistribution: flags&32 != 0,
			Positioned: flags&64 != 0, Viewer: regions.Point{Latitude: float64(flags) / 2, Longitude: float64(flags)},
		}
		got := handler.Handle(t.Context(), r)
		reason, ok := route.ParseReason(got.Reason)
		if !ok {
			t.Errorf("unknown reason %q", got.Reason)
		}
		if method == "HEAD" && got.Body != "" {
			t.Errorf("response to HEAD has the body %q", got.Body)
		}
		switch got.Status {
		case 307:
			checkLocation(t, got.Location)
			bases := setting.bases[reason.Leads()]
			// In addition, the name that CloudFront assigns, if the client requested it.
			if setting.env["DEFAULT_AWS_BASE_URL"] == "/" && reason.Leads() == route.Default && assignedName.MatchString(host) {
				bases = append(slices.Clone(bases), "https://"+host+"/containers/images/")
			}
			if !slices.ContainsFunc(bases, func(base string) bool { return strings.HasPrefix(got.Location, base) }) {
				t.Errorf("location %q for the reason %s, want it below one of %q", got.Location, reason, bases)
			}
			if r.NoDistribution && setting.env["DEFAULT_AWS_BASE_URL"] == "/" && reason.Leads() == route.Default {
				t.Errorf("location %q on a host without a distribution", got.Location)
			}
		case 302:
			checkLocation(t, got.Location)
			if bases := setting.bases[reason.Leads()]; !slices.Contains(bases, got.Location) {
				t.Errorf("location %q for the reason %s, want %q", got.Location, reason, bases)
			}
		case 200:
			switch {
			case path == "/" || path == "/where" || path == "/hosts.json":
				checkPage(t, path, method, got)
			case path != "/v2/" && path != "/v2" || method == "GET" && got.Body != "{}":
				t.Errorf("%q: response %+v", path, got)
			}
		case 400, 404, 405:
			if (got.Allow == "GET, HEAD") != (got.Status == 405) || got.Reason != "refused" {
				t.Errorf("error response %+v", got)
			}
			if method != "HEAD" {
				checkFuzzedBody(t, got.Body)
			}
		default:
			t.Errorf("status %d", got.Status)
		}
		if redirected := got.Status/100 == 3; redirected != (got.Location != "") || redirected == (got.ContentType != "") {
			t.Errorf("response %+v mixes a redirect and a body", got)
		}
		for _, field := range got.Fields() {
			if strings.ContainsFunc(field.Value, func(c rune) bool { return c < ' ' || c >= 0x7f }) {
				t.Errorf("field %q has a byte that is not printable ASCII", field)
			}
		}
		if got.CacheControl == "" || (got.Status != 307 || strings.Contains(got.Location, "/manifests/")) && strings.Contains(got.CacheControl, "private") {
			t.Errorf("Cache-Control %q for %+v", got.CacheControl, got)
		}
	})
}

func checkLocation(t *testing.T, location string) {
	t.Helper()
	for i := range len(location) {
		if location[i] <= ' ' || location[i] >= 0x7f {
			t.Fatalf("byte %#x in location %q", location[i], location)
		}
	}
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	if u.User != nil || (u.Host == "") != (strings.HasPrefix(location, "/containers/images/") || location == "/#privacy") {
		t.Errorf("location %q has user information, or the host %q", location, u.Host)
	}
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			t.Errorf("location %q has a dot segment", location)
		}
	}
}

func checkFuzzedBody(t *testing.T, body string) {
	t.Helper()
	checkBody(t, body, "")
	var got struct{ Errors []struct{ Code string } }
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(names("NAME_INVALID TAG_INVALID DIGEST_INVALID UNSUPPORTED"), got.Errors[0].Code) {
		t.Errorf("unknown error code in %s", body)
	}
}
