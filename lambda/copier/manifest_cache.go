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
	"time"

	"archeio/lambda/registry"
)

// ManifestCache caches the contents of manifests by digest, so that none is
// fetched twice. Entries never expire, because the content of a digest cannot
// change. The zero value is an empty cache. It is safe for concurrent use.
type ManifestCache struct {
	mu   sync.Mutex
	held map[string]*registry.Contents
	// file has the manifests of a run from a shell instead, and those of other caches,
	// which are not saved.
	file *manifestFile
	// unsaved are the manifests that no piece of the cache of a shell has, pieces are
	// these, and corrupt the names of those that could not be read.
	unsaved   []string
	pieces    []shellPiece
	corrupt   []string
	pieceSize int // maxShellPiece, less in tests
	// hasAbsent reports that there is a saved file of what the source did not have.
	hasAbsent bool
	// absent are what the source did not have: REPOSITORY@DIGEST, REPOSITORY:TAG or
	// REPOSITORY.
	absent map[string]absent
	roots  roots
	dirty  bool

	saving sync.Mutex // held by Save
}

// absent is what the source did not have when it was last asked.
type absent struct {
	Why string
	At  time.Time
}

const (
	// absentFor is how long the cache has what the source did not have after it was
	// last asked, because the image may not exist any more.
	absentFor = 30 * 24 * time.Hour
	// maxAbsent limits the number of entries for what the source does not have.
	maxAbsent = 200_000
)

// cachePrefix is the prefix of the names of caches in a State.
const cachePrefix = "manifests/"

// Get returns the contents of a manifest, nil if it is not cached.
func (m *ManifestCache) Get(digest string) *registry.Contents {
	m.mu.Lock()
	c := m.held[digest]
	var line []byte
	if c == nil && m.file != nil {
		line = m.file.line(digest)
	}
	m.mu.Unlock()
	if c != nil {
		return c
	}
	return contentsOf(line)
}

// Absent returns why and when the source did not have something, if it did not when
// it was last asked. key is REPOSITORY@DIGEST, REPOSITORY:TAG or REPOSITORY.
func (m *ManifestCache) Absent(key string) (why string, at time.Time, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a, known := m.absent[key]
	return a.Why, a.At, known
}

// PutAbsent records that the source does not have something, and reports whether that
// is new.
func (m *ManifestCache) PutAbsent(key, why string, now time.Time) (isNew bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, known := m.absent[key]
	if !known && len(m.absent) >= maxAbsent {
		return true
	}
	if m.absent == nil {
		m.absent = map[string]absent{}
	}
	m.absent[key] = absent{why, now.UTC().Truncate(time.Second)}
	m.dirty = true
	return !known
}

// ClearAbsent records that the source has something.
func (m *ManifestCache) ClearAbsent(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, known := m.absent[key]; known {
		delete(m.absent, key)
		m.dirty = true
	}
}

// Put caches the contents of a manifest.
func (m *ManifestCache) Put(digest string, c *registry.Contents) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.file != nil {
		if !m.putLine(digest, c) {
			return // it is fetched again
		}
	} else {
		if m.held == nil {
			m.held = map[string]*registry.Contents{}
		}
		m.held[digest] = c
	}
	m.unsaved = append(m.unsaved, digest)
	m.dirty = true
}

// putLine adds a manifest to the file. The caller holds the lock.
func (m *ManifestCache) putLine(digest string, c *registry.Contents) bool {
	line, err := json.Marshal(entry{Manifest: digest, Contents: c})
	if err != nil {
		return false
	}
	s, ok, err := m.file.add(line)
	if err != nil || !ok {
		return false
	}
	m.file.at[digestKeyOf(digest)] = s
	return true
}

// entry is a line of a saved cache: a manifest, or what the source does not have.
type entry struct {
	Manifest string `json:"manifest,omitempty"`
	*registry.Contents
	// Key, Why and At are of what the source does not have.
	Key string    `json:"key,omitempty"`
	Why string    `json:"why,omitempty"`
	At  time.Time `json:"at,omitzero"`
	// Image is one of the source, and Digest its manifest; neither is set in the line
	// that says that images are known.
	Image  string `json:"image,omitempty"`
	Digest string `json:"digest,omitempty"`
	Images bool   `json:"images,omitempty"`
	// Referrers are those of the manifest Subject.
	Subject   string   `json:"subject,omitempty"`
	Referrers []string `json:"referrers,omitempty"`
	// Asked is a manifest of a repository whose referrers were requested, At the time.
	Asked string `json:"asked,omitempty"`
}

// contents returns the contents of the manifest of an entry, nil if it is to be fetched
// again.
func (e *entry) contents() *registry.Contents {
	switch {
	case e.Contents == nil:
		return &registry.Contents{} // it refers to nothing
	case len(e.Children) > 0 && len(e.Platforms) != len(e.Children):
		return nil // of a version without platforms, for which layers in an index were children
	}
	return e.Contents
}

// decode reads the output of encode.
func decode(data []byte, into map[string]*registry.Contents, gone map[string]absent, roots *roots) error {
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
		switch {
		case e.Images:
			roots.known = true
		case e.Image != "":
			roots.put(e.Image, e.Digest)
		case e.Subject != "":
			roots.putReferrers(e.Subject, e.Referrers)
		case e.Asked != "":
			roots.putAsked(e.Asked, e.At)
		case e.Key != "" && len(gone) < maxAbsent:
			gone[e.Key] = absent{e.Why, e.At}
		case e.Manifest != "":
			if c := e.contents(); c != nil {
				into[e.Manifest] = c
			}
		}
	}
}

// encode returns gzipped lines of JSON, sorted by digest and key.
func encode(held map[string]*registry.Contents, gone map[string]absent, roots *roots) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	e := json.NewEncoder(z)
	for _, digest := range slices.Sorted(maps.Keys(held)) {
		if err := e.Encode(entry{Manifest: digest, Contents: held[digest]}); err != nil {
			return nil, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(gone)) {
		if err := e.Encode(entry{Key: key, Why: gone[key].Why, At: gone[key].At}); err != nil {
			return nil, err
		}
	}
	if roots.known {
		if err := e.Encode(entry{Images: true}); err != nil {
			return nil, err
		}
	}
	for _, image := range slices.Sorted(maps.Keys(roots.digests)) {
		if err := e.Encode(entry{Image: image, Digest: roots.digests[image]}); err != nil {
			return nil, err
		}
	}
	for _, digest := range slices.Sorted(maps.Keys(roots.referrers)) {
		if err := e.Encode(entry{Subject: digest, Referrers: roots.referrers[digest]}); err != nil {
			return nil, err
		}
	}
	for _, key := range slices.Sorted(maps.Keys(roots.asked)) {
		if err := e.Encode(entry{Asked: key, At: roots.asked[key]}); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return out.Bytes(), err
}

// Load replaces the cache by the saved one of a name, if that exists. After an error nothing
// is changed.
func (m *ManifestCache) Load(ctx context.Context, s State, name string) error {
	data, err := s.Get(ctx, name)
	if err != nil || data == nil {
		return err
	}
	held, gone := map[string]*registry.Contents{}, map[string]absent{}
	var images roots
	if err := decode(data, held, gone, &images); err != nil {
		return fmt.Errorf("reading manifest cache %q: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held, m.absent, m.roots = held, gone, images
	return nil
}

// Save saves the cache under a name, if it has changed.
func (m *ManifestCache) Save(ctx context.Context, s State, name string) error {
	m.saving.Lock()
	defer m.saving.Unlock()
	m.mu.Lock()
	if !m.dirty {
		m.mu.Unlock()
		return nil
	}
	m.dropExpired()
	held, gone, images := maps.Clone(m.held), maps.Clone(m.absent), m.roots.clone()
	m.dirty, m.unsaved = false, nil
	m.mu.Unlock()
	data, err := encode(held, gone, &images)
	if err == nil {
		err = s.Put(ctx, name, data)
	}
	if err != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.dirty = true
		return fmt.Errorf("saving the manifest cache: %w", err)
	}
	return nil
}

// all iterates over the manifests that an image of the source refers to, in a cache of a
// function.
func (m *ManifestCache) all(yield func(digest string, c *registry.Contents) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for digest, c := range m.live() {
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
