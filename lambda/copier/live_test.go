package copier

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"archeio/lambda/registry"
)

// TestLive tests which manifests of a cache count: those that an image of the source
// refers to, also after the cache was saved.
func TestLive(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(m *ManifestCache)
		want   string
	}{
		{"of-an-earlier-version", func(*ManifestCache) {}, "child gone index other referrer"},
		{"tag", func(m *ManifestCache) { m.PutRoot("app:v1", "index") }, "child index"},
		{"digest", func(m *ManifestCache) { m.PutRoot("app@other", "other") }, "other"},
		{"referrers", func(m *ManifestCache) {
			m.PutRoot("app:v1", "index")
			m.PutReferrers("child", []string{"referrer"})
		}, "child index referrer"},
		{"no-referrers-any-more", func(m *ManifestCache) {
			m.PutRoot("app:v1", "index")
			m.PutReferrers("child", []string{"referrer"})
			m.PutReferrers("child", nil)
		}, "child index"},
		{"another-manifest-of-the-tag", func(m *ManifestCache) { m.PutRoot("app:v1", "index"); m.PutRoot("app:v1", "other") }, "other"},
		{"tag-without-manifest", func(m *ManifestCache) { m.PutRoot("app:v1", "index"); m.PutRoot("app:v1", "") }, ""},
		{"deleted-tag", func(m *ManifestCache) {
			m.PutRoot("app:v1", "index")
			m.PutRoot("app:v2", "other")
			m.PutRoot("app/below:v1", "gone")
			m.KeepRoots("app", []registry.Entry{{Tag: "v2"}})
		}, "gone other"},
		{"deleted-repository", func(m *ManifestCache) { m.PutRoot("app:v1", "index"); m.KeepRoots("app", nil) }, ""},
		{"empty-repository", func(m *ManifestCache) { m.KeepRoots("app", nil) }, ""},
		{"moved", func(m *ManifestCache) { m.PutRoot("app@old", "old"); m.PutReferrers("old", []string{"other"}) }, "other"},
		{"circle", func(m *ManifestCache) { m.PutRoot("app:v1", "index"); m.PutReferrers("child", []string{"index"}) }, "child index"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			state := Folder(t.TempDir())
			m := &ManifestCache{}
			m.Put("index", &registry.Contents{Children: []string{"child", "missing"}, Platforms: make([]string, 2)})
			for _, digest := range []string{"child", "referrer", "other", "gone"} {
				m.Put(digest, &registry.Contents{LeftOut: 1})
			}
			tt.change(m)
			saved := &ManifestCache{}
			if err := m.Save(t.Context(), state, "x"); err != nil {
				t.Fatal(err)
			}
			if err := saved.Load(t.Context(), state, "x"); err != nil {
				t.Fatal(err)
			}
			for _, m := range []*ManifestCache{m, saved} {
				if got := strings.Join(slices.Sorted(maps.Keys(m.live())), " "); got != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
			}
		})
	}
}

// TestMissingAfterDeletion tests that blobs that mirrors do not have stop counting once
// the source does not have their image.
func TestMissingAfterDeletion(t *testing.T) {
	t.Parallel()
	for _, deleted := range []string{"tag", "repository"} {
		t.Run(deleted, func(t *testing.T) {
			t.Parallel()
			h := startHub(t)
			kept, gone := h.blob(t, "app", []byte("kept")), h.blob(t, "app", []byte("gone"))
			h.manifest(t, "app", "v1", ociManifest, manifestOf(kept))
			repository := map[string]string{"tag": "app", "repository": "other"}[deleted]
			h.manifest(t, repository, "v2", ociManifest, manifestOf(gone))
			h.blob(t, repository, []byte("gone"))
			m := newMemory()
			queue := &memoryQueue{}
			d := &deployed{queue: queue, memory: m, metrics: &bytes.Buffer{}, Filler: &Filler{Source: h.source(t, "", registry.Options{}),
				Buckets: []*Bucket{m.bucket("primary", "us-east-1")}, Regions: []string{"us-east-1"}, State: Folder(t.TempDir()), Queue: queue, Log: slog.New(slog.DiscardHandler)}}
			d.Metrics = d.metrics
			ctx, cancel := context.WithTimeout(t.Context(), invocation)
			defer cancel()
			status := func(want string) {
				t.Helper()
				d.metrics.Reset()
				if _, err := d.Status(ctx); err != nil {
					t.Fatal(err)
				}
				d.work(t)
				if !strings.Contains(d.metrics.String(), want) {
					t.Errorf("metrics %s, want %s", d.metrics, want)
				}
			}
			if _, err := d.Plan(ctx); err != nil {
				t.Fatal(err)
			}
			d.work(t)
			status(`"MissingBlobs":0`)
			h.remove(repository, "v2")
			if _, err := d.Buckets[0].Remove(ctx, gone.Digest); err != nil {
				t.Fatal(err)
			}
			status(`"MissingBlobs":1`)
			status(`"MissingBlobs":0`)
			if len(queue.dead) != 0 {
				t.Errorf("failed messages %q", queue.dead)
			}
		})
	}
}

// remove removes a tag and its manifest from the listings, and a repository without
// tags.
func (h *hub) remove(repository, tag string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	maps.DeleteFunc(h.tags[repository], func(_ string, tags []string) bool { return slices.Contains(tags, tag) })
	if len(h.tags[repository]) == 0 {
		delete(h.tags, repository)
	}
}
