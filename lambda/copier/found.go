package copier

import (
	"bytes"
	"context"
	"maps"
	"slices"
	"sync"
)

const (
	// foundPrefix is the prefix in the state of what workers have found in replicas
	// that were not listed since.
	foundPrefix = "found/"
	// maxFound limits how many of these are added to the inventory in one run, to bound
	// memory; the others are added in the next one.
	maxFound = 2000
)

// found are blobs that were found in replicas or copied there. The primary is listed in
// every run. The zero value is empty. It is safe for concurrent use.
type found struct {
	mu    sync.Mutex
	masks map[Digest]uint64
}

func (x *found) add(bucket int, digest string) {
	d, ok := ParseDigest(digest)
	if bucket == 0 || !ok {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.masks == nil {
		x.masks = map[Digest]uint64{}
	}
	x.masks[d] |= 1 << bucket
}

// save writes what was found since the last call.
func (x *found) save(ctx context.Context, s State, buckets []string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.masks) == 0 {
		return nil
	}
	var content snapshot
	for _, d := range slices.SortedFunc(maps.Keys(x.masks), func(a, b Digest) int { return bytes.Compare(a[:], b[:]) }) {
		content = content.add(d, x.masks[d])
	}
	if err := s.Put(ctx, foundPrefix+bucketsHash(buckets)+"/"+hashOf(content), content); err != nil {
		return err
	}
	x.masks = nil
	return nil
}

// bucketsHash returns a hash of a list of buckets, because masks are of positions in it.
func bucketsHash(buckets []string) string {
	var text []byte
	for _, name := range buckets {
		text = append(append(text, name...), '\n')
	}
	return hashOf(text)[:8]
}

// loadFound reads what workers have found with the buckets of this Filler.
func (f *Filler) loadFound(ctx context.Context, names []string) (all snapshot, err error) {
	own := foundPrefix + bucketsHash(f.bucketNames()) + "/"
	parts := make([]snapshot, 0, len(names))
	for _, name := range names {
		if len(name) < len(own)+pieceHash || name[:len(own)] != own {
			continue
		}
		switch s, err := f.piece(ctx, name); {
		case err == errPiece: // another run was first
		case err != nil:
			return nil, err
		default:
			parts = append(parts, s)
		}
	}
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
		all = parts[0]
	}
	return all, nil
}
