package copier

import (
	"strings"
	"testing"

	"archeio/lambda/registry"
)

// TestFinder tests that blobs of a survey are found whether or not buckets have them, and
// that a part of it is read once.
func TestFinder(t *testing.T) {
	t.Parallel()
	h := startHub(t)
	here, missing := h.blob(t, "app", []byte("here")), h.blob(t, "app", []byte("missing"))
	h.manifest(t, "app", "v1", ociManifest, manifestOf(here, missing))
	b := newMemory().bucket("primary", "us-east-1")
	put(t, b, here.Digest, []byte("here"))
	plan, err := NewPlan(t.Context(), Options{Source: h.source(t, "", registry.Options{}), Buckets: []*Bucket{b}})
	if err != nil {
		t.Fatal(err)
	}
	f := &finder{plan: plan}
	for _, tt := range []struct {
		name, digest, image string
		found               bool
	}{
		{"here", here.Digest, "", true},
		{"missing", missing.Digest, "app:v1", true},
		{"missing-again", missing.Digest, "app:v1", true},
		{"nowhere", a, "", false},
	} {
		d, _ := ParseDigest(tt.digest)
		m, ok, err := f.find(d)
		if err != nil || ok != tt.found || ok && (m.Digest != tt.digest || m.Repository != "app") || !strings.HasSuffix(m.Image, tt.image) {
			t.Errorf("%s: %+v, %v, error %v", tt.name, m, ok, err)
		}
		if again, _, _ := f.find(d); tt.image != "" && again.Image != m.Image {
			t.Errorf("%s: %q at first, then %q", tt.name, m.Image, again.Image)
		}
	}
	// What is in memory is not read again.
	plan.partition.failed = errReset
	d, _ := ParseDigest(a)
	if _, _, err := f.find(d); err != nil {
		t.Errorf("the last part is read again: %v", err)
	}
	d, _ = ParseDigest(missing.Digest)
	_, _, err = f.find(d)
	oneLineOf(t, err, "reading a temporary file", errReset.Error())
}
