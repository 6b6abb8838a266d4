package copier

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"archeio/lambda/registry"
)

// hub is the registry of go-containerregistry in this process, over TLS, with
// pagination and the listing extension of Google in addition.
type hub struct {
	*httptest.Server
	inner http.Handler
	// host is its name, which only its own client can resolve.
	host string
	// google lists repositories with their children and manifests.
	google bool
	// page is the number of names per response; 0 is all.
	page int
	// before can respond instead of the registry.
	before func(w http.ResponseWriter, r *http.Request) (done bool)

	mu sync.Mutex
	// tags are, by repository, those of each digest, empty for untagged manifests.
	tags map[string]map[string][]string
	// log are the requests, with method, path and query.
	log []string
}

func startHub(t *testing.T, o ...ggcr.Option) *hub {
	t.Helper()
	h := &hub{host: "example.com", tags: map[string]map[string][]string{},
		inner: ggcr.New(append(o, ggcr.Logger(log.New(io.Discard, "", 0)))...)}
	h.Server = httptest.NewUnstartedServer(h)
	h.Config.ErrorLog = log.New(io.Discard, "", 0)
	h.StartTLS()
	t.Cleanup(h.Close)
	return h
}

// source returns a Source for a prefix of it.
func (h *hub) source(t *testing.T, prefix string, o registry.Options) *registry.Client {
	t.Helper()
	if o.Transport == nil {
		o.Transport = h.Client().Transport
	}
	if o.Keychain == nil {
		o.Keychain = authn.NewMultiKeychain() // no credentials
	}
	s, err := registry.New(strings.TrimSuffix(h.host+"/"+prefix, "/"), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	h.log = append(h.log, r.Method+" "+r.URL.RequestURI())
	before := h.before
	h.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	repository, what, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/manifests/")
	switch {
	case ok && r.Method == http.MethodPut:
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.note(repository, what, blobOf(body).Digest)
	case r.URL.Path == "/v2/_catalog":
		h.catalog(w, r)
		return
	case strings.HasSuffix(r.URL.Path, "/tags/list"):
		h.list(w, r, strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v2/"), "/tags/list"))
		return
	}
	h.inner.ServeHTTP(w, r)
}

func (h *hub) note(repository, reference, digest string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.tags[repository] == nil {
		h.tags[repository] = map[string][]string{}
	}
	for d, tags := range h.tags[repository] {
		h.tags[repository][d] = slices.DeleteFunc(tags, func(tag string) bool { return tag == reference })
	}
	tags := h.tags[repository][digest]
	if !strings.Contains(reference, ":") {
		tags = append(tags, reference)
	}
	h.tags[repository][digest] = tags
}

// cut returns the names of a page, and whether there are more.
func (h *hub) cut(names []string, last string) (page []string, more bool) {
	slices.Sort(names)
	names = slices.DeleteFunc(names, func(name string) bool { return name <= last })
	if h.page > 0 && len(names) > h.page {
		return names[:h.page], true
	}
	return names, false
}

func (h *hub) catalog(w http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var names []string
	for name := range h.tags {
		names = append(names, name)
	}
	names, _ = h.cut(names, r.URL.Query().Get("last"))
	json.NewEncoder(w).Encode(map[string]any{"repositories": names})
}

func (h *hub) list(w http.ResponseWriter, r *http.Request, repository string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := map[string]any{"name": repository}
	manifests := map[string]any{}
	children := map[string]bool{}
	var names []string
	for digest, tags := range h.tags[repository] {
		names = append(names, tags...)
		manifests[digest] = map[string]any{"tag": tags, "mediaType": "ignored", "timeUploadedMs": "1"}
	}
	for other := range h.tags {
		if below, ok := strings.CutPrefix(other, repository+"/"); ok {
			child, _, _ := strings.Cut(below, "/")
			children[child] = true
		}
	}
	if h.google {
		var list []string
		for child := range children {
			list = append(list, child)
		}
		out["manifest"], out["child"], out["tags"] = manifests, list, names
	} else {
		if h.tags[repository] == nil {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"errors":[{"code":"NAME_UNKNOWN","message":"unknown"}]}`)
			return
		}
		page, more := h.cut(names, r.URL.Query().Get("last"))
		if more {
			w.Header().Set("Link", fmt.Sprintf(`</v2/%s/tags/list?last=%s&n=1000>; rel="next"`, repository, page[len(page)-1]))
		}
		out["tags"] = page
	}
	json.NewEncoder(w).Encode(out)
}

// requests returns those since the last call.
func (h *hub) requests() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	requests := h.log
	h.log = nil
	return requests
}

// intercept sets a handler that can respond instead of the registry; nil resets.
func (h *hub) intercept(f func(w http.ResponseWriter, r *http.Request) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.before = f
}

func (h *hub) ref(t *testing.T, path string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(h.host + "/" + path)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func (h *hub) push(t *testing.T, path string, image v1.Image) v1.Image {
	t.Helper()
	if err := remote.Write(h.ref(t, path), image, remote.WithTransport(h.Client().Transport)); err != nil {
		t.Fatal(err)
	}
	return image
}

// manifest publishes a manifest as it is and returns its digest.
func (h *hub) manifest(t *testing.T, repository, reference, mediaType, text string) string {
	t.Helper()
	digest := blobOf([]byte(text)).Digest
	if reference == "" {
		reference = digest
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPut, "/v2/"+repository+"/manifests/"+reference, strings.NewReader(text))
	r.Header.Set("Content-Type", mediaType)
	h.note(repository, reference, digest)
	if h.inner.ServeHTTP(w, r); w.Code != http.StatusCreated {
		t.Fatalf("publishing %s: %d %s", repository, w.Code, w.Body)
	}
	return digest
}

// blob publishes a blob.
func (h *hub) blob(t *testing.T, repository string, content []byte) registry.Blob {
	t.Helper()
	blob := blobOf(content)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/v2/"+repository+"/blobs/uploads/?digest="+blob.Digest, bytes.NewReader(content))
	if h.inner.ServeHTTP(w, r); w.Code != http.StatusCreated {
		t.Fatalf("publishing a blob of %s: %d %s", repository, w.Code, w.Body)
	}
	return blob
}

// digestOf returns the digest of an image.
func digestOf(t *testing.T, image interface{ Digest() (v1.Hash, error) }) string {
	t.Helper()
	d, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return d.String()
}
