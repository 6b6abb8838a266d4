package copier

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"archeio/lambda/registry"
)

// loadShell returns a loaded cache and what it warns of.
func loadShell(t *testing.T, s State) (*ManifestCache, string) {
	t.Helper()
	var warnings []string
	m := NewShellCache(t.TempDir())
	if err := m.LoadShell(t.Context(), s, func(text string) { warnings = append(warnings, text) }); err != nil {
		t.Fatal(err)
	}
	return m, strings.Join(warnings, "\n")
}

// TestShellCache tests that a save writes only what is new, and that pieces are merged.
func TestShellCache(t *testing.T) {
	t.Parallel()
	s, m := newMemoryState(), NewShellCache(t.TempDir())
	save := func(m *ManifestCache, want int) {
		t.Helper()
		if err := m.SaveShell(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if got := s.takeWritten(); len(got) != want {
			t.Errorf("wrote %q, want %d", got, want)
		}
	}
	save(m, 0)
	m.PutAbsent("app:gone", "not in the registry", time.Now())
	save(m, 1)
	const manifests = maxShellPieces + 5
	for i := range manifests {
		m.Put(fmt.Sprint(i), &registry.Contents{LeftOut: i + 1})
		if i == manifests-1 {
			m, _ = loadShell(t, s)
			m.Put(fmt.Sprint(i), &registry.Contents{LeftOut: i + 1})
		}
		save(m, 2) // dirty is of both
	}
	save(m, 0)
	again, warnings := loadShell(t, s)
	if warnings != "" || len(again.file.at) != manifests || len(again.pieces) > 6 || again.Get("3").LeftOut != 4 {
		t.Errorf("%d manifests in %d pieces, warnings %q", len(again.file.at), len(again.pieces), warnings)
	}
	if _, _, known := again.Absent("app:gone"); !known {
		t.Error("it is not known what the source does not have")
	}
	save(again, 0)
}

// TestShellPieces tests that a large cache is saved in several pieces, and that a manifest
// which refers to nothing is cached too.
func TestShellPieces(t *testing.T) {
	t.Parallel()
	s, m := newMemoryState(), NewShellCache(t.TempDir())
	m.pieceSize = 60_000
	const manifests = 3000
	for i := range manifests {
		digest := Digest(sha256.Sum256(fmt.Append(nil, i))).String()
		c := &registry.Contents{}
		if i > 0 {
			c.Blobs = []registry.Blob{{Digest: digest, Size: int64(i)}}
		}
		m.Put(digest, c)
	}
	if err := m.SaveShell(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if n := len(m.pieces); n < 2 || n > 8 {
		t.Errorf("%d pieces", n)
	}
	for _, p := range m.pieces {
		if p.size != len(s.values[p.name]) || p.size > 2*m.pieceSize {
			t.Errorf("piece %s has %d bytes", p.name, len(s.values[p.name]))
		}
	}
	m, warnings := loadShell(t, s)
	for i := range manifests {
		c := m.Get(Digest(sha256.Sum256(fmt.Append(nil, i))).String())
		if c == nil || len(c.Blobs) != min(i, 1) || i > 0 && c.Blobs[0].Size != int64(i) {
			t.Errorf("manifest %d: %+v, warnings %q", i, c, warnings)
		}
	}
}

// TestCorruptShellCache tests that a corrupt cache is reported and rebuilt.
func TestCorruptShellCache(t *testing.T) {
	t.Parallel()
	s, m := newMemoryState(), NewShellCache(t.TempDir())
	m.PutAbsent("app:gone", "not in the registry", time.Now())
	for _, digest := range []string{"a", "b"} {
		m.Put(digest, &registry.Contents{LeftOut: 1})
		if err := m.SaveShell(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	other := cacheName("app", 0, 1)
	s.values[other] = []byte("no gzip")
	s.values[shellCache] = s.values[shellCache][:9]
	piece := m.pieces[0].name
	s.values[piece] = s.values[piece][:len(s.values[piece])-3]
	m, warnings := loadShell(t, s)
	for _, name := range []string{other, shellCache, piece} {
		if !strings.Contains(warnings, fmt.Sprintf("manifest cache %q is corrupt, rebuilding it", name)) {
			t.Errorf("warnings %q, want one of %s", warnings, name)
		}
	}
	if m.Get("a") != nil || m.Get("b") == nil {
		t.Errorf("loaded %v, want b only", slices.Collect(maps.Keys(m.file.at)))
	}
	m.Put("a", &registry.Contents{LeftOut: 1})
	if err := m.SaveShell(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	delete(s.values, other) // a worker rebuilds it
	if m, warnings = loadShell(t, s); warnings != "" || m.Get("a") == nil || m.Get("b") == nil {
		t.Errorf("loaded %v, warnings %q", slices.Collect(maps.Keys(m.file.at)), warnings)
	}
}

// TestOldShellCache tests that the manifests of a cache of an earlier version are kept.
func TestOldShellCache(t *testing.T) {
	t.Parallel()
	s, old := newMemoryState(), &ManifestCache{}
	old.Put("a", &registry.Contents{LeftOut: 1})
	if err := old.Save(t.Context(), s, shellCache); err != nil {
		t.Fatal(err)
	}
	m, _ := loadShell(t, s)
	m.PutAbsent("app:gone", "not in the registry", time.Now())
	if err := m.SaveShell(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if m, _ = loadShell(t, s); m.Get("a") == nil || len(m.pieces) != 1 {
		t.Errorf("loaded %v, pieces %v", m.held, m.pieces)
	}
}

// TestCacheWhileSaved tests that the cache can be used while it is saved, and that nothing
// is lost if that fails.
func TestCacheWhileSaved(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		cache func() *ManifestCache
		save  func(m *ManifestCache, s State) error
		load  func(m *ManifestCache, s State) error
	}{
		{"function", func() *ManifestCache { return &ManifestCache{} },
			func(m *ManifestCache, s State) error { return m.Save(t.Context(), s, "x") },
			func(m *ManifestCache, s State) error { return m.Load(t.Context(), s, "x") }},
		{"shell", func() *ManifestCache { return NewShellCache("") },
			func(m *ManifestCache, s State) error { return m.SaveShell(t.Context(), s) },
			func(m *ManifestCache, s State) error { return m.LoadShell(t.Context(), s, func(string) {}) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := tt.cache()
			s := &failingState{memoryState: newMemoryState()}
			s.onPut = func(string) { m.Put("c", &registry.Contents{LeftOut: 1}) }
			s.fail.Store(true)
			m.Put("a", &registry.Contents{LeftOut: 1})
			if err := tt.save(m, s); !errors.Is(err, errTest) {
				t.Fatalf("error %v, want %v", err, errTest)
			}
			s.fail.Store(false)
			m.Put("b", &registry.Contents{LeftOut: 1})
			if err := errors.Join(tt.save(m, s), tt.save(m, s)); err != nil {
				t.Fatal(err)
			}
			loaded := tt.cache()
			if err := tt.load(loaded, s); err != nil || loaded.Get("a") == nil || loaded.Get("b") == nil || loaded.Get("c") == nil {
				t.Errorf("loaded %v, error %v", slices.Collect(maps.Keys(loaded.held)), err)
			}
		})
	}
}

var errTest = errors.New("error of a test")

// failingState is a State in which Put may fail.
type failingState struct {
	*memoryState
	fail atomic.Bool
}

func (s *failingState) Put(ctx context.Context, name string, data []byte) error {
	if s.fail.Load() {
		return errTest
	}
	return s.memoryState.Put(ctx, name, data)
}
