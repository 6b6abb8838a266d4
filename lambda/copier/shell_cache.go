package copier

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// shellCache is the name of what the source did not have, in the cache of runs from a
	// shell, which has all repositories. It cannot be the name of a repository. Earlier
	// versions saved manifests there too.
	shellCache = cachePrefix + "@shell.json.gz"
	// shellPrefix is the prefix of pieces with manifests, which are named after their
	// hashes. Each save adds some.
	shellPrefix = cachePrefix + "@shell/"
	// maxShellPieces is the number of small pieces that are merged.
	maxShellPieces = 64
	// maxShellPiece is about the size in bytes of the largest piece, to bound memory. A
	// piece of less than half of that is small.
	maxShellPiece = 8 << 20
)

// shellPiece is a saved piece of the cache of a shell.
type shellPiece struct {
	name string
	size int // in bytes
}

// NewShellCache returns an empty cache for a run from a shell, which keeps manifests in a
// temporary file in a folder that exists; empty is that of the operating system.
func NewShellCache(dir string) *ManifestCache {
	return &ManifestCache{file: newManifestFile(dir), pieceSize: maxShellPiece}
}

// LoadShell adds to a cache of NewShellCache the saved cache of runs from a shell, and, without saving them again, the
// manifests in the caches of functions. What is corrupt is skipped and passed to warn:
// manifests are then fetched again.
func (m *ManifestCache) LoadShell(ctx context.Context, s State, warn func(string)) error {
	names, err := s.Names(ctx, cachePrefix)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range names {
		data, err := s.Get(ctx, name)
		if err != nil {
			return err
		}
		if data == nil {
			continue // another run has replaced it since
		}
		gone := map[string]absent{}
		digests, err := m.file.read(data, name == shellCache, func(e entry) error {
			if e.Key != "" && len(gone) < maxAbsent {
				gone[e.Key] = absent{e.Why, e.At}
			}
			return nil
		})
		if err != nil {
			warn(fmt.Sprintf("manifest cache %q is corrupt, rebuilding it: %v", name, err))
			clear(gone)
		}
		switch isPiece := strings.HasPrefix(name, shellPrefix); {
		case isPiece && err != nil:
			m.corrupt = append(m.corrupt, name)
		case isPiece:
			m.pieces = append(m.pieces, shellPiece{name, len(data)})
		case name == shellCache:
			m.absent, m.hasAbsent = gone, true
			m.unsaved = append(m.unsaved, digests...)
			m.dirty = m.dirty || err != nil || len(digests) > 0
		}
	}
	return nil
}

// SaveShell saves what is new since the last call, for runs from a shell.
func (m *ManifestCache) SaveShell(ctx context.Context, s State) error {
	m.saving.Lock()
	defer m.saving.Unlock()
	m.mu.Lock()
	unsaved := m.unsaved
	m.dropExpired()
	gone := maps.Clone(m.absent)
	dirty := m.dirty && (m.hasAbsent || len(gone) > 0)
	m.hasAbsent = m.hasAbsent || dirty
	m.unsaved, m.dirty = nil, false
	m.mu.Unlock()

	err := m.savePieces(ctx, s, unsaved)
	if err == nil && dirty {
		// After the manifests, which may have been there.
		var data []byte
		if data, err = encode(nil, gone, &roots{}); err == nil {
			err = s.Put(ctx, shellCache, data)
		}
	}
	if err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.unsaved, m.dirty = append(unsaved, m.unsaved...), m.dirty || dirty
		return fmt.Errorf("saving the manifest cache: %w", err)
	}
	return nil
}

// savePieces adds pieces with manifests, and deletes those that they replace after that.
// It is called by one goroutine at a time.
func (m *ManifestCache) savePieces(ctx context.Context, s State, digests []string) error {
	var added []shellPiece
	put := func(data []byte) error {
		name := shellPrefix + hashOf(data) + ".json.gz"
		added = append(added, shellPiece{name, len(data)})
		return s.Put(ctx, name, data)
	}
	rest, err := m.encodePieces(slices.Sorted(slices.Values(digests)), put)
	if err != nil {
		return err
	}
	old := slices.Clone(m.corrupt)
	small := slices.DeleteFunc(slices.Clone(m.pieces), func(p shellPiece) bool { return p.size >= m.pieceSize/2 })
	if len(small) < maxShellPieces {
		small = nil
	}
	for _, p := range small {
		data, err := s.Get(ctx, p.name)
		if err != nil {
			return err
		}
		if data == nil || p.name != shellPrefix+hashOf(data)+".json.gz" {
			continue // another run has replaced or damaged it
		}
		// A file of several gzip members is one of their contents. RFC 1952, section 2.2.
		if rest, old = append(rest, data...), append(old, p.name); len(rest) >= m.pieceSize {
			if err := put(rest); err != nil {
				return err
			}
			rest = nil
		}
	}
	if len(rest) > 0 {
		if err := put(rest); err != nil {
			return err
		}
	}
	isNew := func(name string) bool {
		return slices.ContainsFunc(added, func(p shellPiece) bool { return p.name == name })
	}
	var errs []error
	for _, name := range old {
		if !isNew(name) {
			errs = append(errs, s.Delete(ctx, name))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pieces = slices.DeleteFunc(m.pieces, func(p shellPiece) bool { return isNew(p.name) || slices.Contains(old, p.name) })
	m.pieces, m.corrupt = append(m.pieces, added...), nil
	return nil
}

// encodePieces encodes manifests. It calls put with each whole piece and returns the last
// one, which may be empty.
func (m *ManifestCache) encodePieces(digests []string, put func([]byte) error) (rest []byte, err error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	empty := true
	for _, digest := range digests {
		line := m.line(digest)
		if line == nil {
			continue // it is fetched again
		}
		empty = false
		if _, err := z.Write(append(line, '\n')); err != nil {
			return nil, err
		}
		if out.Len() < m.pieceSize {
			continue
		}
		if err := z.Close(); err != nil {
			return nil, err
		}
		if err := put(slices.Clone(out.Bytes())); err != nil {
			return nil, err
		}
		out.Reset()
		z.Reset(&out)
		empty = true
	}
	if empty {
		return nil, nil
	}
	err = z.Close()
	return out.Bytes(), err
}

// line returns the line of a cached manifest.
func (m *ManifestCache) line(digest string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.file.line(digest)
}

// dropExpired drops what the source was asked for too long ago. The caller holds the lock.
func (m *ManifestCache) dropExpired() {
	maps.DeleteFunc(m.absent, func(_ string, a absent) bool { return time.Since(a.At) > absentFor })
	maps.DeleteFunc(m.roots.asked, func(_ string, at time.Time) bool { return time.Since(at) > absentFor })
}
