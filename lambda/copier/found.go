package copier

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

const (
	// foundPrefix is the prefix in the state of what workers have found in buckets that
	// were not listed since.
	foundPrefix = "found/"
	// foundAtOnce is how many of these are read in parallel.
	foundAtOnce = 16
)

// foundLimits bound the memory and the time for what workers have found. The rest is
// added to the inventory in a later run.
type foundLimits struct {
	objects int // that are read
	batch   int // objects in memory before they are merged
	size    int // bytes of the merged content from which no further batch is read
}

// defaultFoundLimits are enough for an hour of a first fill: workers save an object for
// each chunk of images.
var defaultFoundLimits = foundLimits{objects: 20_000, batch: 250, size: 64 << 20}

// found are blobs that were found in buckets or copied there. The zero value is empty. It
// is safe for concurrent use.
type found struct {
	mu    sync.Mutex
	masks map[Digest]uint64
}

func (x *found) add(bucket int, digest string) {
	d, ok := ParseDigest(digest)
	if !ok {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.masks == nil {
		x.masks = map[Digest]uint64{}
	}
	x.masks[d] |= 1 << bucket
}

// save writes what was found since the last call. It returns the mask of the buckets, 0
// if the same was saved before.
func (x *found) save(ctx context.Context, s State, buckets []string) (mask uint64, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.masks) == 0 {
		return 0, nil
	}
	var content snapshot
	for _, d := range slices.SortedFunc(maps.Keys(x.masks), func(a, b Digest) int { return bytes.Compare(a[:], b[:]) }) {
		content = content.add(d, x.masks[d])
		mask |= x.masks[d]
	}
	created, err := s.Create(ctx, foundPrefix+bucketsHash(buckets)+"/"+hashOf(content), content)
	if err != nil {
		return 0, err
	}
	x.masks = nil
	if !created {
		mask = 0
	}
	return mask, nil
}

// bucketsHash returns a hash of a list of buckets, because masks are of positions in it.
func bucketsHash(buckets []string) string {
	var text []byte
	for _, name := range buckets {
		text = append(append(text, name...), '\n')
	}
	return hashOf(text)[:8]
}

// foundNames returns the names of what workers have found, within the limit, and whether
// they have requested an update of the index.
func (f *Filler) foundNames(ctx context.Context) (names []string, requested bool, err error) {
	if names, err = f.State.Names(ctx, foundPrefix); err != nil {
		return nil, false, err
	}
	all := len(names)
	names = slices.DeleteFunc(names, func(name string) bool { return name == indexUpdateName })
	return names[:min(len(names), f.foundLimits().objects)], len(names) < all, nil
}

// latestFound returns what workers have found since the last listing, for an index that
// makes a requested update unnecessary.
func (f *Filler) latestFound(ctx context.Context) (snapshot, error) {
	names, requested, err := f.foundNames(ctx)
	if err == nil && requested {
		if err = f.State.Delete(ctx, indexUpdateName); err == nil {
			names, _, err = f.foundNames(ctx)
		}
	}
	if err != nil {
		return nil, err
	}
	content, _, _, err := f.loadFound(ctx, names)
	return content, err
}

func (f *Filler) foundLimits() foundLimits {
	if f.limits == (foundLimits{}) {
		return defaultFoundLimits
	}
	return f.limits
}

// loadFound reads what workers have found with the buckets of this Filler, in batches
// until the content is large. read are the names up to there, with those of other
// buckets. all reports whether everything was there that has these names.
func (f *Filler) loadFound(ctx context.Context, names []string) (content snapshot, read []string, all bool, err error) {
	limits := f.foundLimits()
	all = true
	for batch := range slices.Chunk(names, limits.batch) {
		if len(content) >= limits.size {
			break
		}
		s, whole, err := f.loadBatch(ctx, batch)
		if err != nil {
			return nil, nil, false, err
		}
		content, read, all = content.merge(s), append(read, batch...), all && whole
	}
	return content, read, all, nil
}

func (f *Filler) loadBatch(ctx context.Context, names []string) (content snapshot, all bool, err error) {
	own := foundPrefix + bucketsHash(f.bucketNames()) + "/"
	names = slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return len(name) != len(own)+pieceHash || name[:len(own)] != own
	})
	parts := make([]snapshot, len(names))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(foundAtOnce)
	for i, name := range names {
		group.Go(func() (err error) {
			if parts[i], err = f.piece(inner, name); err == errPiece { // another run was first
				return nil
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, false, err
	}
	read := len(parts)
	parts = slices.DeleteFunc(parts, func(s snapshot) bool { return s == nil })
	all = len(parts) == read
	for len(parts) > 1 { // in pairs, as merging costs the sum of both
		for i := range len(parts) / 2 {
			parts[i] = parts[2*i].merge(parts[2*i+1])
		}
		if n := len(parts); n%2 == 1 {
			parts[n/2] = parts[n-1]
		}
		parts = parts[:(len(parts)+1)/2]
	}
	if len(parts) == 1 {
		content = parts[0]
	}
	return content, all, nil
}
