package copier

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"archeio/lambda/registry"
)

// ManifestCache caches the contents of manifests by digest, so that none is
// fetched twice. Entries never expire, because the content of a digest cannot
// change. The zero value is an empty cache. It is safe for concurrent use.
type ManifestCache struct {
	mu   sync.Mutex
	held map[string]*registry.Contents
	// others are the entries of other caches, which are not saved.
	others map[string]*registry.Contents
	dirty  bool
}

const (
	// cachePrefix is the prefix of the names of caches in a State.
	cachePrefix = "manifests/"
	// ShellCache is the name of the cache of runs from a shell, which has all
	// repositories. It cannot be the name of a repository.
	ShellCache = cachePrefix + "@shell.json.gz"
)

// Get returns the contents of a manifest, nil if it is not cached.
func (m *ManifestCache) Get(digest string) *registry.Contents {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.held[digest]; c != nil {
		return c
	}
	return m.others[digest]
}

// Put caches the contents of a manifest.
func (m *ManifestCache) Put(digest string, c *registry.Contents) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.held = map[string]*registry.Contents{}
	}
	m.held[digest] = c
	m.dirty = true
}

// entry is a line of a saved cache.
type entry struct {
	Manifest string `json:"manifest"`
	*registry.Contents
}

// decode reads the output of encode.
func decode(data []byte, into map[string]*registry.Contents) error {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return err
	}
	for d := json.NewDecoder(bufio.NewReader(z)); ; {
		var e entry
		if err := d.Decode(&e); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if e.Contents != nil {
			into[e.Manifest] = e.Contents
		}
	}
}

// encode returns gzipped lines of JSON, sorted by digest.
func encode(held map[string]*registry.Contents) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	e := json.NewEncoder(z)
	for _, digest := range slices.Sorted(maps.Keys(held)) {
		if err := e.Encode(entry{digest, held[digest]}); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return out.Bytes(), err
}

// Load adds the saved cache of a name, if it exists.
func (m *ManifestCache) Load(ctx context.Context, s State, name string) error {
	data, err := s.Get(ctx, name)
	if err != nil || data == nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.held = map[string]*registry.Contents{}
	}
	if err := decode(data, m.held); err != nil {
		return fmt.Errorf("reading manifest cache %q: %w: delete it to start again", name, err)
	}
	return nil
}

// LoadOthers adds the saved caches of all other names. Save does not save these.
func (m *ManifestCache) LoadOthers(ctx context.Context, s State, own string) error {
	names, err := s.Names(ctx, cachePrefix)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.others = map[string]*registry.Contents{}
	for _, name := range names {
		if name == own {
			continue
		}
		data, err := s.Get(ctx, name)
		if err != nil {
			return err
		}
		if err := decode(data, m.others); err != nil {
			return fmt.Errorf("reading manifest cache %q: %w: delete it to start again", name, err)
		}
	}
	return nil
}

// Save saves the cache under a name, without the entries of LoadOthers, if it has
// changed.
func (m *ManifestCache) Save(ctx context.Context, s State, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.dirty {
		return nil
	}
	data, err := encode(m.held)
	if err == nil {
		err = s.Put(ctx, name, data)
	}
	if err != nil {
		return fmt.Errorf("saving the manifest cache: %w", err)
	}
	m.dirty = false
	return nil
}

// all iterates over the cache, without the entries of LoadOthers.
func (m *ManifestCache) all(yield func(digest string, c *registry.Contents) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for digest, c := range m.held {
		if !yield(digest, c) {
			return
		}
	}
}

// cacheName is the name of the cache of a shard of a repository.
func cacheName(repository string, shard, of int) string {
	return cachePrefix + shardName(repository, shard, of) + ".json.gz"
}

// shardName is the name of a shard of a repository. Repository names have no @.
func shardName(repository string, shard, of int) string {
	if of <= 1 {
		return repository
	}
	return fmt.Sprintf("%s@%d-%d", repository, shard, of)
}

// parseCacheName is the inverse of cacheName.
func parseCacheName(name string) (repository string, shard, of int, ok bool) {
	work, isMemory := strings.CutPrefix(name, cachePrefix)
	work, isFile := strings.CutSuffix(work, ".json.gz")
	repository, rest, shared := strings.Cut(work, "@")
	of = 1
	if shared {
		if n, err := fmt.Sscanf(rest, "%d-%d", &shard, &of); n != 2 || err != nil {
			return "", 0, 0, false
		}
	}
	return repository, shard, of, isMemory && isFile && repository != ""
}
