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
)

// ManifestCache keeps what manifests refer to, by their digest, so that none is
// fetched twice: a digest never means anything else. The zero value is an empty
// one. It is safe for concurrent use.
type ManifestCache struct {
	mu   sync.Mutex
	held map[string]*Contents
	// others are what other runs keep.
	others map[string]*Contents
	dirty  bool
}

const (
	// cachePrefix begins the names of all that is remembered in a State.
	cachePrefix = "manifests/"
	// ShellCache is the name under which what is run from a shell remembers
	// all repositories. No repository has such a name.
	ShellCache = cachePrefix + "@shell.json.gz"
)

// Get answers what a manifest refers to, nil if that is not remembered.
func (m *ManifestCache) Get(digest string) *Contents {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c := m.held[digest]; c != nil {
		return c
	}
	return m.others[digest]
}

// Put remembers what a manifest refers to.
func (m *ManifestCache) Put(digest string, c *Contents) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.held = map[string]*Contents{}
	}
	m.held[digest] = c
	m.dirty = true
}

// entry is a line of what is written.
type entry struct {
	Manifest string `json:"manifest"`
	*Contents
}

// decode reads what encode has written.
func decode(data []byte, into map[string]*Contents) error {
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

// encode makes gzipped lines of JSON, in the order of the digests.
func encode(held map[string]*Contents) ([]byte, error) {
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

// Load adds what was saved under a name; nothing is there the first time.
func (m *ManifestCache) Load(ctx context.Context, s State, name string) error {
	data, err := s.Get(ctx, name)
	if err != nil || data == nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == nil {
		m.held = map[string]*Contents{}
	}
	if err := decode(data, m.held); err != nil {
		return fmt.Errorf("reading what is remembered in %q: %w; remove it to begin anew", name, err)
	}
	return nil
}

// LoadOthers adds what is saved under all other names; it is not saved again.
func (m *ManifestCache) LoadOthers(ctx context.Context, s State, own string) error {
	names, err := s.Names(ctx, cachePrefix)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.others = map[string]*Contents{}
	for _, name := range names {
		if name == own {
			continue
		}
		data, err := s.Get(ctx, name)
		if err != nil {
			return err
		}
		if err := decode(data, m.others); err != nil {
			return fmt.Errorf("reading what is remembered in %q: %w; remove it to begin anew", name, err)
		}
	}
	return nil
}

// Save saves all that is not others', if there is anything new.
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
		return fmt.Errorf("saving what is remembered: %w", err)
	}
	m.dirty = false
	return nil
}

// all goes through everything that is remembered.
func (m *ManifestCache) all(yield func(digest string, c *Contents) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for digest, c := range m.held {
		if !yield(digest, c) {
			return
		}
	}
}

// cacheName is where a worker remembers its share of a repository.
func cacheName(repository string, shard, of int) string {
	return cachePrefix + workName(repository, shard, of) + ".json.gz"
}

// workName is a share of a repository. The at sign is in no repository's name.
func workName(repository string, shard, of int) string {
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
