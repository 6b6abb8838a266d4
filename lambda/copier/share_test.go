package copier

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"archeio/lambda/registry"
)

// deadIndex publishes an index of n manifests that do not exist.
func deadIndex(t *testing.T, h *hub, repository string, n int) {
	t.Helper()
	var children []string
	for i := range n {
		children = append(children, fmt.Sprintf(`{"digest":"sha256:%064x","size":1}`, i))
	}
	h.manifest(t, repository, "dead", "application/vnd.oci.image.index.v1+json", `{"schemaVersion":2,"manifests":[`+strings.Join(children, ",")+`]}`)
}

// TestDeadChildren tests that an index of thousands of manifests that do not exist costs
// only its share: all other images are copied, the error names it, and later runs
// continue with it until nothing is unknown.
func TestDeadChildren(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	const good, dead = 20, 700
	for i := range good {
		h.push(t, fmt.Sprintf("app:v%d", i), image(t, 50, 1))
	}
	deadIndex(t, h, "app", dead)
	memory := newMemory()
	o := Options{Source: h.source(t, "", registry.Options{}), Buckets: []*Bucket{memory.bucket("primary", "us-east-1")}, Manifests: &ManifestCache{}, ImageRequests: 200}
	for run := 1; ; run++ {
		plan, result := planAndCopy(t.Context(), t, o)
		if got := len(memory.blobs(o.Buckets[0])); got != 2*good {
			t.Fatalf("run %d: %d blobs, want %d; errors %v", run, got, 2*good, result.Errors)
		}
		if len(result.Errors) == 0 {
			if len(plan.Absent) != dead || run < 3 {
				t.Errorf("complete after %d runs with %d absences, want %d", run, len(plan.Absent), dead)
			}
			break
		}
		oneLineOf(t, result.Errors[0], "app:dead", "share of this run")
		if run == 10 || len(result.Errors) != 1 {
			t.Fatalf("run %d: errors %v", run, result.Errors)
		}
	}
	h.requests()
	if _, result := planAndCopy(t.Context(), t, o); len(result.Errors) != 0 {
		t.Errorf("errors %v", result.Errors)
	}
	if n := len(h.requests()); n > 200 {
		t.Errorf("%d requests of a run that knows all", n)
	}
}

// TestAbsentAgain tests that what was absent is copied once the source has it.
func TestAbsentAgain(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	data, blob := noise(1, 100)
	h.blob(t, "app", data)
	h.manifest(t, "app", "v1", ociManifest, manifestOf(blob))
	gone := true
	h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if gone && strings.Contains(r.URL.Path, "/blobs/") {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
	memory := newMemory()
	o := Options{Source: h.source(t, "", registry.Options{}), Buckets: []*Bucket{memory.bucket("primary", "us-east-1")}, Manifests: &ManifestCache{}}
	for _, tt := range []struct {
		name                       string
		gone                       bool
		missing, unmirrored, blobs int // of the plan
		absent, copied             int
	}{
		{"missing", true, 1, 1, 1, 1, 0},
		{"still-missing", true, 1, 0, 0, 1, 0},
		{"there-again", false, 1, 0, 0, 0, 1},
		{"copied", false, 0, 0, 1, 0, 0},
	} {
		gone = tt.gone
		plan, result := planAndCopy(t.Context(), t, o)
		if plan.missing.Count != tt.missing || plan.Unmirrored[0].Count != tt.unmirrored || plan.Blobs != tt.blobs || len(result.Absent) != tt.absent || result.Copied != tt.copied || len(result.Errors) != 0 {
			t.Errorf("%s: %d missing, %d not mirrored, %d blobs; result %+v", tt.name, plan.missing.Count, plan.Unmirrored[0].Count, plan.Blobs, result)
		}
	}
}

// TestOtherRepository tests that a blob is copied from the repository that has it.
func TestOtherRepository(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	data, blob := noise(1, 100)
	for _, repository := range []string{"a", "b", "c"} {
		h.blob(t, repository, data)
		h.manifest(t, repository, "v1", ociManifest, manifestOf(blob))
	}
	h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.Contains(r.URL.Path, "/blobs/") && !strings.HasPrefix(r.URL.Path, "/v2/b/") {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
	memory := newMemory()
	_, result := planAndCopy(t.Context(), t, Options{Source: h.source(t, "", registry.Options{}), Buckets: []*Bucket{memory.bucket("primary", "us-east-1")}})
	if result.Copied != 1 || len(result.Errors)+len(result.Absent) != 0 {
		t.Errorf("result %+v", result)
	}
}

// TestFilters tests that a plan has what a filter leaves and says what it left out.
func TestFilters(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	for _, path := range []string{"team/app:v1", "team/app:v2", "team/app:nightly", "team/tool:v1", "other:v1"} {
		h.push(t, path, image(t, 10, 1))
	}
	for _, tt := range []struct {
		name      string
		filter    Filter
		manifests int
		want      Filtered
	}{
		{"everything", Filter{}, 5, Filtered{}},
		{"name", Filter{Repositories: []string{"team/app"}}, 3, Filtered{}},
		{"pattern", Filter{Repositories: []string{"team/*"}}, 4, Filtered{Repositories: 1}},
		{"tags", Filter{Tags: []string{"v*"}}, 4, Filtered{Images: 1}},
		{"exclude", Filter{ExcludeTags: []string{"v1", "nightly"}}, 1, Filtered{Images: 4}},
		{"nothing-left", Filter{Tags: []string{"none"}}, 0, Filtered{Images: 5}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			plan, err := NewPlan(t.Context(), Options{Source: h.source(t, "", registry.Options{}), Filter: tt.filter})
			if err != nil || plan.Manifests != tt.manifests || plan.Filtered != tt.want || len(plan.Errors) != 0 || plan.Empty() != (tt.manifests == 0) {
				t.Errorf("plan %+v, error %v", plan, err)
			}
		})
	}
	_, err := NewPlan(t.Context(), Options{Source: h.source(t, "", registry.Options{}), Filter: Filter{Repositories: []string{"misspelt", "too"}}})
	oneLineOf(t, err, "none of the 2 repositories exists")
	if plan, err := NewPlan(t.Context(), Options{Source: h.source(t, "", registry.Options{}), Filter: Filter{Repositories: []string{"misspelt"}}, AllowEmpty: true}); err != nil || !plan.Empty() {
		t.Errorf("plan %+v, error %v", plan, err)
	}
}

// TestPutSizes tests blobs of unknown and of too large sizes.
func TestPutSizes(t *testing.T) {
	t.Parallel()
	memory := newMemory()
	b := memory.bucket("sizes", "us-east-1")
	b.partSize = 100
	for _, size := range []int{0, 1, 99, 100, 101, 1000, 150_000, 350_000} {
		data, blob := noise(byte(size), size)
		blob.Size = registry.SizeUnknown
		if _, err := b.Put(t.Context(), blob, bytes.NewReader(data), ""); err != nil || !bytes.Equal(memory.blobs(b)[blob.Digest], data) {
			t.Errorf("%d bytes: error %v", size, err)
		}
		other := bytes.Clone(data)
		if size > 0 {
			other[size-1] ^= 1
			_, wrong := noise(byte(size+1), size)
			wrong.Size = registry.SizeUnknown
			if _, err := b.Put(t.Context(), wrong, bytes.NewReader(other), ""); err == nil {
				t.Errorf("%d bytes: another content is accepted", size)
			}
		}
	}
	// 1,000 parts of each size, and 7,000 of the largest.
	if got, want := b.maxUploadSize(), int64(100*(1000+2000+4000+7*8000)); got != want {
		t.Errorf("the largest upload has %d bytes, want %d", got, want)
	}
	_, blob := noise(1, 10)
	blob.Size = b.maxUploadSize() + 1
	_, err := b.Put(t.Context(), blob, strings.NewReader(""), "")
	oneLineOf(t, err, "too large for S3", "10000 parts")
	for _, size := range []int64{1e15, 1 << 62} {
		blob.Size = size
		if _, err := memory.bucket("other", "us-east-1").Put(t.Context(), blob, strings.NewReader(""), ""); err == nil {
			t.Errorf("%d bytes are accepted", size)
		}
	}
}

// TestWrongSizes tests that a blob of another size than in its manifest is mirrored with
// a warning, in this run and in the next ones, and that a wrong object is an error.
func TestWrongSizes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		maxPutSize int64
		size       int64 // in the manifest
		corrupt    bool
	}{
		{"too-small", maxPutSize, 99, false},
		{"too-large", maxPutSize, 5000, false},
		{"in-parts-without-checksum", 10, 99, false},
		{"corrupt", maxPutSize, 100, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := startHub(t)
			data, blob := noise(1, 100)
			h.blob(t, "app", data)
			h.manifest(t, "app", "v1", ociManifest, manifestOf(registry.Blob{Digest: blob.Digest, Size: tt.size}))
			memory := newMemory()
			b := memory.bucket("primary", "us-east-1")
			b.maxPutSize, b.partSize = tt.maxPutSize, 60
			o := Options{Source: h.source(t, "", registry.Options{}), Buckets: []*Bucket{b}}
			warnings := 1
			if tt.corrupt {
				put(t, b, blob.Digest, []byte("wrong"))
				warnings = 0
			} else if _, result := planAndCopy(t.Context(), t, o); result.Copied != 1 || len(result.Errors) != 0 || len(result.Warnings) != 1 {
				t.Errorf("result %+v", result)
			}
			plan, result := planAndCopy(t.Context(), t, o)
			if plan.missing.Count != 0 || result.Copied != 0 || len(result.Errors) != 1-warnings || len(result.Warnings) != warnings {
				t.Errorf("the next run: %d missing, result %+v", plan.missing.Count, result)
			}
		})
	}
}
