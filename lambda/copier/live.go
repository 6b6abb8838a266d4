package copier

import (
	"maps"
	"slices"
	"strings"
	"time"

	"archeio/lambda/registry"
)

// roots are what a manifest cache knows of the images that the source lists, so that
// manifests of deleted images do not count. The zero value knows nothing. A run from a
// shell, which reads all images, has none.
type roots struct {
	// known reports that the listing of a repository was compared.
	known bool
	// digests are the manifests of images: REPOSITORY:TAG or REPOSITORY@DIGEST.
	digests map[string]string
	// referrers are those of a manifest when the source was last asked, and what it
	// returned for a digest that is that of another manifest.
	referrers map[string][]string
	// asked is when the source was last asked for those of REPOSITORY@DIGEST.
	asked map[string]time.Time
}

func (r *roots) clone() roots {
	return roots{r.known, maps.Clone(r.digests), maps.Clone(r.referrers), maps.Clone(r.asked)}
}

// Referrers returns the known referrers of a manifest, and when the source was asked for
// them; key is REPOSITORY@DIGEST.
func (m *ManifestCache) Referrers(key, digest string) (referrers []string, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.roots.referrers[digest], m.roots.asked[key]
}

// PutAsked records when the source was asked for the referrers of REPOSITORY@DIGEST.
func (m *ManifestCache) PutAsked(key string, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.roots.putAsked(key, now.UTC().Truncate(time.Second))
	m.dirty = true
}

func (r *roots) putAsked(key string, at time.Time) {
	if r.asked == nil {
		r.asked = map[string]time.Time{}
	}
	r.asked[key] = at
}

// PutRoot records the manifest of an image, REPOSITORY:TAG or REPOSITORY@DIGEST; empty
// if the source does not have it.
func (m *ManifestCache) PutRoot(image, digest string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.roots.digests[image] == digest || m.file != nil {
		return
	}
	m.dirty = true
	if digest == "" {
		delete(m.roots.digests, image)
		return
	}
	m.roots.put(image, digest)
}

func (r *roots) put(image, digest string) {
	if r.digests == nil {
		r.digests = map[string]string{}
	}
	r.known = true
	r.digests[image] = digest
}

// PutReferrers records the referrers of a manifest.
func (m *ManifestCache) PutReferrers(digest string, referrers []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slices.Equal(m.roots.referrers[digest], referrers) || m.file != nil {
		return
	}
	m.dirty = true
	if len(referrers) == 0 {
		delete(m.roots.referrers, digest)
		return
	}
	m.roots.putReferrers(digest, referrers)
}

func (r *roots) putReferrers(digest string, referrers []string) {
	if r.referrers == nil {
		r.referrers = map[string][]string{}
	}
	r.referrers[digest] = referrers
}

// KeepRoots drops the images of a repository that are not in its complete listing.
func (m *ManifestCache) KeepRoots(repository string, entries []registry.Entry) {
	if m.file != nil {
		return
	}
	listed := make(map[string]bool, len(entries))
	for _, e := range entries {
		listed[repository+e.String()] = true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.roots.known {
		m.roots.known, m.dirty = true, true
	}
	for image := range m.roots.digests {
		rest, of := strings.CutPrefix(image, repository)
		if of && rest != "" && strings.ContainsRune(":@", rune(rest[0])) && !listed[image] {
			delete(m.roots.digests, image)
			m.dirty = true
		}
	}
}

// live returns the cached manifests that an image of the source refers to, or all if
// its listings were never compared. The caller holds the lock.
func (m *ManifestCache) live() map[string]*registry.Contents {
	if !m.roots.known {
		return m.held
	}
	found := map[string]*registry.Contents{}
	seen := map[string]bool{}
	queue := slices.Collect(maps.Values(m.roots.digests))
	for len(queue) > 0 {
		digest := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if seen[digest] {
			continue
		}
		seen[digest] = true
		if c := m.held[digest]; c != nil {
			found[digest] = c
			queue = append(queue, c.Children...)
		}
		queue = append(queue, m.roots.referrers[digest]...)
	}
	return found
}
