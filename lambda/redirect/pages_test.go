package redirect

import (
	"encoding/json"
	"maps"
	"math"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"archeio/lambda/page"
	"archeio/ranges/regions"
)

// checkPage checks the headers of what a browser may display, and that nothing of
// the request is in it as markup.
func checkPage(t *testing.T, path, method string, got Response) {
	t.Helper()
	contentType, cache, policy := "application/json", hour, page.DataPolicy
	if path == "/where" {
		cache = "no-store"
	}
	if path == "/" {
		contentType, policy = "text/html; charset=utf-8", got.Policy
		if strings.Contains(policy, "unsafe") || !strings.Contains(policy, "script-src 'sha256-") || !strings.HasPrefix(policy, "default-src 'none';") {
			t.Errorf("policy %q", policy)
		}
	}
	if got.ContentType != contentType || got.CacheControl != cache || got.Policy != policy || got.Reason != "info" || got.Location != "" {
		got.Body = ""
		t.Errorf("%s: response %+v", path, got)
	}
	switch {
	case method == "HEAD":
	case path == "/":
		if n := strings.Count(got.Body, "<script"); n != 1 || len(got.Body) >= page.MaxSize {
			t.Errorf("the page has %d scripts and %d bytes", n, len(got.Body))
		}
	case !json.Valid([]byte(got.Body)) || strings.ContainsAny(got.Body, "<>"):
		t.Errorf("%s: body %s", path, got.Body)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	named := env{"INFO_URL": "", "PRIVACY_URL": "", "REGISTRY_HOST": "registry.example.com"}
	sameHostNoPages := env{"INFO_URL": "", "DEFAULT_AWS_BASE_URL": "/", "DEFAULT_MIRROR_CHECK_URL": "https://bucket.example", "VIEWER_HOSTS": "images.example.com"}
	for _, tt := range []struct {
		name             string
		env              env
		path, viewerHost string
		want, not        string
	}{
		{"named", named, "/", "d1.cloudfront.net", "docker pull registry.example.com/", "d1.cloudfront.net"},
		{"viewer-host", noPages, "/", "d1.cloudfront.net", "docker pull d1.cloudfront.net/", ""},
		{"listed-viewer-host", sameHostNoPages, "/", "images.example.com", "docker pull images.example.com/", ""},
		{"foreign-viewer-host", noPages, "/", "attacker.example", "docker pull REGISTRY/", "attacker"},
		{"no-viewer-host", noPages, "/", "", "docker pull REGISTRY/", ""},
		{"hosts", named, "/hosts.json", "", `"host": "mirror-eu-west-3.example"`, ""},
		{"hosts-of-page", nil, "/hosts.json", "", `"host": "info.example"`, ""},
		{"hosts-foreign", noPages, "/hosts.json", "attacker.example", `"host": "upstream.example"`, "attacker"},
		{"hosts-viewer-host", sameHostNoPages, "/hosts.json", "d1.cloudfront.net", `"host": "d1.cloudfront.net",
      "path": "/containers/images/"`, ""},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(tt.name+"/"+method, func(t *testing.T) {
				t.Parallel()
				h, _ := newHandler(t, tt.env, nil)
				got := h.Handle(t.Context(), Request{Method: method, Path: tt.path, Client: client(t, "AWS eu-west-3"), ViewerHost: tt.viewerHost})
				checkPage(t, tt.path, method, got)
				if method == "GET" && !strings.Contains(got.Body, tt.want) || tt.not != "" && strings.Contains(got.Body, tt.not) {
					t.Errorf("want %q, not %q, in\n%s", tt.want, tt.not, got.Body)
				}
			})
		}
	}
}

func TestWhere(t *testing.T) {
	t.Parallel()
	paris := regions.Point{Latitude: 48.86, Longitude: 2.35}
	for _, tt := range []struct {
		name    string
		env     env
		query   string
		request Request
		place   string
		want    string // parts of the document, without spaces
	}{
		{"aws", nil, "", Request{}, "AWS eu-central-1", `"path":"","kind":"blob","name":"","reference":"","status":307,"cloud":"AWS","region":"eu-central-1" "candidates":["eu-central-1","default","upstream"],"distance_km":[0,null,null],"reason":"aws-region","location":"","position":{"latitude":50`},
		{"google", nil, "", Request{}, "GCP europe-west9", `"candidates":["upstream"],"distance_km":[null],"reason":"upstream-cloud"`},
		{"unknown", nil, "", Request{}, "", `"ip":"192.0.2.1" "cloud":"","region":"","range":"","candidates":["default","upstream"] "reason":"default-mirror" "position":null`},
		{"no-address", nil, "", Request{}, "invalid", `"ip":"" "candidates":["default","upstream"]`},
		{"position", env{"DEFAULT_AWS_BASE_URL": ""}, "", Request{Viewer: paris, Positioned: true}, "", `"candidates":["eu-west-3","upstream"] "reason":"viewer-position" "position":{"latitude":48.86,"longitude":2.35}`},
		{"authorized", nil, "", Request{Authorized: true}, "AWS eu-west-3", `"candidates":["default","upstream"] "reason":"authorization"`},
		{"image", nil, "image=registry.example.com/a/b:1", Request{}, "AWS eu-west-3", `"path":"/v2/a/b/manifests/1","kind":"manifest","name":"a/b","reference":"1","status":307 "candidates":["upstream"] "reason":"manifest","location":"` + images + `a/b/manifests/1"`},
		{"path", nil, "path=" + blobOf + digest, Request{}, "AWS eu-west-3", `"kind":"blob","name":"pause" "status":307 "location":"https://mirror-eu-west-3.example/containers/images/` + digest + `"`},
		{"path-query", nil, "path=/v2/pause/tags/list%3Fn%3D1", Request{}, "", `"path":"/v2/pause/tags/list" "location":"` + images + `pause/tags/list?n=1"`},
		{"path-invalid", nil, "path=/v2/PAUSE/tags/list", Request{}, "", `"kind":"tags" "status":400 "candidates":[] "reason":"refused","location":""`},
		{"path-markup", nil, "path=%3Cscript%3E", Request{}, "", `"path":"\u003cscript\u003e" "status":404`},
		{"path-ping", nil, "path=/v2/", Request{}, "", `"kind":"ping" "status":200 "candidates":[],"distance_km":[],"reason":"ping"`},
		{"path-where", nil, "path=/where%3Fpath%3D/", Request{}, "", `"path":"/where","kind":"where" "status":200`},
		{"path-info", nil, "path=/", Request{}, "", `"status":302 "reason":"info","location":"https://info.example/read?me=1#first"`},
		{"token-image", hub, "image=nginx:1", Request{}, "", `"kind":"manifest","name":"nginx" "status":200 "candidates":["upstream"] "reason":"manifest","location":"","relayed":"https://registry-1.docker.io/v2/library/nginx/manifests/1"`},
		{"token-tags", tokenEnv, "path=/v2/pause/tags/list%3Fn%3D1", Request{}, "", `"status":200 "relayed":"` + images + `pause/tags/list?n=1"`},
		{"token-blob", tokenEnv, "path=" + blobOf + digest, Request{}, "", `"status":307 "location":"https://default.example/containers/images/` + digest + `","position"`},
		{"token-blob-of-a-cloud", tokenEnv, "path=" + blobOf + digest, Request{}, "GCP europe-west9", `"status":307 "location":"","relayed":"` + images + `pause/blobs/` + digest + `"`},
		{"token-any", tokenEnv, "", Request{}, "GCP europe-west9", `"status":307 "candidates":["upstream"] "location":"","position"`},
		{"token-signature", withSignatures(tokenEnv, "https://signatures.example"), "image=pause:sha256-" + hex64 + ".sig", Request{}, "", `"status":307 "location":"https://signatures.example/v2/project/images/pause/manifests/sha256-` + hex64 + `.sig","position"`},
		{"single-sha512", oneHost, "path=" + blobOf + sha512, Request{}, "", `"status":200 "location":"","relayed":"` + images + `pause/blobs/` + sha512 + `"`},
		{"signature", env{"SIGNATURE_UPSTREAM_ENDPOINT": "https://signatures.example"}, "image=pause@" + digest, Request{}, "", `"candidates":["upstream"]`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h, s := newHandler(t, tt.env, nil) // which must not be checked
			r := tt.request
			r.Method, r.Path, r.Query, r.Client = "GET", "/where", tt.query, client(t, tt.place)
			got := h.Handle(t.Context(), r)
			checkPage(t, "/where", "GET", got)
			checkOrder(t, s, nil)
			var w page.Where
			if err := json.Unmarshal([]byte(got.Body), &w); err != nil {
				t.Fatal(err)
			}
			if (w.Range == "") != (w.Cloud == "") {
				t.Errorf("range %q of the cloud %q", w.Range, w.Cloud)
			}
			text := strings.NewReplacer("\n", "", " ", "").Replace(got.Body)
			for part := range strings.FieldsSeq(tt.want) {
				if !strings.Contains(text, part) {
					t.Errorf("no %s in\n%s", part, text)
				}
			}
		})
	}
}

// TestSchemas compares the documents with their schemas in the folder events.
func TestSchemas(t *testing.T) {
	t.Parallel()
	type schema struct {
		Required   []string
		Properties map[string]schemaType
	}
	read := func(name string) (s schema) {
		text, err := os.ReadFile("../../events/" + name)
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	document := func(path, query string, e env) (d map[string]any) {
		h, _ := newHandler(t, e, nil)
		r := Request{Method: "GET", Path: path, Query: query, Client: client(t, "AWS eu-west-3")}
		if err := json.Unmarshal([]byte(h.Handle(t.Context(), r).Body), &d); err != nil {
			t.Fatal(err)
		}
		return d
	}
	check := func(name string, got map[string]any, required []string, properties map[string]schemaType) {
		keys := slices.Sorted(maps.Keys(got))
		if !slices.Equal(keys, slices.Sorted(slices.Values(required))) || !slices.Equal(keys, slices.Sorted(maps.Keys(properties))) {
			t.Errorf("%s: the document has %q, the schema %q", name, keys, required)
		}
		for key, v := range got {
			if !properties[key].allows(v) {
				t.Errorf("%s: %s is %v, the schema wants %v", name, key, v, properties[key].Type)
			}
		}
	}
	where := read("where.schema.json")
	check("where-relayed", document("/where", "image=pause:3.9", tokenEnv), append(where.Required, "relayed"), where.Properties)
	delete(where.Properties, "relayed")
	for _, query := range []string{"", "image=pause:3.9", "path=/"} {
		check("where", document("/where", query, nil), where.Required, where.Properties)
	}
	hosts := read("hosts.schema.json")
	list := document("/hosts.json", "", nil)
	check("hosts", list, hosts.Required, hosts.Properties)
	items := hosts.Properties["hosts"].Items
	for _, host := range list["hosts"].([]any) {
		check("host", host.(map[string]any), items.Required, items.Properties)
	}
}

type schemaType struct {
	Type  any
	Items *struct {
		Required   []string
		Properties map[string]schemaType
	}
}

// allows reports whether the schema allows the type of a value.
func (s schemaType) allows(v any) bool {
	name := "null"
	switch v := v.(type) {
	case string:
		name = "string"
	case []any:
		name = "array"
	case map[string]any:
		name = "object"
	case float64:
		if name = "number"; v == math.Trunc(v) {
			name = "integer"
		}
	}
	types, ok := s.Type.([]any)
	return ok && slices.Contains(types, any(name)) || s.Type == name
}

// TestPagesAllocateNothingElsewhere checks that a handler renders no page before one
// is requested.
func TestPagesAllocateNothingElsewhere(t *testing.T) {
	c := load(t, noPages)
	o := (&script{tb: t}).origins(c)
	if n := testing.AllocsPerRun(10, func() { New(c, o, nil, nil) }); n > 40 {
		t.Errorf("New allocates %v times, want at most 40", n)
	}
}

func BenchmarkPages(b *testing.B) {
	h, _ := newHandler(b, noPages, nil)
	for _, path := range []string{"/", "/where", "/hosts.json"} {
		b.Run(path[1:], func(b *testing.B) {
			r := Request{Method: "GET", Path: path, Client: netip.MustParseAddr("35.180.1.1")}
			for b.Loop() {
				h.Handle(b.Context(), r)
			}
		})
	}
}
