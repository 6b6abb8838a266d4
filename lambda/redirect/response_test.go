package redirect

import (
	"encoding/json"
	"strings"
	"testing"

	"archeio/lambda/blobs"
)

const (
	hour, minutes, minute = "public, max-age=3600", "public, max-age=300", "public, max-age=60"

	images = "https://upstream.example/v2/project/images/"
	bare   = "https://upstream.example/v2/"
	prefix = "project/images/"
)

// longName returns a name of n bytes.
func longName(n int) string { return strings.Repeat("a", n) }

func found302(location, reason string) Response {
	return Response{Status: 302, Location: location, CacheControl: hour, Reason: reason}
}

func found307(location, cache, reason string) Response {
	return Response{Status: 307, Location: location, CacheControl: cache, Reason: reason}
}

func refused(status int) Response {
	return Response{Status: status, ContentType: "application/json", CacheControl: minute, Reason: "refused"}
}

var (
	pong       = Response{Status: 200, ContentType: "application/json", APIVersion: "registry/2.0", CacheControl: hour, Reason: "ping", Body: "{}"}
	notAllowed = Response{Status: 405, ContentType: "application/json", CacheControl: minute, Reason: "refused", Allow: "GET, HEAD"}
	// fromDefault is the response to a client in no cloud for a blob.
	fromDefault = found307("https://default.example/containers/images/"+digest, "private, no-store", "default-mirror")

	noPages  = env{"INFO_URL": "", "PRIVACY_URL": ""}
	noPrefix = env{"UPSTREAM_REGISTRY_PATH": ""}
)

// responseTests are requests with GET and with HEAD if the method is empty. If there
// is a code, the body is an OCI error with that code; its message is not compared.
var responseTests = []struct {
	name                string
	env                 env
	method, path, query string
	want                Response
	code                string
}{
	{"post", nil, "POST", blobOf + digest, "", notAllowed, "UNSUPPORTED"},
	{"post-upload", nil, "POST", "/v2/pause/blobs/uploads/", "", notAllowed, "UNSUPPORTED"},
	{"put", nil, "PUT", "/v2/pause/manifests/3.9", "", notAllowed, "UNSUPPORTED"},
	{"delete", nil, "DELETE", "/v2/pause/manifests/3.9", "", notAllowed, "UNSUPPORTED"},
	{"options", nil, "OPTIONS", "/v2/", "", notAllowed, "UNSUPPORTED"},
	{"method-in-lower-case", nil, "get", "/", "", notAllowed, "UNSUPPORTED"},

	{"info", nil, "", "/", "", found302("https://info.example/read?me=1#first", "info"), ""},
	{"info-query", nil, "", "/", "a=b", found302("https://info.example/read?me=1#first", "info"), ""},
	{"privacy", nil, "", "/privacy", "", found302("https://privacy.example/", "privacy"), ""},
	{"privacy-own", noPages, "", "/privacy", "", found302("/#privacy", "privacy"), ""},
	{"where-bad-query", nil, "", "/where", "a;b", refused(400), "UNSUPPORTED"},
	{"where-bad-image", nil, "", "/where", "image=:1", refused(400), "UNSUPPORTED"},
	{"where-post", nil, "POST", "/where", "", notAllowed, "UNSUPPORTED"},
	{"hosts-post", nil, "POST", "/hosts.json", "", notAllowed, "UNSUPPORTED"},

	{"ping", nil, "", "/v2/", "", pong, ""},
	{"ping-no-slash", nil, "", "/v2", "", pong, ""},
	{"ping-query", nil, "", "/v2/", "a", pong, ""},
	{"catalog", nil, "", "/v2/_catalog", "n=1", refused(404), "UNSUPPORTED"},
	{"upload", nil, "", "/v2/pause/blobs/uploads/1", "", refused(404), "UNSUPPORTED"},
	{"one-segment", nil, "", "/v2/pause", "", refused(404), "UNSUPPORTED"},
	{"v2foo", nil, "", "/v2foo", "", refused(404), "UNSUPPORTED"},
	{"other", nil, "", "/favicon.ico", "", refused(404), "UNSUPPORTED"},
	{"empty-path", nil, "", "", "", refused(404), "UNSUPPORTED"},

	{"bad-name", nil, "", "/v2/Pause/tags/list", "", refused(400), "NAME_INVALID"},
	{"traversal", nil, "", "/v2/../x/manifests/1", "", refused(400), "NAME_INVALID"},
	{"other-host", nil, "", "/v2//evil.example/manifests/1", "", refused(400), "NAME_INVALID"},
	{"header-injection", nil, "", "/v2/a\r\nX: y/manifests/1", "", refused(400), "NAME_INVALID"},
	{"bad-tag", nil, "", "/v2/pause/manifests/-x", "", refused(400), "TAG_INVALID"},
	{"bad-manifest-digest", nil, "", "/v2/pause/manifests/sha256:12", "", refused(400), "DIGEST_INVALID"},
	{"bad-blob-digest", nil, "", "/v2/pause/blobs/sha256:" + strings.ToUpper(hex64), "", refused(400), "DIGEST_INVALID"},
	{"bad-referrers-digest", nil, "", "/v2/pause/referrers/latest", "", refused(400), "DIGEST_INVALID"},
	{"bad-query", nil, "", "/v2/pause/tags/list", "n=1\r\nX: y", refused(400), "UNSUPPORTED"},
	{"bad-query-for-blob", nil, "", blobOf + digest, "a b", refused(400), "UNSUPPORTED"},

	{"manifest-tag", nil, "", "/v2/pause/manifests/3.9", "", found307(images+"pause/manifests/3.9", minutes, "manifest"), ""},
	{"manifest-digest", nil, "", "/v2/a/b/manifests/" + digest, "", found307(images+"a/b/manifests/"+digest, minutes, "manifest"), ""},
	{"manifest-query", nil, "", "/v2/pause/manifests/3.9", "ns=x", found307(images+"pause/manifests/3.9", minutes, "manifest"), ""},
	{"manifest-signature-tag", nil, "", "/v2/pause/manifests/sha256-" + hex64 + ".sig", "", found307(images+"pause/manifests/sha256-"+hex64+".sig", minutes, "manifest"), ""},
	{"manifest-no-prefix", noPrefix, "", "/v2/pause/manifests/3.9", "", found307(bare+"pause/manifests/3.9", minutes, "manifest"), ""},
	{"manifest-with-prefix", nil, "", "/v2/project/images/pause/manifests/3.9", "", found307(images+"project/images/pause/manifests/3.9", minutes, "manifest"), ""},

	{"blob", nil, "", blobOf + digest, "", fromDefault, ""},
	{"blob-query", nil, "", blobOf + digest, "ns=x", fromDefault, ""},
	{"blob-upstream", nil, "", blobOf + blake3, "ns=x", found307(images+"pause/blobs/"+blake3, "private, no-store", "upstream-digest"), ""},
	{"blob-with-prefix", nil, "", "/v2/project/images/pause/blobs/" + blake3, "", found307(images+"project/images/pause/blobs/"+blake3, "private, no-store", "upstream-digest"), ""},

	{"tags", nil, "", "/v2/pause/tags/list", "", found307(images+"pause/tags/list", minutes, "tags"), ""},
	{"tags-query", nil, "", "/v2/pause/tags/list", "n=10&last=a%2Fb%2f+~", found307(images+"pause/tags/list?n=10&last=a%2Fb%2f+~", minutes, "tags"), ""},
	{"tags-page-link", nil, "", "/v2/project/images/pause/tags/list", "last=1", found307(images+"pause/tags/list?last=1", minutes, "tags"), ""},
	{"tags-prefix-only", nil, "", "/v2/project/images/tags/list", "", found307(images+"project/images/tags/list", minutes, "tags"), ""},
	{"tags-longer-than-prefix", nil, "", "/v2/project/images2/pause/tags/list", "", found307(images+"project/images2/pause/tags/list", minutes, "tags"), ""},
	{"tags-prefix-inside", nil, "", "/v2/a/project/images/pause/tags/list", "", found307(images+"a/project/images/pause/tags/list", minutes, "tags"), ""},
	{"tags-prefix-twice", nil, "", "/v2/project/images/project/images/pause/tags/list", "", found307(images+"project/images/pause/tags/list", minutes, "tags"), ""},
	{"tags-no-prefix", noPrefix, "", "/v2/pause/tags/list", "n=1", found307(bare+"pause/tags/list?n=1", minutes, "tags"), ""},

	{"namespace-manifest", nil, "", "/v2/project/images/pause/manifests/3.9", "ns=upstream.example", found307(images+"pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-any-host", nil, "", "/v2/project/images/pause/manifests/3.9", "ns=docker.io", found307(images+"pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-empty", nil, "", "/v2/project/images/pause/manifests/3.9", "ns=", found307(images+"pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-second", nil, "", "/v2/project/images/pause/manifests/3.9", "a=b&ns=c", found307(images+"pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-digest", nil, "", "/v2/project/images/pause/manifests/" + digest, "ns=upstream.example", found307(images+"pause/manifests/"+digest, minutes, "manifest"), ""},
	{"namespace-blob", nil, "", "/v2/project/images/pause/blobs/" + digest, "ns=upstream.example", fromDefault, ""},
	{"namespace-blob-upstream", nil, "", "/v2/project/images/pause/blobs/" + sha512, "ns=upstream.example", found307(images+"pause/blobs/"+sha512, "private, no-store", "upstream-digest"), ""},
	{"namespace-tags", nil, "", "/v2/project/images/pause/tags/list", "ns=a", found307(images+"pause/tags/list?ns=a", minutes, "tags"), ""},
	{"namespace-no-prefix-in-name", nil, "", "/v2/pause/manifests/3.9", "ns=upstream.example", found307(images+"pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-prefix-only", nil, "", "/v2/project/images/manifests/3.9", "ns=a", found307(images+"project/images/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-longer-than-prefix", nil, "", "/v2/project/images2/pause/manifests/3.9", "ns=a", found307(images+"project/images2/pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-part-of-prefix", nil, "", "/v2/project/pause/manifests/3.9", "ns=a", found307(images+"project/pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-prefix-inside", nil, "", "/v2/a/project/images/pause/manifests/3.9", "ns=a", found307(images+"a/project/images/pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-prefix-twice", nil, "", "/v2/project/images/project/images/pause/manifests/3.9", "ns=a", found307(images+"project/images/pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-name-longer", nil, "", "/v2/project/images/pause/manifests/3.9", "xns=a", found307(images+"project/images/pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-in-value", nil, "", "/v2/project/images/pause/manifests/3.9", "a=ns=b", found307(images+"project/images/pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-no-equals-sign", nil, "", "/v2/project/images/pause/manifests/3.9", "ns", found307(images+"project/images/pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-upper-case", nil, "", "/v2/project/images/pause/manifests/3.9", "NS=a", found307(images+"project/images/pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-encoded", nil, "", "/v2/project/images/pause/manifests/3.9", "n%73=a", found307(images+"project/images/pause/manifests/3.9", minutes, "manifest"), ""},
	{"namespace-no-prefix", noPrefix, "", "/v2/pause/manifests/3.9", "ns=a", found307(bare+"pause/manifests/3.9", minutes, "manifest"), ""},

	{"name-longest", nil, "", "/v2/" + longName(255-len(prefix)) + "/manifests/3.9", "", found307(images+longName(255-len(prefix))+"/manifests/3.9", minutes, "manifest"), ""},
	{"name-too-long", nil, "", "/v2/" + longName(256-len(prefix)) + "/manifests/3.9", "", refused(400), "NAME_INVALID"},
	{"name-too-long-blob", nil, "", "/v2/" + longName(256-len(prefix)) + "/blobs/" + digest, "", refused(400), "NAME_INVALID"},
	{"name-too-long-tags", nil, "", "/v2/" + longName(255) + "/tags/list", "", refused(400), "NAME_INVALID"},
	{"name-too-long-referrers", nil, "", "/v2/" + longName(255) + "/referrers/" + digest, "", refused(400), "NAME_INVALID"},
	{"name-too-long-alone", nil, "", "/v2/" + longName(256) + "/manifests/3.9", "", refused(400), "NAME_INVALID"},
	{"name-longest-page-link", nil, "", "/v2/" + prefix + longName(255-len(prefix)) + "/tags/list", "", found307(images+longName(255-len(prefix))+"/tags/list", minutes, "tags"), ""},
	{"name-longest-namespace", nil, "", "/v2/" + prefix + longName(255-len(prefix)) + "/manifests/3.9", "ns=a", found307(images+longName(255-len(prefix))+"/manifests/3.9", minutes, "manifest"), ""},
	{"name-too-long-twice-the-prefix", nil, "", "/v2/" + prefix + longName(255-len(prefix)) + "/manifests/3.9", "", refused(400), "NAME_INVALID"},
	{"name-longest-no-prefix", noPrefix, "", "/v2/" + longName(255) + "/manifests/3.9", "", found307(bare+longName(255)+"/manifests/3.9", minutes, "manifest"), ""},
	{"name-too-long-no-prefix", noPrefix, "", "/v2/" + longName(256) + "/manifests/3.9", "", refused(400), "NAME_INVALID"},

	{"referrers", nil, "", "/v2/pause/referrers/" + digest, "", found307(images+"pause/referrers/"+digest, minutes, "referrers"), ""},
	{"referrers-query", nil, "", "/v2/pause/referrers/" + digest, "artifactType=a/b", found307(images+"pause/referrers/"+digest+"?artifactType=a/b", minutes, "referrers"), ""},
	{"referrers-page-link", nil, "", "/v2/project/images/pause/referrers/" + digest, "", found307(images+"pause/referrers/"+digest, minutes, "referrers"), ""},
}

// checkBody checks that a body is one OCI error with a code; "" is any code.
func checkBody(t *testing.T, body, code string) {
	t.Helper()
	var got struct {
		Errors []struct{ Code, Message, Detail string }
	}
	d := json.NewDecoder(strings.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&got); err != nil || d.More() {
		t.Fatalf("body %q, want one OCI error: %v", body, err)
	}
	if len(got.Errors) != 1 || got.Errors[0].Message == "" || code != "" && got.Errors[0].Code != code {
		t.Errorf("body %s, want one error with a message and the code %q", body, code)
	}
}

func TestResponses(t *testing.T) {
	t.Parallel()
	for _, tt := range responseTests {
		methods := []string{tt.method}
		if tt.method == "" {
			methods = []string{"GET", "HEAD"}
		}
		for _, method := range methods {
			t.Run(tt.name+"/"+method, func(t *testing.T) {
				h, _ := newHandler(t, tt.env, results{"default": blobs.Present})
				got := h.Handle(t.Context(), Request{Method: method, Path: tt.path, Query: tt.query, Client: client(t, "")})
				want := tt.want
				switch {
				case method == "HEAD":
					want.Body = ""
				case tt.code != "":
					checkBody(t, got.Body, tt.code)
					want.Body = got.Body
				}
				if got != want {
					t.Errorf("response %+v, want %+v", got, want)
				}
			})
		}
	}
}

// TestMalformedPath checks that a path is ignored if it could not be decoded.
func TestMalformedPath(t *testing.T) {
	t.Parallel()
	h, _ := newHandler(t, nil, nil)
	for _, path := range []string{"/v2/", "/", blobOf + digest, "/v2/%zz"} {
		got := h.Handle(t.Context(), Request{Method: "GET", Path: path, Malformed: true})
		checkBody(t, got.Body, "NAME_INVALID")
		got.Body = ""
		if got != refused(400) {
			t.Errorf("%q: response %+v, want %+v", path, got, refused(400))
		}
	}
}

// TestQueryBytes checks every byte. RFC 3986: query = *( pchar / "/" / "?" ).
func TestQueryBytes(t *testing.T) {
	t.Parallel()
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~" + "!$&'()*+,;=" + ":@" + "/?"
	h, _ := newHandler(t, nil, nil)
	check := func(query string, valid bool) {
		got := h.Handle(t.Context(), Request{Method: "GET", Path: "/v2/pause/tags/list", Query: query})
		if valid && got.Location != images+"pause/tags/list?"+query || !valid && (got.Status != 400 || got.Location != "") {
			t.Errorf("query %q: status %d, location %q; want valid: %v", query, got.Status, got.Location, valid)
		}
	}
	for c := range 256 {
		check("a="+string([]byte{byte(c)})+"b", strings.IndexByte(allowed, byte(c)) >= 0)
		hex := strings.IndexByte("0123456789abcdefABCDEF", byte(c)) >= 0
		check("%4"+string([]byte{byte(c)}), hex)
		check("%"+string([]byte{byte(c)})+"4", hex)
	}
	for _, query := range []string{"%", "a%", "%4", "a=%4", "%%41", "ü"} {
		check(query, false)
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	r := Response{Status: 200, Location: "1", Allow: "2", ContentType: "3", APIVersion: "4", CacheControl: "5", Reason: "6", Policy: "7", Body: "8"}
	want := [...]Field{
		{"Location", "1"}, {"Allow", "2"}, {"Content-Type", "3"},
		{"Docker-Distribution-Api-Version", "4"}, {"Cache-Control", "5"}, {"X-Redirect-Reason", "6"},
		{"Content-Security-Policy", "7"}, {"X-Content-Type-Options", "nosniff"}, {"Referrer-Policy", "no-referrer"},
	}
	if got := r.Fields(); got != want {
		t.Errorf("Fields() = %q, want %q", got, want)
	}
}
