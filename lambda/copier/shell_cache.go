package copier

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"archeio/lambda/registry"
)

const (
	// shellCache is the name of what the source did not have, in the cache of runs from a
	// shell, which has all repositories. It cannot be the name of a repository. Earlier
	// versions saved manifests there too.
	shellCache = cachePrefix + "@shell.json.gz"
	// shellPrefix is the prefix of pieces with manifests, which are named after their
	// hashes. Each save adds one.
	shellPrefix = cachePrefix + "@shell/"
	// maxShellPieces is the number of pieces that are replaced by a single one.
	maxShellPieces = 64
)

// LoadShell adds the saved cache of runs from a shell, and, without saving them again, the
// manifests in the caches of functions. What is corrupt is skipped and passed to warn:
// manifests are then fetched again.
func (m *ManifestCache) LoadShell(ctx context.Context, s State, warn func(string)) error {
	names, err := s.Names(ctx, cachePrefix)
	if err != nil {
		return err
	}
	for _, name := range names {
		data, err := s.Get(ctx, name)
		if err != nil {
			return err
		}
		if data == nil {
			continue // another run has replaced it since
		}
		held, gone := map[string]*registry.Contents{}, map[string]absent{}
		var images roots // not those of this cache
		err = decode(data, held, gone, &images)
		isPiece := strings.HasPrefix(name, shellPrefix)
		if err != nil {
			warn(fmt.Sprintf("manifest cache %q is corrupt, rebuilding it: %v", name, err))
			held, gone = nil, nil
		}
		m.mu.Lock()
		switch {
		case isPiece && err != nil:
			m.corrupt = append(m.corrupt, name)
		case isPiece:
			m.add(held, nil)
			m.pieces = append(m.pieces, name)
		case name == shellCache:
			m.add(held, gone)
			m.hasAbsent = true
			m.unsaved = slices.AppendSeq(m.unsaved, maps.Keys(held))
			m.dirty = m.dirty || err != nil || len(held) > 0
		default:
			if m.others == nil {
				m.others = held
			} else {
				maps.Copy(m.others, held)
			}
		}
		m.mu.Unlock()
	}
	return nil
}

// SaveShell saves what is new since the last call, for runs from a shell.
func (m *ManifestCache) SaveShell(ctx context.Context, s State) error {
	m.saving.Lock()
	defer m.saving.Unlock()
	m.mu.Lock()
	unsaved, old := m.unsaved, m.corrupt
	manifests := make(map[string]*registry.Contents, len(unsaved))
	for _, digest := range unsaved {
		manifests[digest] = m.held[digest]
	}
	if len(m.pieces) >= maxShellPieces {
		manifests, old = maps.Clone(m.held), append(slices.Clone(old), m.pieces...)
	}
	m.dropExpired()
	gone := maps.Clone(m.absent)
	dirty := m.dirty && (m.hasAbsent || len(gone) > 0)
	m.hasAbsent = m.hasAbsent || dirty
	m.unsaved, m.dirty = nil, false
	m.mu.Unlock()

	err := m.saveShell(ctx, s, manifests, old)
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

// saveShell adds a piece, and deletes old ones after that. It is called by one goroutine at
// a time.
func (m *ManifestCache) saveShell(ctx context.Context, s State, manifests map[string]*registry.Contents, old []string) error {
	if len(manifests) == 0 && len(old) == 0 {
		return nil
	}
	var name string
	if len(manifests) > 0 {
		data, err := encode(manifests, nil, &roots{})
		if err != nil {
			return err
		}
		name = shellPrefix + hashOf(data) + ".json.gz"
		if err := s.Put(ctx, name, data); err != nil {
			return err
		}
	}
	var errs []error
	for _, piece := range old {
		if piece != name {
			errs = append(errs, s.Delete(ctx, piece))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pieces = slices.DeleteFunc(m.pieces, func(piece string) bool { return piece == name || slices.Contains(old, piece) })
	if m.corrupt = nil; name != "" {
		m.pieces = append(m.pieces, name)
	}
	return nil
}

// add adds what was loaded. The caller holds the lock.
func (m *ManifestCache) add(held map[string]*registry.Contents, gone map[string]absent) {
	if m.held == nil {
		m.held = held
	} else {
		maps.Copy(m.held, held)
	}
	if m.absent == nil {
		m.absent = gone
	} else {
		maps.Copy(m.absent, gone)
	}
}

// dropExpired drops what the source was asked for too long ago. The caller holds the lock.
func (m *ManifestCache) dropExpired() {
	maps.DeleteFunc(m.absent, func(_ string, a absent) bool { return time.Since(a.At) > absentFor })
	maps.DeleteFunc(m.roots.asked, func(_ string, at time.Time) bool { return time.Since(at) > absentFor })
}
