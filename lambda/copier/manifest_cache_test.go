package copier

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"archeio/lambda/registry"
)

const unreferring = "sha256:cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"

// TestManifestCache tests that a cache is loaded as saved, and that the entries of
// other caches are not saved.
func TestManifestCache(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	var m, again ManifestCache
	third := NewShellCache(t.TempDir())
	m.Put(a, &registry.Contents{Blobs: []registry.Blob{{Digest: b, Size: 1}}, LeftOut: 1})
	m.Put(b, &registry.Contents{Children: []string{a}, Platforms: []string{"linux/amd64"}})
	m.Put(unreferring, &registry.Contents{})
	at := time.Now().UTC().Truncate(time.Second)
	if !m.PutAbsent("team/app@"+a, "not in the registry", at) || m.PutAbsent("team/app@"+a, "not in the registry", at) {
		t.Error("absence is not new only once")
	}
	m.PutAbsent("team/app:gone", "not in the registry", at)
	m.ClearAbsent("team/app:gone")
	dir := t.TempDir()
	s, own := Folder(dir), cacheName("team/app", 1, 3)
	if err := errors.Join(again.Load(ctx, s, own), m.Save(ctx, s, own), again.Load(ctx, s, own), third.LoadShell(ctx, s, func(text string) { t.Error(text) })); err != nil {
		t.Fatal(err)
	}
	if why, when, known := again.Absent("team/app@" + a); !known || why != "not in the registry" || !when.Equal(at) {
		t.Errorf("absent: %q at %v, known %v", why, when, known)
	}
	if _, _, known := again.Absent("team/app:gone"); known {
		t.Error("what the source has again is absent")
	}
	for _, got := range []*ManifestCache{&again, third} {
		if !reflect.DeepEqual(got.Get(a), m.Get(a)) || !reflect.DeepEqual(got.Get(b), m.Get(b)) || got.Get(unreferring) == nil {
			t.Errorf("loaded %+v, want %+v", got, m.held)
		}
	}
	if err := third.SaveShell(ctx, s); err != nil {
		t.Fatal(err)
	}
	if names, err := s.Names(ctx, cachePrefix); err != nil || !slices.Equal(names, []string{own}) {
		t.Errorf("entries of other caches were saved: %q, %v", names, err)
	}
	file := filepath.Join(dir, own)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{5, len(text) / 2, len(text) - 1} {
		if err := os.WriteFile(file, text[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		var corrupt ManifestCache
		if err := corrupt.Load(ctx, s, own); err == nil {
			t.Errorf("the first %d of %d bytes are accepted", cut, len(text))
		}
	}
}

func TestCacheNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		repository string
		shard, of  int
	}{
		{"manifests/team/app.json.gz", "team/app", 0, 1},
		{"manifests/team/app@2-7.json.gz", "team/app", 2, 7},
	} {
		if got := cacheName(tt.repository, tt.shard, tt.of); got != tt.name {
			t.Errorf("%q, want %q", got, tt.name)
		}
		if repository, shard, of, ok := parseCacheName(tt.name); !ok || repository != tt.repository || shard != tt.shard || of != tt.of {
			t.Errorf("%q is parsed as %q %d %d %v", tt.name, repository, shard, of, ok)
		}
	}
	for _, name := range []string{shellCache, "manifests/team/app", "run/x", shellPrefix + "0.json.gz", "manifests/.json.gz", "manifests/a@b.json.gz"} {
		if repository, _, _, ok := parseCacheName(name); ok {
			t.Errorf("%q is parsed as repository %q", name, repository)
		}
	}
}

// TestFolder tests a State in a folder.
func TestFolder(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	dir := t.TempDir()
	s := Folder(filepath.Join(dir, "new"))
	if data, err := s.Get(ctx, "x/y"); data != nil || err != nil {
		t.Errorf("a missing name has %q, %v", data, err)
	}
	if names, err := s.Names(ctx, ""); len(names) != 0 || err != nil {
		t.Errorf("names %q, %v", names, err)
	}
	if err := errors.Join(s.Delete(ctx, "x/y"), s.Put(ctx, "x/y", []byte("1")), s.Put(ctx, "x/y", []byte("2")), s.Put(ctx, "x/z", nil)); err != nil {
		t.Fatal(err)
	}
	if data, err := s.Get(ctx, "x/y"); string(data) != "2" || err != nil {
		t.Errorf("%q, %v", data, err)
	}
	if names, err := s.Names(ctx, "x/"); !slices.Equal(names, []string{"x/y", "x/z"}) || err != nil {
		t.Errorf("names %q, %v", names, err)
	}
	if err := s.Put(ctx, "x/y/below-a-file", nil); err == nil {
		t.Error("a file below a file was written")
	}
	if err := s.Delete(ctx, "x/y"); err != nil {
		t.Error(err)
	}
}

// TestOldCache tests that an index of a version without platforms is fetched again: it
// had the layers of BuildKit caches as children.
func TestOldCache(t *testing.T) {
	t.Parallel()
	s := Folder(t.TempDir())
	data, err := encode(map[string]*registry.Contents{a: {Children: []string{b}}, b: {LeftOut: 1}}, nil, &roots{})
	if err != nil {
		t.Fatal(err)
	}
	m := NewShellCache(t.TempDir())
	if err := errors.Join(s.Put(t.Context(), shellCache, data), m.LoadShell(t.Context(), s, func(text string) { t.Error(text) })); err != nil {
		t.Fatal(err)
	}
	if m.Get(a) != nil || m.Get(b) == nil {
		t.Errorf("the index is %+v, the other manifest %+v", m.Get(a), m.Get(b))
	}
}
