package testpull

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// registry serves an image with an index through an entry point that redirects.
type registry struct {
	content map[string]string // by path
	status  int               // of blobs; 0 is 200
	to      string            // where redirects lead, instead of the registry itself
}

const configBlob, layer = `{"os":"linux"}`, "layer layer layer layer"

// newRegistry returns a registry with the image app:v1.
func newRegistry() *registry {
	image := fmt.Sprintf(`{"config":{"digest":%q,"size":%d},"layers":[{"digest":%q,"size":%d},{"digest":"sha256:%064d","size":1,"urls":["https://example.com"]}]}`,
		digestOf([]byte(configBlob)), len(configBlob), digestOf([]byte(layer)), len(layer), 0)
	index := fmt.Sprintf(`{"manifests":[{"digest":"sha256:%064d","size":1,"platform":{"os":"windows"}},{"digest":%q,"size":%d,"platform":{"os":"linux","architecture":"amd64"}}]}`,
		0, digestOf([]byte(image)), len(image))
	return &registry{content: map[string]string{
		"/v2/app/manifests/v1":                             index,
		"/v2/app/manifests/" + digestOf([]byte(index)):     index,
		"/v2/app/manifests/" + digestOf([]byte(image)):     image,
		"/v2/app/blobs/" + digestOf([]byte(configBlob)):    configBlob,
		"/v2/app/manifests/single":                         image,
		"/v2/app/manifests/empty":                          "{}",
		"/v2/app/manifests/text":                           "text",
		"/v2/app/manifests/large":                          `{"config":{"digest":"` + digestOf([]byte("large")) + `","size":99999}}`,
		"/v2/app/manifests/" + digestOf([]byte("another")): image,
		"/v2/app/manifests/changed":                        strings.Replace(image, digestOf([]byte(configBlob)), digestOf([]byte("changed")), 1),
		"/v2/app/blobs/" + digestOf([]byte("changed")):     configBlob,
		"/v2/app/manifests/short":                          strings.Replace(image, `"size":14`, `"size":13`, 1),
	}}
}

func (g *registry) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, stored := strings.CutPrefix(r.URL.Path, "/stored")
	switch {
	case path == "/v2/":
		w.Header().Set("X-Redirect-Reason", "ping")
	case path == "/v2/app/manifests/loop":
		w.Header().Set("Location", r.URL.Path)
		w.WriteHeader(http.StatusTemporaryRedirect)
	case !stored:
		w.Header().Set("X-Redirect-Reason", "manifest")
		if strings.Contains(path, "/blobs/") {
			w.Header().Set("X-Redirect-Reason", "aws-region")
		}
		if g.to != "none" {
			w.Header().Set("Location", g.to+"/stored"+path)
		}
		w.WriteHeader(http.StatusTemporaryRedirect)
	case g.content[path] == "":
		w.WriteHeader(http.StatusNotFound)
	case g.status != 0 && strings.Contains(path, "/blobs/"):
		w.WriteHeader(g.status)
	default:
		fmt.Fprint(w, g.content[path])
	}
}

// pull pulls an image over TLS.
func pull(t *testing.T, ctx context.Context, g *registry, image Image, limit int64) (*Pull, error) {
	t.Helper()
	s := httptest.NewTLSServer(g)
	t.Cleanup(s.Close)
	return Client{Transport: s.Client().Transport, Registry: s.URL, MaxBytes: limit}.Pull(ctx, image)
}

func TestPull(t *testing.T) {
	t.Parallel()
	for _, reference := range []string{"v1", "single"} {
		t.Run(reference, func(t *testing.T) {
			t.Parallel()
			p, err := pull(t, t.Context(), newRegistry(), Image{"app", reference}, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if p.BlobDigest != digestOf([]byte(configBlob)) || p.Ping.Reason != "ping" || p.Manifest.Reason != "manifest" || p.Blob.Reason != "aws-region" ||
				!strings.HasSuffix(p.Blob.Source, "/stored/v2/app/blobs/"+p.BlobDigest) || p.Blob.Bytes != int64(len(configBlob)) {
				t.Errorf("got %+v", p)
			}
		})
	}
}

func TestPullErrors(t *testing.T) {
	t.Parallel()
	wrong := digestOf([]byte("another"))
	for _, tt := range []struct {
		name, reference string
		limit           int64
		change          func(*registry)
		want            string
	}{
		{"not-found", "missing", 1 << 20, nil, "manifest missing: requesting https://127.0.0.1"},
		{"wrong-manifest", wrong, 1 << 20, nil, "content does not match its digest: it has sha256:"},
		{"wrong-blob", "changed", 1 << 20, nil, "content does not match its digest: it has " + digestOf([]byte(configBlob))},
		{"longer-blob", "short", 1 << 20, nil, "more than 13 bytes"},
		{"not-json", "text", 1 << 20, nil, "manifest text: not a manifest: "},
		{"no-blob", "empty", 1 << 20, nil, "no blob with a SHA-256 digest and a size"},
		{"too-large", "large", 4096, nil, " of 4096 are left: choose a smaller image"},
		{"no-budget", "v1", 10, nil, "more than 10 bytes: choose a smaller image"},
		{"loop", "loop", 1 << 20, nil, "more than 5 redirects"},
		{"blob-refused", "v1", 1 << 20, func(g *registry) { g.status = 403 }, ": status 403"},
		{"plain-http", "v1", 1 << 20, func(g *registry) { g.to = "http://127.0.0.1:1" }, "redirect to http://127.0.0.1:1/stored/v2/app/manifests/v1 without TLS"},
		{"no-location", "v1", 1 << 20, func(g *registry) { g.to = "none" }, "redirect without a valid Location"},
		{"signed", "v1", 1 << 20, func(g *registry) { g.to = "https://127.0.0.1:1/x?Signature=secret&" }, "requesting https://127.0.0.1:1/x: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newRegistry()
			if tt.change != nil {
				tt.change(g)
			}
			_, err := pull(t, t.Context(), g, Image{"app", tt.reference}, tt.limit)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestParseImage(t *testing.T) {
	t.Parallel()
	digest := digestOf(nil)
	for _, tt := range []struct {
		text string
		want Image
		ok   bool
	}{
		{"pause:3.9", Image{"pause", "3.9"}, true},
		{"team/app@" + digest, Image{"team/app", digest}, true},
		{"pause", Image{}, false},
		{":3.9", Image{"", "3.9"}, false},
		{"pause:", Image{"pause", ""}, false},
		{"localhost:5000/app", Image{"localhost", "5000/app"}, false},
		{"pause:3.9?x", Image{"pause", "3.9?x"}, false},
	} {
		if got, ok := ParseImage(tt.text); got != tt.want || ok != tt.ok || ok && got.String() != tt.text {
			t.Errorf("ParseImage(%q) = %v, %t, want %v, %t", tt.text, got, ok, tt.want, tt.ok)
		}
	}
}
