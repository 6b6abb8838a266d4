package copier

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"archeio/lambda/registry"
)

// TestWithoutReferrers tests that a repository without the referrers API is not asked
// again for a while, that others still are, and that prune always asks.
func TestWithoutReferrers(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	const manifests, few = 12, 3
	for _, repository := range []string{"with", "without", "few"} {
		n := manifests
		if repository == "few" {
			n = few
		}
		for i := range n {
			blob := h.blob(t, repository, fmt.Append(nil, repository, i))
			h.manifest(t, repository, fmt.Sprintf("v%d", i), ociManifest, manifestOf(blob))
		}
	}
	var mu sync.Mutex
	asked := map[string]int{}
	h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		repository, _, is := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v2/"), "/referrers/")
		if !is {
			return false
		}
		mu.Lock()
		asked[repository]++
		mu.Unlock()
		if repository != "with" {
			http.NotFound(w, r)
			return true
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
		fmt.Fprint(w, `{"schemaVersion":2,"manifests":[]}`)
		return true
	})
	state, now := newMemoryState(), time.Now()
	m := newMemory()
	for _, tt := range []struct {
		name    string
		after   time.Duration
		prune   bool
		without int
	}{
		{"first", 0, false, 8},
		{"second", time.Hour, false, 0},
		{"prune", 0, true, 8},
		{"next-day", 20 * time.Hour, false, 8},
		{"again", time.Hour, false, 0},
	} {
		mu.Lock()
		clear(asked)
		mu.Unlock()
		now = now.Add(tt.after)
		cache, _ := loadShell(t, state)
		o := Options{Source: h.source(t, "", registry.Options{}), Buckets: []*Bucket{m.bucket("primary", "us-east-1")}, State: state, Manifests: cache,
			Referrers: true, WithoutReferrersFor: ShellWithoutReferrersFor, Parallel: 1, Now: func() time.Time { return now }}
		var err error
		if tt.prune {
			_, err = Prune(t.Context(), PruneOptions{Options: o})
		} else {
			_, err = NewPlan(t.Context(), o)
		}
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		if asked["with"] != manifests || asked["without"] != tt.without || asked["few"] != min(tt.without, few) {
			t.Errorf("%s: requests for referrers %v, want %d, %d and %d", tt.name, asked, manifests, tt.without, min(tt.without, few))
		}
		mu.Unlock()
		if err := cache.SaveShell(t.Context(), state); err != nil {
			t.Fatal(err)
		}
	}
}
