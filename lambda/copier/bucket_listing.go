package copier

import (
	"context"
	"math"

	"golang.org/x/sync/errgroup"
)

// bucketListing is what the buckets of a run from a shell have, with sizes. It needs
// about 22 bytes per blob, whatever the number of buckets: 18 of its holdings and 4 of the
// size.
type bucketListing struct {
	holdings
	buckets int
	sizes   []partSizes
}

// partSizes are the sizes of the blobs of a part, by their positions.
type partSizes struct {
	first []uint32 // in one of the buckets, largeSize if it is in large
	large map[int]int64
	other map[placed]int64 // where it is another one
}

// placed is a blob of a part in a bucket.
type placed struct{ blob, bucket int }

const largeSize = math.MaxUint32

func (s *partSizes) of(blob, bucket int) int64 {
	if size, ok := s.other[placed{blob, bucket}]; ok {
		return size
	}
	if size := s.first[blob]; size != largeSize {
		return int64(size)
	}
	return s.large[blob]
}

// listBuckets lists all buckets.
func listBuckets(ctx context.Context, o *Options) (*bucketListing, error) {
	o.Progress(Progress{Phase: "listing buckets", Total: 1})
	buckets, blobs, err := firstPages(ctx, o.Buckets)
	if err != nil {
		return nil, err
	}
	digits := digitsFor(blobs)
	if digits > 0 {
		buckets = o.Buckets
	}
	l := &bucketListing{holdings: holdings{digits: digits, parts: make([]heldPart, 1<<(4*digits))}, buckets: len(o.Buckets)}
	l.sizes = make([]partSizes, len(l.parts))
	done := make(chan struct{}, len(l.parts))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(partsAtOnce)
	for i := range l.parts {
		group.Go(func() error {
			err := l.list(inner, buckets, i)
			done <- struct{}{}
			return err
		})
		o.Progress(Progress{Phase: "listing buckets", Done: len(done), Total: len(l.parts)})
	}
	return l, group.Wait()
}

// firstPages returns the buckets with the first pages of their listings, which are not
// requested again, and about how many blobs the largest one has.
func firstPages(ctx context.Context, buckets []*Bucket) (known []*Bucket, blobs int, err error) {
	known, counts := make([]*Bucket, len(buckets)), make([]int, len(buckets))
	group, inner := errgroup.WithContext(ctx)
	for i, b := range buckets {
		group.Go(func() error {
			var page []blobSize
			last, err := b.page(inner, "", "", func(d Digest, size int64) { page = append(page, blobSize{d, size}) })
			if err != nil {
				return err
			}
			if counts[i] = len(page); len(page) > 0 {
				counts[i] = estimate(len(page), page[len(page)-1].digest, last)
			}
			with := *b
			with.pages = func(digits, after string, yield func(Digest, int64)) (string, error) {
				if after != "" {
					return b.page(ctx, digits, after, yield)
				}
				for _, x := range page {
					yield(x.digest, x.size)
				}
				return last, nil
			}
			known[i] = &with
			return nil
		})
	}
	err = group.Wait()
	for _, n := range counts {
		blobs = max(blobs, n)
	}
	return known, blobs, err
}

type blobSize struct {
	digest Digest
	size   int64
}

// prefix returns the hexadecimal digits that the digests of a part have in common.
func (h *holdings) prefix(i int) string {
	return (&inventory{Digits: h.digits}).prefix(i)
}

// list lists a part.
func (l *bucketListing) list(ctx context.Context, buckets []*Bucket, i int) error {
	first, others := map[Digest]int64{}, map[int][]blobSize{}
	content, err := listSnapshot(ctx, buckets, l.prefix(i), func(bucket int, d Digest, size int64) {
		switch known, ok := first[d]; {
		case !ok:
			first[d] = size
		case known != size:
			others[bucket] = append(others[bucket], blobSize{d, size})
		}
	})
	if err != nil {
		return err
	}
	l.parts[i] = newHeld("", content)
	part, sizes := &l.parts[i], partSizes{first: make([]uint32, len(l.parts[i].masks)), large: map[int]int64{}, other: map[placed]int64{}}
	for d, size := range first {
		at, ok := part.keys.find(d)
		switch {
		case !ok:
		case size >= 0 && size < largeSize:
			sizes.first[at] = uint32(size)
		default:
			sizes.first[at], sizes.large[at] = largeSize, size
		}
	}
	for bucket, all := range others {
		for _, x := range all {
			if at, ok := part.keys.find(x.digest); ok {
				sizes.other[placed{at, bucket}] = x.size
			}
		}
	}
	l.sizes[i] = sizes
	return nil
}

// Has implements Inventory.
func (l *bucketListing) Has(bucket int, d Digest) (int64, bool) {
	part, blob, ok := l.find(d)
	if !ok || l.parts[part].maskAt(blob)&(1<<bucket) == 0 {
		return 0, false
	}
	return l.sizes[part].of(blob, bucket), true
}

// everywhere reports whether all buckets have a blob with a size in bytes.
func (l *bucketListing) everywhere(part, blob int, size int64) bool {
	if l.parts[part].maskAt(blob) != 1<<l.buckets-1 {
		return false
	}
	for bucket := range l.buckets {
		if l.sizes[part].of(blob, bucket) != size {
			return false
		}
	}
	return true
}

// references are the blobs of a bucketListing that manifests refer to, in 4 bytes per blob.
type references struct {
	listing *bucketListing
	// by has for each blob of a part 0, or twice the number, from 1 on, of the first
	// repository with such a manifest, plus 1 if all buckets have the blob with the size in
	// that manifest.
	by           [][]uint32
	repositories []string
	numbers      map[string]uint32
}

func newReferences(l *bucketListing) *references {
	r := &references{listing: l, by: make([][]uint32, len(l.parts)), numbers: map[string]uint32{}}
	for i := range r.by {
		r.by[i] = make([]uint32, len(l.parts[i].masks))
	}
	return r
}

// add records that a manifest of a repository refers to a blob. It reports whether all
// buckets have the blob with the size in the first such manifest, and whether it was
// recorded for the first time.
// The receiver may be nil.
func (r *references) add(d Digest, size int64, repository string) (everywhere, isNew bool) {
	if r == nil {
		return false, false
	}
	part, blob, ok := r.listing.find(d)
	if !ok {
		return false, false
	}
	if r.by[part][blob] == 0 {
		n, known := r.numbers[repository]
		if !known {
			r.repositories = append(r.repositories, repository)
			n = uint32(len(r.repositories))
			r.numbers[repository] = n
		}
		r.by[part][blob], isNew = 2*n, true
		if r.listing.everywhere(part, blob, size) {
			r.by[part][blob]++
		}
	}
	return r.by[part][blob]&1 == 1, isNew
}

// find returns a repository with a manifest that refers to a blob, and the size of the
// blob in the primary. The receiver may be nil.
func (r *references) find(d Digest) (repository string, size int64, ok bool) {
	if r == nil {
		return "", 0, false
	}
	part, blob, ok := r.listing.find(d)
	if !ok || r.by[part][blob] == 0 {
		return "", 0, false
	}
	return r.repositories[r.by[part][blob]/2-1], r.listing.sizes[part].of(blob, 0), true
}

// unreferenced iterates over the parts and positions of the blobs that no manifest refers
// to. The receiver may be nil.
func (r *references) unreferenced(yield func(part, blob int) bool) {
	if r == nil {
		return
	}
	for part, by := range r.by {
		for blob, n := range by {
			if n == 0 && !yield(part, blob) {
				return
			}
		}
	}
}
