package copier

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/lambda/index"
	"archeio/lambda/registry"
)

// pruning is a source and a mirror with a blob that no manifest refers to.
type pruning struct {
	*hub
	options    PruneOptions
	now        time.Time
	kept, gone registry.Blob
	memory     *memory
	mirrors    []*Bucket // in memory
	listings   int       // of indexes that were written
}

func startPruning(t *testing.T) *pruning {
	t.Helper()
	p := &pruning{hub: startHub(t), now: time.Now()}
	p.kept = p.blob(t, "app", []byte("kept"))
	p.manifest(t, "app", "v1", ociManifest, manifestOf(p.kept))
	p.memory = newMemory()
	p.mirrors = []*Bucket{p.memory.bucket("primary", "us-east-1"), p.memory.bucket("replica", "eu-central-1")}
	p.options = PruneOptions{UnusedFor: 48 * time.Hour, IndexFor: 24 * time.Hour, Options: Options{Source: p.source(t, "", registry.Options{}),
		Buckets: slices.Clone(p.mirrors), State: Folder(t.TempDir()), Now: func() time.Time { return p.now }}}
	p.gone = blobOf([]byte("gone"))
	for _, b := range p.options.Buckets {
		put(t, b, p.kept.Digest, []byte("kept"))
		put(t, b, p.gone.Digest, []byte("gone"))
	}
	p.index(t)
	return p
}

// index writes the index, as the planner does.
func (p *pruning) index(t *testing.T) {
	t.Helper()
	if _, err := ListIndex(t.Context(), p.options.State, IndexOptions{Buckets: p.options.Buckets}); err != nil {
		t.Fatal(err)
	}
}

// savePruned replaces the piece of the record that has an entry.
func savePruned(t *testing.T, s State, e pruneEntry) {
	t.Helper()
	if err := newPruneRecord(0).add(e).save(t.Context(), s, int(e.digest[0]>>4), nil); err != nil {
		t.Fatal(err)
	}
}

// entryOf returns the entry of a digest in an index.
func entryOf(digest string) uint64 {
	p, _ := index.Prefix(digest)
	return p
}

// TestPrune tests that a blob is deleted only after it was unreferenced for long enough,
// and out of the index for long enough.
func TestPrune(t *testing.T) {
	t.Parallel()
	p := startPruning(t)
	for _, tt := range pruneSteps {
		t.Run(tt.name, func(t *testing.T) {
			p.now = p.now.Add(tt.after)
			if tt.before != nil {
				tt.before(t, p)
			}
			p.options.Delete, p.options.Manifests = tt.delete, &ManifestCache{}
			r, err := Prune(t.Context(), p.options)
			if err != nil || len(r.Errors) != 0 {
				t.Fatalf("%+v, %v", r, err)
			}
			got := [5]int{r.Unreferenced.Count, r.Recent.Count, r.Due.Count, r.Waiting.Count, r.Deleted.Count}
			if got != tt.counts {
				t.Errorf("unreferenced, recent, due, waiting, deleted are %v, want %v", got, tt.counts)
			}
			p.index(t)
			for _, b := range p.options.Buckets {
				if content(t, b, p.kept.Digest) == nil || (content(t, b, p.gone.Digest) != nil) != tt.there {
					t.Errorf("%s has another blob, or not", b.Name)
				}
				data, _, err := b.indexThere(t.Context(), false)
				if err != nil {
					t.Fatal(err)
				}
				x, err := index.Parse(data)
				if err != nil || !x.Has(p.kept.Digest) || x.Has(p.gone.Digest) != tt.indexed {
					t.Errorf("%s: the index has the blob: %v, error %v", b.Name, !tt.indexed, err)
				}
			}
		})
	}
}

// pruneSteps are runs one after the other.
var pruneSteps = []struct {
	name   string
	after  time.Duration // since the step before
	delete bool
	before func(t *testing.T, p *pruning)
	counts [5]int // unreferenced, recent, due, waiting, deleted
	// there and indexed are whether mirrors and index have the blob afterwards.
	there, indexed bool
}{
	{"first", 0, true, nil, [5]int{1, 1, 0, 0, 0}, true, true},
	{"dry", 49 * time.Hour, false, nil, [5]int{1, 0, 1, 0, 0}, true, true},
	{"out-of-the-index", time.Minute, true, nil, [5]int{1, 0, 1, 1, 0}, true, false},
	{"waiting", 23 * time.Hour, true, nil, [5]int{1, 0, 1, 1, 0}, true, false},
	{"dry-when-it-may-be-deleted", 2 * time.Hour, false, nil, [5]int{1, 0, 1, 0, 0}, true, false},
	{"referred-to-again", 0, true, func(t *testing.T, p *pruning) {
		p.blob(t, "app", []byte("gone"))
		p.manifest(t, "app", "v2", ociManifest, manifestOf(p.kept, p.gone))
	}, [5]int{}, true, true},
	{"unreferenced-again", 0, true, func(_ *testing.T, p *pruning) { p.remove("app", "v2") }, [5]int{1, 1, 0, 0, 0}, true, true},
	{"out-again", 49 * time.Hour, true, nil, [5]int{1, 0, 1, 1, 0}, true, false},
	{"deleted", 25 * time.Hour, true, nil, [5]int{1, 0, 1, 0, 1}, false, false},
	{"nothing-left", 0, true, nil, [5]int{}, false, false},
}

// TestPruneIncomplete tests that nothing is deleted if a bucket or the source was not
// read completely.
func TestPruneIncomplete(t *testing.T) {
	t.Parallel()
	fails := func(part string, status int) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, part) {
				w.WriteHeader(status)
				return true
			}
			return false
		}
	}
	for _, tt := range []struct {
		name   string
		change func(t *testing.T, p *pruning)
		want   string
	}{
		{"bucket", func(_ *testing.T, p *pruning) {
			p.options.Buckets[1] = refusing(p.options.Buckets[1], http.StatusForbidden, "AccessDenied")
		}, "access denied"},
		{"manifest", func(_ *testing.T, p *pruning) { p.intercept(fails("/manifests/", http.StatusForbidden)) }, "the source could not be read completely"},
		{"listing", func(_ *testing.T, p *pruning) { p.intercept(fails("/tags/list", http.StatusForbidden)) }, "the source could not be read completely"},
		{"malformed", func(t *testing.T, p *pruning) { p.manifest(t, "app", "v2", ociManifest, "<html>") }, "a manifest that cannot be read"},
		{"empty", func(_ *testing.T, p *pruning) { p.remove("app", "v1"); p.options.AllowEmpty = true }, "the source has no images"},
		{"tags", func(t *testing.T, p *pruning) {
			p.manifest(t, "app", "v2", ociManifest, manifestOf(p.gone))
			p.options.Filter.ExcludeTags = []string{"v2"}
		}, "do not filter images"},
		{"names", func(_ *testing.T, p *pruning) { p.options.Filter.Repositories = []string{"app"} },
			"only 1 named repositories are read: nothing is deleted, because other repositories may refer to the blobs"},
		{"pattern", func(t *testing.T, p *pruning) {
			p.manifest(t, "other", "v1", ociManifest, manifestOf(p.gone))
			p.options.Filter.Repositories = []string{"ap*"}
		}, "a filter leaves out 1 repositories: nothing is deleted"},
		{"pattern-below", func(t *testing.T, p *pruning) {
			p.manifest(t, "app/below", "v1", ociManifest, manifestOf(p.kept))
			p.manifest(t, "app", "v2", ociManifest, manifestOf(p.gone))
			p.options.Filter.Repositories = []string{"app/*"}
		}, "a filter leaves out 1 repositories: nothing is deleted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startPruning(t)
			primary := p.options.Buckets[0]
			d, _ := ParseDigest(p.gone.Digest)
			savePruned(t, p.options.State, pruneEntry{d, p.now.Add(-72 * time.Hour).Unix(), p.now.Add(-25 * time.Hour).Unix(), p.now.Add(maxOutOfIndex).Unix()})
			tt.change(t, p)
			p.options.Delete = true
			_, err := Prune(t.Context(), p.options)
			oneLineOf(t, err, tt.want)
			if content(t, primary, p.gone.Digest) == nil {
				t.Error("the blob was deleted")
			}
		})
	}
}

// TestPruneOtherRepositories tests that a filter of repositories does not prevent deletions if
// it leaves nothing out, or if what it leaves out is not mirrored, and that the rest is
// warned of without Delete.
func TestPruneOtherRepositories(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, repositories string
		delete, others     bool
		deleted            int
		warning            string
	}{
		{"pattern-of-all", "ap*", true, false, 1, ""},
		{"not-mirrored", "app", true, true, 1, ""},
		{"dry", "app", false, false, 0, "the source is not listed, and only 1 named repositories are read: blobs that only other repositories refer to count as unreferenced"},
		{"dry-and-not-mirrored", "app", false, true, 0, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startPruning(t)
			if tt.others {
				p.manifest(t, "other", "v1", ociManifest, manifestOf(p.gone))
			}
			d, _ := ParseDigest(p.gone.Digest)
			savePruned(t, p.options.State, pruneEntry{d, p.now.Add(-72 * time.Hour).Unix(), p.now.Add(-25 * time.Hour).Unix(), p.now.Add(maxOutOfIndex).Unix()})
			p.options.Filter.Repositories, p.options.Delete, p.options.OtherRepositories = []string{tt.repositories}, tt.delete, tt.others
			r, err := Prune(t.Context(), p.options)
			if err != nil || len(r.Errors) != 0 || r.Deleted.Count != tt.deleted || strings.Join(r.Warnings, "\n") != tt.warning {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}
