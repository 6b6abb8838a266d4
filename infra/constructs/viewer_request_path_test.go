package constructs

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// A path has one spelling behind the edge, so that one invalidation removes an object
// from the caches. Other spellings get a 404 that is not cached.
func TestViewerRequestPaths(t *testing.T) {
	t.Parallel()
	encoded := func(escape string) string { return strings.Replace(edgeBlob, ":", escape, 1) }
	blobAPI := "/v2/pause/blobs/" + strings.TrimPrefix(edgeBlob, "/containers/images/")
	tests := []struct{ name, uri, want string }{
		{"blob", edgeBlob, edgeBlob},
		{"blob-encoded", encoded("%3A"), edgeBlob},
		{"blob-encoded-lower", encoded("%3a"), edgeBlob},
		{"blob-encoded-twice", encoded("%253A"), ""},
		{"blob-encoded-digit", strings.Replace(edgeBlob, "e3", "%653", 1), ""},
		{"blob-upper", strings.ToUpper(edgeBlob[:len("/containers/images/")]) + edgeBlob[len("/containers/images/"):], strings.ToUpper(edgeBlob[:len("/containers/images/")]) + edgeBlob[len("/containers/images/"):]},
		{"blob-upper-digest", strings.Replace(edgeBlob, "e3b0", "E3B0", 1), ""},
		{"blob-short", edgeBlob[:len(edgeBlob)-1], ""},
		{"blob-long", edgeBlob + "0", ""},
		{"blob-slash", edgeBlob + "/", ""},
		{"blob-newline", edgeBlob + "\n", ""},
		{"blob-sha512", "/containers/images/sha512:" + strings.Repeat("0", 128), ""},
		{"blob-colons", strings.Replace(edgeBlob, ":", "::", 1), ""},
		{"index", "/containers/images/index.v2", ""},
		{"folder", "/containers/images/", ""},
		{"double-slash", "/containers//images/sha256:0", ""},
		{"double-slash-first", "//containers/images/sha256:0", ""},
		{"dot", "/containers/./images/x", ""},
		{"dots", "/v2/../containers/images/x", ""},
		{"dots-at-end", "/v2/pause/..", ""},
		{"dots-encoded", "/v2/%2e%2e/x", ""},
		{"backslash", "/v2/pause\\manifests/3.9", ""},
		{"three-dots", "/v2/pause/manifests/...", "/v2/pause/manifests/..."},
		{"manifest", edgeManifest, edgeManifest},
		{"manifest-encoded", "/v2/pause/manifests/3%2e9", ""},
		{"api-blob", blobAPI, blobAPI},
		{"api-blob-encoded", strings.Replace(blobAPI, ":", "%3A", 1), blobAPI},
		{"ping", "/v2/", "/v2/"},
		{"root", "/", "/"},
	}
	for _, s := range edgeStages(t) {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			var requests []edgeRequest
			for _, tt := range tests {
				requests = append(requests, edgeFrom("DE", tt.uri))
			}
			for i, o := range runAtEdge(t, s, requests...) {
				tt := tests[i]
				t.Run(tt.name, func(t *testing.T) {
					if tt.want != "" {
						want := edgeFrom("DE", tt.want)
						if got := o.request(t); !reflect.DeepEqual(got, want) {
							t.Errorf("request %+v, want %+v", got, want)
						}
						return
					}
					var got response
					if err := json.Unmarshal(o.Returned, &got); err != nil || o.Thrown != "" || got.StatusCode != 404 ||
						got.Headers["cache-control"]["value"] != "no-store" || !strings.Contains(got.Body, `"UNSUPPORTED"`) {
						t.Errorf("returned %s, threw %q; want 404 with no-store", o.Returned, o.Thrown)
					}
					if len(o.Calls) != 0 {
						t.Errorf("calls %+v for a rejected request", o.Calls)
					}
				})
			}
		})
	}
}

// The redirector trusts X-Viewer-Host, so the value of a client must not pass.
func TestViewerRequestHost(t *testing.T) {
	t.Parallel()
	for _, s := range edgeStages(t) {
		hosts := []struct{ host, want string }{
			{"registry.example.com", "registry.example.com"},
			{"Registry.Example.COM", "registry.example.com"},
			{"registry.example.com:443", "registry.example.com"},
			{"registry.example.com.:443", "registry.example.com"},
			{"registry.example.com.", "registry.example.com"},
			{"registry.example.com:8443", "registry.example.com:8443"},
			{"", ""},
		}
		var requests []edgeRequest
		for _, tt := range hosts {
			r := edgeGet(edgeManifest, "x-viewer-host", "attacker.example")
			if r.Headers["host"] = (edgeValue{tt.host}); tt.host == "" {
				delete(r.Headers, "host")
			}
			requests = append(requests, r)
		}
		for i, o := range runAtEdge(t, s, requests...) {
			var got edgeRequest
			if err := json.Unmarshal(o.Returned, &got); err != nil || got.Headers["x-viewer-host"].Value != hosts[i].want {
				t.Errorf("%s: Host %q gives X-Viewer-Host %q, want %q: %v", s.Name, hosts[i].host, got.Headers["x-viewer-host"].Value, hosts[i].want, err)
			}
		}
	}
}
