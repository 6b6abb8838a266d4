package copier

import (
	"fmt"
	"sync"

	"archeio/lambda/registry"
)

// finder finds where the source of a plan has a blob. It holds the part of the last blob
// that was found in a temporary file. It is safe for concurrent use.
type finder struct {
	plan *Plan

	mu    sync.Mutex
	part  int
	blobs map[Digest]MissingBlob // of the part, nil for none
}

// find returns where the source has a blob, false if it does not have it. The Image is not
// set if all buckets have the blob. The error is of the temporary file.
func (f *finder) find(d Digest) (m MissingBlob, ok bool, err error) {
	blobs, err := f.load(int(d[0]))
	if err != nil {
		return m, false, err
	}
	if m, ok = blobs[d]; ok {
		return m, true, nil
	}
	repository, size, ok := f.plan.references.find(d)
	return MissingBlob{Blob: registry.Blob{Digest: d.String(), Size: size}, Repository: repository}, ok, nil
}

// load returns the blobs of a part of the partition.
func (f *finder) load(part int) (map[Digest]MissingBlob, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.blobs != nil && f.part == part {
		return f.blobs, nil
	}
	f.blobs = nil // before the next one is read
	blobs, err := f.plan.partition.blobs(part)
	if err != nil {
		return nil, fmt.Errorf("reading a temporary file: %w", err)
	}
	f.part, f.blobs = part, blobs
	return blobs, nil
}
