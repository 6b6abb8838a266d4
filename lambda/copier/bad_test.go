package copier

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"archeio/lambda/registry"
	"archeio/scripts/lab/system"
)

const ociManifest = "application/vnd.oci.image.manifest.v1+json"

// manifestOf is a manifest with some blobs as layers.
func manifestOf(blobs ...registry.Blob) string {
	var layers []string
	for _, b := range blobs {
		layers = append(layers, fmt.Sprintf(`{"mediaType":"application/octet-stream","digest":%q,"size":%d}`, b.Digest, b.Size))
	}
	return `{"schemaVersion":2,"layers":[` + strings.Join(layers, ",") + `]}`
}

// TestBadImages tests that each invalid image is one line with its name, and that
// all others are copied.
func TestBadImages(t *testing.T) {
	t.Parallel()
	s := start(t)
	h := startHub(t)
	s.collect(t, h.push(t, "good/app:v1", image(t, 1000, 2)))

	other, short, long := map[string]bool{}, map[string]bool{}, map[string]bool{}
	blob := func(repository string) registry.Blob { return h.blob(t, repository, []byte("a blob of "+repository)) }
	for _, tt := range []struct {
		repository string
		manifest   func(repository string) string
	}{
		{"bad/no-json", func(string) string { return "<html>" }},
		{"bad/version", func(string) string { return `{"schemaVersion":7}` }},
		{"bad/no-digest", func(string) string { return `{"schemaVersion":2,"layers":[{"digest":"latest","size":1}]}` }},
		{"bad/no-child", func(string) string { return `{"schemaVersion":2,"manifests":[{"digest":"` + a + `","size":1}]}` }},
		{"bad/no-blob", func(string) string { return manifestOf(registry.Blob{Digest: b, Size: 7}) }},
		{"bad/other-content", func(repository string) string {
			b := blob(repository)
			other[b.Digest] = true
			return manifestOf(b)
		}},
		{"bad/size-too-small", func(repository string) string {
			b := blob(repository)
			return manifestOf(registry.Blob{Digest: b.Digest, Size: b.Size - 1})
		}},
		{"bad/size-too-large", func(repository string) string {
			b := blob(repository)
			return manifestOf(registry.Blob{Digest: b.Digest, Size: b.Size + 1})
		}},
		{"bad/cut-off", func(repository string) string {
			b := blob(repository)
			short[b.Digest] = true
			return manifestOf(b)
		}},
		{"bad/longer", func(repository string) string {
			b := blob(repository)
			long[b.Digest] = true
			return manifestOf(b)
		}},
	} {
		h.manifest(t, tt.repository, "v1", ociManifest, tt.manifest(tt.repository))
	}
	// Two manifests that disagree on the size of a blob.
	twice := h.blob(t, "bad/two-sizes", []byte("two sizes"))
	h.manifest(t, "bad/two-sizes", "v1", ociManifest, manifestOf(twice))
	h.manifest(t, "bad/two-sizes", "v2", ociManifest, manifestOf(registry.Blob{Digest: twice.Digest, Size: 99}))
	h.intercept(func(w http.ResponseWriter, r *http.Request) bool {
		_, digest, _ := strings.Cut(r.URL.Path, "/blobs/")
		switch {
		case other[digest]:
			fmt.Fprint(w, "another of bad/other-content"[:len("a blob of bad/other-content")])
		case short[digest]:
			fmt.Fprint(w, "a blob")
		case long[digest]:
			fmt.Fprint(w, "a blob of bad/longer and more")
		default:
			return false
		}
		return true
	})

	o := Options{Source: h.source(t, "", registry.Options{}), Buckets: s.buckets, Parallel: 16}
	_, result := planAndCopy(t.Context(), t, o)
	lines := map[string]int{}
	gone := map[string]int{}
	for _, err := range slices.Concat(result.Errors, result.Absent) {
		oneLineOf(t, err)
		lines := lines
		if absence(err) {
			lines = gone
		}
		for _, repository := range strings.FieldsFunc(err.Error(), func(r rune) bool { return strings.ContainsRune(" @:,", r) }) {
			if name, ok := strings.CutPrefix(repository, "bad/"); ok {
				lines[name]++
				break
			}
		}
	}
	for _, name := range []string{"other-content", "cut-off", "longer"} {
		if lines[name] != 1 || gone[name] != 0 {
			t.Errorf("%s: %d errors and %d absences, want an error", name, lines[name], gone[name])
		}
	}
	for _, name := range []string{"no-json", "version", "no-digest", "no-child", "no-blob"} {
		if lines[name] != 0 || gone[name] != 1 {
			t.Errorf("%s: %d errors and %d absences, want an absence", name, lines[name], gone[name])
		}
	}
	// The digest decides, whatever the sizes are.
	if len(result.Errors) != 3 || len(result.Absent) != 5 || len(result.Warnings) < 2 {
		t.Errorf("%d errors, %d absences, warnings %q", len(result.Errors), len(result.Absent), result.Warnings)
	}
	if t.Failed() {
		for _, err := range slices.Concat(result.Errors, result.Absent) {
			t.Log(err)
		}
	}
	s.blobs[twice.Digest] = true
	for _, name := range []string{"bad/size-too-small", "bad/size-too-large"} {
		s.blobs[blobOf([]byte("a blob of "+name)).Digest] = true
	}
	s.allWhole(t)
}

// TestBadBuckets tests that an unusable bucket is one line, before any manifest of the
// source is fetched.
func TestBadBuckets(t *testing.T) {
	t.Parallel()
	s := start(t)
	h := startHub(t)
	h.push(t, "app:v1", image(t, 10, 1))
	h.requests()
	good := s.bucket(t, system.Regions[0])
	for _, tt := range []struct {
		name   string
		bucket *Bucket
		wrong  string
	}{
		{"missing", NewBucket("does-not-exist", good.client), "the bucket does not exist"},
		{"not-ours", withLogin(good, aws.AnonymousCredentials{}), "access denied"},
		{"other-region", refusing(good, http.StatusMovedPermanently, "PermanentRedirect"), "the bucket is in another region"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewPlan(t.Context(), Options{Source: h.source(t, "", registry.Options{}), Buckets: []*Bucket{good, tt.bucket}})
			oneLineOf(t, err, fmt.Sprintf("bucket %q: listing", tt.bucket.Name), tt.wrong)
			for _, r := range h.requests() {
				if strings.HasPrefix(r, "GET ") && strings.Contains(r, "/manifests/") {
					t.Errorf("request to the source: %s", r)
				}
			}
		})
	}
}

// TestNotWritable tests that a bucket with read access only is one line per blob,
// without retries, and that the others are filled; but no mirror gets a blob that
// is not in the primary.
func TestNotWritable(t *testing.T) {
	t.Parallel()
	s := start(t)
	h := startHub(t)
	s.collect(t, h.push(t, "app:v1", image(t, 1000, 3)))
	n := len(s.blobs)
	for _, tt := range []struct {
		name          string
		first, second bool // are writable
		copied, lines int
		puts          string
	}{
		// The copy from the other server is rejected first.
		{"replica", true, false, n, n, fmt.Sprintf("copy:%d put:%[1]d", n)},
		{"primary", false, true, 0, n, fmt.Sprintf("put:%d", n)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requests := newTally(wire(func(r *http.Request) (*http.Response, error) {
				return refuse(r, http.StatusForbidden, "AccessDenied")
			}), atBucket)
			closed := func(b *Bucket, writable bool) *Bucket {
				if writable {
					return b
				}
				return through(b, wire(func(r *http.Request) (*http.Response, error) {
					if r.Method != http.MethodPut {
						return http.DefaultTransport.RoundTrip(r)
					}
					return requests.RoundTrip(r)
				}))
			}
			first, second := s.bucket(t, system.Regions[0]), s.bucket(t, system.Regions[1])
			o := Options{Source: h.source(t, "", registry.Options{}), Buckets: []*Bucket{closed(first, tt.first), closed(second, tt.second)}}
			_, result := planAndCopy(t.Context(), t, o)
			if result.Copied != tt.copied || len(result.Errors) != tt.lines {
				t.Errorf("result %+v", result)
			}
			bad := map[bool]*Bucket{true: first, false: second}[tt.second]
			for _, err := range result.Errors {
				oneLineOf(t, err, "app:v1: blob sha256:", fmt.Sprintf("bucket %q: writing sha256:", bad.Name), "access denied (AccessDenied)")
			}
			if got := len(held(t, second)); got != 0 {
				t.Errorf("the second bucket has %d blobs", got)
			}
			if got := requests.take(); got != tt.puts {
				t.Errorf("requests %s, want %s", got, tt.puts)
			}
		})
	}
}
