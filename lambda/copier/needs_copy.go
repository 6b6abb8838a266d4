package copier

import (
	"context"
	"slices"
	"strings"
)

// needsPrefix is the prefix in the state of the blobs that only archeio mirror
// copy can copy.
const needsPrefix = "needs/"

// NeedsCopy returns the digests of the blobs that were too large or too slow for
// the functions.
func NeedsCopy(ctx context.Context, s State) ([]string, error) {
	names, err := s.Names(ctx, needsPrefix)
	for i, name := range names {
		names[i] = strings.TrimPrefix(name, needsPrefix)
	}
	return names, err
}

// ClearNeedsCopy removes the blobs from that list that the primary now has, that are
// withdrawn, or that no manifest in the caches of the functions refers to any more.
func ClearNeedsCopy(ctx context.Context, s State, primary *Bucket) error {
	needs, err := NeedsCopy(ctx, s)
	if err != nil || len(needs) == 0 {
		return err
	}
	withdrawn, err := LoadWithdrawn(ctx, s)
	if err != nil {
		return err
	}
	var missing, done []string
	for _, digest := range needs {
		existing := (*Object)(nil)
		if !withdrawn[digest] {
			if existing, err = primary.Stat(ctx, digest); err != nil {
				return err
			}
		}
		if withdrawn[digest] || existing != nil {
			done = append(done, digest)
		} else {
			missing = append(missing, digest)
		}
	}
	unnamed, err := unnamedBlobs(ctx, s, missing)
	if err != nil {
		return err
	}
	for _, digest := range append(done, unnamed...) {
		if err := s.Delete(ctx, needsPrefix+digest); err != nil {
			return err
		}
	}
	return nil
}

// unnamedBlobs returns the digests that no manifest refers to in the caches of the
// functions, of the images that the source has; none if there is no cache or one cannot be
// read.
func unnamedBlobs(ctx context.Context, s State, digests []string) ([]string, error) {
	if len(digests) == 0 {
		return nil, nil
	}
	names, err := s.Names(ctx, cachePrefix)
	if err != nil {
		return nil, err
	}
	digests = slices.Clone(digests)
	read := false
	for _, name := range names {
		if _, _, _, ok := parseCacheName(name); !ok {
			continue // of runs from a shell, which has images that were deleted
		}
		var cache ManifestCache
		if cache.Load(ctx, s, name) != nil {
			return nil, context.Cause(ctx) // what it has is unknown
		}
		read = true
		for _, c := range cache.all {
			for _, b := range c.Blobs {
				digests = slices.DeleteFunc(digests, func(digest string) bool { return digest == b.Digest })
			}
		}
		if len(digests) == 0 {
			break
		}
	}
	if !read {
		return nil, nil
	}
	return digests, nil
}
