package copier

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"archeio/scripts/lab/system"
)

// counted is a bucket whose requests are counted.
func counted(b *Bucket) (*Bucket, *tally) {
	requests := newTally(http.DefaultTransport, atBucket)
	return through(b, requests), requests
}

// What a second run asks for over a registry that has not changed: its pages, and
// a page of each bucket for every 1,000 keys. It is a new process, which only
// has what was remembered.
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
			return Options{Source: h.source(t, "project/images", SourceOptions{Transport: requests}), Buckets: []*Bucket{first, second}, Referrers: true, Manifests: cache}, requests
			// The prefix with 5 children, each with 1, in 11 pages; the first one is
			// asked for once more to find out that there are such pages.
		}, "ping-https:1 tags:12")
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
			return Options{Source: h.source(t, "", SourceOptions{Transport: requests}), Buckets: []*Bucket{first, second}, Manifests: cache}, requests
		}, "catalog:4 head:15 ping-https:1 tags:10")
	})
	t.Run("tags-and-referrers", func(t *testing.T) {
		h := startHub(t, registry.WithReferrersSupport(true))
		for i := range 5 {
			signed := digestOf(t, h.push(t, fmt.Sprintf("app-%d:v1", i), image(t, 100, 2)))
			repository := fmt.Sprintf("app-%d", i)
			h.manifest(t, repository, "", "application/vnd.oci.image.manifest.v1+json",
				signature(signed, h.blob(t, repository, []byte("{}")), h.blob(t, repository, []byte(repository))))
		}
		twoRuns(t, firstAsked, secondAsked, func(cache *ManifestCache) (Options, *tally) {
			requests := newTally(h.Client().Transport, atSource)
			return Options{Source: h.source(t, "", SourceOptions{Transport: requests}), Buckets: []*Bucket{first, second}, Referrers: true, Manifests: cache}, requests
		}, "catalog:2 head:5 ping-https:1 referrers:10 tags:5")
	})
	// A registry that this one speaks http to is pinged by both schemes, a prefix
	// is tried as a repository, and it has no API for referrers.
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
			source, err := NewSource(s.source, SourceOptions{Transport: requests})
			if err != nil {
				t.Fatal(err)
			}
			return Options{Source: source, Buckets: []*Bucket{first, second}, Referrers: true, Manifests: cache}, requests
		}, "catalog:2 head:3 ping-http:1 ping-https:1 referrers:1 tags:4")
	})
}

// twoRuns copies everything, and holds a second run to what it may ask for.
func twoRuns(t *testing.T, first, second *tally, options func(*ManifestCache) (Options, *tally), atSource string) {
	t.Helper()
	cache := &ManifestCache{}
	o, _ := options(cache)
	if _, result := makeAndCopy(t.Context(), t, o); len(result.Errors) != 0 || result.Copied == 0 {
		t.Fatalf("result %+v", result)
	}
	// What is remembered is what a file keeps.
	state := Folder(t.TempDir())
	again := &ManifestCache{}
	if err := cache.Save(t.Context(), state, ShellCache); err != nil {
		t.Fatal(err)
	}
	if err := again.Load(t.Context(), state, ShellCache); err != nil {
		t.Fatal(err)
	}
	first.take()
	second.take()
	o, requests := options(again)
	plan, result := makeAndCopy(t.Context(), t, o)
	if plan.Fetched != 0 || len(result.Errors) != 0 || result.Copied != 0 || result.Existed != 0 {
		t.Errorf("plan %+v, result %+v", plan, result)
	}
	if got := requests.take(); got != atSource {
		t.Errorf("asked the source for %s, want %s", got, atSource)
	}
	// The one has more than 1,000 keys and the other has less.
	if one, two := first.take(), second.take(); one != "list:2" || two != "list:1" {
		t.Errorf("asked the buckets for %s and %s", one, two)
	}
}
