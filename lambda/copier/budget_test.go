package copier

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"archeio/lambda/registry"
	"archeio/scripts/lab/system"
)

// counted is a bucket with counted requests.
func counted(b *Bucket) (*Bucket, *tally) {
	requests := newTally(http.DefaultTransport, atBucket)
	return through(b, requests), requests
}

// TestBudget tests the requests of a second run over an unchanged registry: its
// pages, and one page of each bucket per 1,000 keys. The second run is a new
// process that only has the saved manifest cache. The test is not parallel, as
// pushes of other tests would add pages to the catalog.
func TestBudget(t *testing.T) {
	s := start(t)
	second, secondAsked := counted(s.bucket(t, system.Regions[1]))
	first, firstAsked := counted(largeBucket(t, s))

	t.Run("listing-with-digests", func(t *testing.T) {
		h := startHub(t)
		h.google = true
		for i := range 5 {
			h.push(t, fmt.Sprintf("project/images/team-%d/app:v1", i), image(t, 100, 2))
			h.push(t, fmt.Sprintf("project/images/team-%d/app:v2", i), image(t, 100, 2))
		}
		twoRuns(t, firstAsked, secondAsked, func(cache *ManifestCache) (Options, *tally) {
			requests := newTally(h.Client().Transport, atSource)
			return Options{Source: h.source(t, "project/images", registry.Options{Transport: requests}), Buckets: []*Bucket{first, second}, Referrers: true, Manifests: cache}, requests
			// The prefix has 5 children with one child each, which is 11 pages. The
			// first one is requested twice, to find out that the registry has them.
		}, "tags:12")
	})
	t.Run("tags", func(t *testing.T) {
		h := startHub(t)
		h.page = 2
		for i := range 5 {
			for _, tag := range []string{"a", "b", "c"} {
				h.push(t, fmt.Sprintf("app-%d:%s", i, tag), image(t, 100, 2))
			}
		}
		twoRuns(t, firstAsked, secondAsked, func(cache *ManifestCache) (Options, *tally) {
			requests := newTally(h.Client().Transport, atSource)
			return Options{Source: h.source(t, "", registry.Options{Transport: requests}), Buckets: []*Bucket{first, second}, Manifests: cache}, requests
		}, "catalog:4 head:15 tags:10")
	})
	t.Run("tags-and-referrers", func(t *testing.T) {
		h := startHub(t, ggcr.WithReferrersSupport(true))
		for i := range 5 {
			signed := digestOf(t, h.push(t, fmt.Sprintf("app-%d:v1", i), image(t, 100, 2)))
			repository := fmt.Sprintf("app-%d", i)
			h.manifest(t, repository, "", "application/vnd.oci.image.manifest.v1+json",
				signature(signed, h.blob(t, repository, []byte("{}")), h.blob(t, repository, []byte(repository))))
		}
		twoRuns(t, firstAsked, secondAsked, func(cache *ManifestCache) (Options, *tally) {
			requests := newTally(h.Client().Transport, atSource)
			return Options{Source: h.source(t, "", registry.Options{Transport: requests}), Buckets: []*Bucket{first, second}, Referrers: true, Manifests: cache}, requests
		}, "catalog:2 head:5 referrers:10 tags:5")
	})
	// A registry on loopback is pinged with TLS, the prefix is tried as a repository,
	// and there is no referrers API.
	t.Run("distribution", func(t *testing.T) {
		for i := range 3 {
			ref, err := name.ParseReference(fmt.Sprintf("%s/app-%d:v1", s.source, i))
			if err != nil {
				t.Fatal(err)
			}
			if err := remote.Write(ref, image(t, 100, 2)); err != nil {
				t.Fatal(err)
			}
		}
		twoRuns(t, firstAsked, secondAsked, func(cache *ManifestCache) (Options, *tally) {
			requests := newTally(http.DefaultTransport, atSource)
			source, err := registry.New(s.source, registry.Options{Transport: requests})
			if err != nil {
				t.Fatal(err)
			}
			return Options{Source: source, Buckets: []*Bucket{first, second}, Referrers: true, Manifests: cache}, requests
		}, "catalog:2 head:3 ping-https:1 referrers:3 tags:4")
	})
}

// twoRuns copies everything, and compares the requests of a second run.
func twoRuns(t *testing.T, first, second *tally, options func(*ManifestCache) (Options, *tally), atSource string) {
	t.Helper()
	cache := NewShellCache("")
	o, _ := options(cache)
	if _, result := planAndCopy(t.Context(), t, o); len(result.Errors) != 0 || result.Copied == 0 {
		t.Fatalf("result %+v", result)
	}
	state := Folder(t.TempDir())
	again := NewShellCache("")
	if err := cache.SaveShell(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if err := again.LoadShell(t.Context(), state, func(text string) { t.Error(text) }); err != nil {
		t.Fatal(err)
	}
	first.take()
	second.take()
	o, requests := options(again)
	plan, result := planAndCopy(t.Context(), t, o)
	if plan.Fetched != 0 || len(result.Errors) != 0 || result.Copied != 0 || result.Existed != 0 {
		t.Errorf("plan %+v, result %+v", plan, result)
	}
	if got := requests.take(); got != atSource {
		t.Errorf("requests to the source: %s, want %s", got, atSource)
	}
	// The first has more than 1,000 keys, the second fewer.
	if one, two := first.take(), second.take(); one != "list:2" || two != "list:1" {
		t.Errorf("requests to the buckets: %s and %s", one, two)
	}
}
