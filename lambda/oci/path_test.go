package oci

import (
	"encoding/json"
	"strings"
	"testing"
)

const hex64 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

const hex128 = hex64 + hex64

var parseTests = []struct {
	name, path string
	want       Path
	status     int // 0 if there is no error
	code       Code
	detail     string
}{
	{"info", "/", Path{Kind: Info}, 0, "", ""},
	{"privacy", "/privacy", Path{Kind: Privacy}, 0, "", ""},
	{"privacy-slash", "/privacy/", Path{}, 404, Unsupported, "/privacy/"},
	{"where", "/where", Path{Kind: Where}, 0, "", ""},
	{"where-slash", "/where/", Path{}, 404, Unsupported, "/where/"},
	{"hosts", "/hosts.json", Path{Kind: Hosts}, 0, "", ""},
	{"hosts-other", "/hosts", Path{}, 404, Unsupported, "/hosts"},
	{"ping", "/v2/", Path{Kind: Ping}, 0, "", ""},
	{"ping-no-slash", "/v2", Path{Kind: Ping}, 0, "", ""},
	{"empty", "", Path{}, 404, Unsupported, ""},
	{"v2foo", "/v2foo", Path{}, 404, Unsupported, "/v2foo"},
	{"v1", "/v1/search", Path{}, 404, Unsupported, "/v1/search"},
	{"catalog", "/v2/_catalog", Path{Kind: Catalog}, 404, Unsupported, ""},
	{"catalog-below", "/v2/_catalog/", Path{}, 404, Unsupported, "/v2/_catalog/"},
	{"one-segment", "/v2/pause", Path{}, 404, Unsupported, "/v2/pause"},
	{"two-segments", "/v2/blobs/x", Path{}, 404, Unsupported, "/v2/blobs/x"},
	{"unknown-endpoint", "/v2/pause/uploads/1", Path{}, 404, Unsupported, "/v2/pause/uploads/1"},
	{"tags-not-list", "/v2/pause/tags/all", Path{}, 404, Unsupported, "/v2/pause/tags/all"},

	{"blob", "/v2/pause/blobs/sha256:" + hex64, Path{Blob, "pause", "sha256:" + hex64, true}, 0, "", ""},
	{"blob-sha512", "/v2/a/b/c/blobs/sha512:" + hex128, Path{Blob, "a/b/c", "sha512:" + hex128, true}, 0, "", ""},
	{"blob-other-algorithm", "/v2/pause/blobs/blake3+x:aZ0=_-", Path{Blob, "pause", "blake3+x:aZ0=_-", true}, 0, "", ""},
	{"blob-of-blobs", "/v2/blobs/blobs/blobs/sha256:" + hex64, Path{Blob, "blobs/blobs", "sha256:" + hex64, true}, 0, "", ""},
	{"blob-tag", "/v2/pause/blobs/latest", Path{Kind: Blob, Name: "pause"}, 400, DigestInvalid, "latest"},
	{"blob-empty", "/v2/pause/blobs/", Path{Kind: Blob, Name: "pause"}, 400, DigestInvalid, ""},
	{"blob-name-first", "/v2/Pause/blobs/latest", Path{Kind: Blob}, 400, NameInvalid, "Pause"},
	{"blob-no-name", "/v2//blobs/sha256:" + hex64, Path{Kind: Blob}, 400, NameInvalid, ""},
	{"blob-upload", "/v2/pause/blobs/uploads/", Path{}, 404, Unsupported, "/v2/pause/blobs/uploads/"},

	{"manifest-tag", "/v2/pause/manifests/3.9", Path{Manifest, "pause", "3.9", false}, 0, "", ""},
	{"manifest-digest", "/v2/pause/manifests/sha256:" + hex64, Path{Manifest, "pause", "sha256:" + hex64, true}, 0, "", ""},
	{"manifest-bad-tag", "/v2/pause/manifests/-x", Path{Kind: Manifest, Name: "pause"}, 400, TagInvalid, "-x"},
	{"manifest-bad-digest", "/v2/pause/manifests/sha256:12", Path{Kind: Manifest, Name: "pause"}, 400, DigestInvalid, "sha256:12"},

	{"tags", "/v2/pause/tags/list", Path{Kind: Tags, Name: "pause"}, 0, "", ""},
	{"tags-of-tags", "/v2/tags/list/tags/list", Path{Kind: Tags, Name: "tags/list"}, 0, "", ""},
	{"tags-bad-name", "/v2/a--/tags/list", Path{Kind: Tags}, 400, NameInvalid, "a--"},
	{"referrers", "/v2/pause/referrers/sha256:" + hex64, Path{Referrers, "pause", "sha256:" + hex64, true}, 0, "", ""},
	{"referrers-tag", "/v2/pause/referrers/latest", Path{Kind: Referrers, Name: "pause"}, 400, DigestInvalid, "latest"},

	{"traversal", "/v2/../x/manifests/1", Path{Kind: Manifest}, 400, NameInvalid, "../x"},
	{"long-detail", "/v2/" + strings.Repeat("A", 300) + "/tags/list", Path{Kind: Tags}, 400, NameInvalid, strings.Repeat("A", 128) + "..."},
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range parseTests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.path)
			if got != tt.want {
				t.Errorf("Parse(%q) = %+v, want %+v", tt.path, got, tt.want)
			}
			if (err == nil) != (tt.status == 0) {
				t.Fatalf("Parse(%q): error %v, want status %d", tt.path, err, tt.status)
			}
			if err == nil {
				return
			}
			if err.Status != tt.status || err.Code != tt.code || err.Detail != tt.detail || err.Message == "" {
				t.Errorf("Parse(%q): error %+v, want %d %s %q", tt.path, err, tt.status, tt.code, tt.detail)
			}
		})
	}
}

func TestParseAllocations(t *testing.T) {
	for _, tt := range parseTests {
		if tt.status != 0 {
			continue
		}
		if n := testing.AllocsPerRun(100, func() { Parse(tt.path) }); n != 0 {
			t.Errorf("Parse(%q) allocates %v times, want 0", tt.path, n)
		}
	}
}

func TestKindNames(t *testing.T) {
	t.Parallel()
	want := map[Kind]string{
		Unknown: "", Info: "info", Privacy: "privacy", Where: "where", Hosts: "hosts", Ping: "ping", Catalog: "catalog",
		Blob: "blob", Manifest: "manifest", Tags: "tags", Referrers: "referrers",
	}
	if len(want) != Kinds {
		t.Errorf("there are %d kinds, want %d", Kinds, len(want))
	}
	for kind, name := range want {
		if kind.String() != name {
			t.Errorf("Kind(%d).String() = %q, want %q", kind, kind, name)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		err    *Error
		status int
		body   string
		text   string
	}{
		{"method", MethodNotAllowed("POST"), 405, `{"errors":[{"code":"UNSUPPORTED","message":"this registry is read-only","detail":"POST"}]}`, `this registry is read-only: "POST"`},
		{"path", MalformedPath(), 400, `{"errors":[{"code":"NAME_INVALID","message":"malformed percent-escape in the path"}]}`, "malformed percent-escape in the path"},
		{"query", MalformedQuery(), 400, `{"errors":[{"code":"UNSUPPORTED","message":"malformed query"}]}`, "malformed query"},
		{"long-name", NameTooLong("a/b"), 400, `{"errors":[{"code":"NAME_INVALID","message":"repository name longer than 255 bytes with the prefix of the upstream","detail":"a/b"}]}`, `repository name longer than 255 bytes with the prefix of the upstream: "a/b"`},
		{"page", NotFound("/x"), 404, `{"errors":[{"code":"UNSUPPORTED","message":"no such page","detail":"/x"}]}`, `no such page: "/x"`},
		{"html", NotFound("/<script>\x00\xff"), 404, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			body := tt.err.Body()
			if !json.Valid([]byte(body)) || strings.ContainsAny(body, "<>\x00") || tt.body != "" && body != tt.body {
				t.Errorf("Body() = %s, want %s", body, tt.body)
			}
			if tt.err.Status != tt.status || tt.text != "" && tt.err.Error() != tt.text {
				t.Errorf("error %d %q, want %d %q", tt.err.Status, tt.err, tt.status, tt.text)
			}
		})
	}
}
