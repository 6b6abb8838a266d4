package peers

import (
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"time"

	"archeio/lambda/config"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// blobPath matches the path of a blob. Its group is the digest.
// https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests
var blobPath = regexp.MustCompile(`^/v2/.+/blobs/([a-z0-9]+:[0-9A-Za-z=_-]+)$`)

// reference is a handler that does the same work for a request as archeio, the
// server of registry.k8s.io: it matches the path with a regular expression, looks the
// client's address up in a binary trie, sends a HEAD request to the mirror unless an
// earlier one found the blob, and redirects. It writes no logs.
// https://github.com/kubernetes/registry.k8s.io/tree/main/cmd/archeio
type reference struct {
	config  *config.Config
	places  *Trie
	mirrors map[string]string // URL by the client's AWS region
	present sync.Map          // by URL
	client  http.Client
}

// NewReference returns a handler that does the same work as archeio, the server of
// registry.k8s.io, with the range table and the mirrors of the redirector.
func NewReference(c *config.Config) http.Handler {
	h := &reference{config: c, places: NewTrie(Blocks()), mirrors: map[string]string{}, client: http.Client{Timeout: 5 * time.Second}}
	var mirrors []regions.Region
	for _, m := range c.Mirrors {
		r, _ := regions.Find(string(ranges.AWS), m.Region)
		mirrors = append(mirrors, r)
	}
	nearest := regions.NewIndex(mirrors)
	for r := range regions.All(string(ranges.AWS)) {
		if i := nearest.Nearest(r.Point, -1); i >= 0 && r.Located {
			h.mirrors[r.Name] = c.Mirrors[i].URL
		}
	}
	return h
}

func (h *reference) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	path := r.URL.Path
	switch {
	case path == "/v2" || path == "/v2/":
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		return
	case !strings.HasPrefix(path, "/v2/"):
		http.NotFound(w, r)
		return
	}
	upstream := h.config.Upstream + "/v2/" + h.config.Prefix + strings.TrimPrefix(path, "/v2")
	blob := blobPath.FindStringSubmatch(path)
	if blob == nil {
		http.Redirect(w, r, upstream, http.StatusTemporaryRedirect)
		return
	}
	client, err := forwardedFor(r)
	if err != nil {
		http.Error(w, "invalid X-Forwarded-For", http.StatusBadRequest)
		return
	}
	place, _ := h.places.Lookup(client)
	if place.Cloud == ranges.GCP {
		http.Redirect(w, r, upstream, http.StatusTemporaryRedirect)
		return
	}
	mirror, ok := h.mirrors[place.Region]
	if !ok || place.Cloud != ranges.AWS {
		mirror = h.config.DefaultMirror
	}
	url := mirror + "/" + config.BlobPrefix + blob[1]
	if !h.exists(url) {
		url = upstream
	}
	http.Redirect(w, r, url, http.StatusTemporaryRedirect)
}

// forwardedFor returns the address that the load balancer appended.
func forwardedFor(r *http.Request) (netip.Addr, error) {
	h := r.Header.Get("X-Forwarded-For")
	return netip.ParseAddr(strings.TrimSpace(h[strings.LastIndexByte(h, ',')+1:]))
}

// exists reports whether an object exists. Only that it does is cached.
func (h *reference) exists(url string) bool {
	if _, ok := h.present.Load(url); ok {
		return true
	}
	resp, err := h.client.Head(url)
	if err != nil {
		return false
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return false
	}
	h.present.Store(url, struct{}{})
	return true
}
