package copier

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/registry"
)

// compare adds to the plan the blobs that are missing from the buckets, and those
// of another size than at the source.
func (w *walk) compare(ctx context.Context) error {
	p := w.plan
	compared := w.o
	compared.early = nil // its memory is free after the copy
	p.compared = &compared
	p.Blobs = p.everywhere
	p.Unmirrored = make([]Blobs, len(w.o.Buckets))
	if p.partition == nil {
		p.Missing = make([][]MissingBlob, len(w.o.Buckets))
	}
	err := p.groups(func(blobs map[Digest]MissingBlob) error {
		w.compareGroup(ctx, blobs)
		return context.Cause(ctx)
	})
	for _, missing := range p.Missing {
		slices.SortFunc(missing, bySize)
	}
	sortErrors(p.Absent)
	sortErrors(p.Errors)
	slices.Sort(p.Warnings)
	return err
}

// bySize orders small blobs first, so that most images are complete early.
func bySize(a, b MissingBlob) int {
	return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Digest, b.Digest))
}

// groups calls yield with all blobs of the source but those that all buckets have, in
// groups if there may be too many for the memory.
func (p *Plan) groups(yield func(blobs map[Digest]MissingBlob) error) error {
	if p.partition == nil {
		return yield(p.blobs)
	}
	return p.partition.groups(yield)
}

func (w *walk) compareGroup(ctx context.Context, blobs map[Digest]MissingBlob) {
	p := w.plan
	p.Blobs += len(blobs)
	var doubts []doubt
	for key, blob := range blobs {
		p.Bytes += max(blob.Size, 0)
		if w.o.withdrawn(blob.Digest) {
			p.Withdrawn++
			continue
		}
		missing := false
		for i := range w.o.Buckets {
			size, ok := w.o.Inventory.Has(i, key)
			switch {
			case !ok:
				missing = true
			case blob.Size != registry.SizeUnknown && size != registry.SizeUnknown && size != blob.Size:
				doubts = append(doubts, doubt{i, size, blob})
			}
		}
		if missing && !w.missing(key, blob) {
			p.Blobs--
		}
	}
	w.settle(ctx, doubts)
}

// missing adds a blob to those that are missing. It reports false if the source does
// not have it either.
func (w *walk) missing(key Digest, blob MissingBlob) bool {
	fresh := true
	if blob.Data == nil {
		blob.Absent, fresh = w.o.absentBlob(blob)
	}
	if blob.Absent {
		list(&w.plan.Absent, &w.plan.Unlisted.Absent, error(&ItemError{blob.Repository, blob.Image, blob.Digest,
			fmt.Errorf("%s: %s: blob %s: %w", w.o.Source.Host(), blob.Image, blob.Digest, registry.ErrAbsent)}))
		w.known++
		if fresh {
			return false
		}
	}
	for _, i := range w.o.missingFrom(key) {
		w.plan.missing.add(max(blob.Size, 0))
		if w.plan.Missing != nil {
			w.plan.Missing[i] = append(w.plan.Missing[i], blob)
		}
		if !blob.Absent {
			w.plan.Unmirrored[i].add(max(blob.Size, 0))
		}
	}
	return !blob.Absent
}

// missingFrom returns the positions of the buckets that do not have a blob.
func (o *Options) missingFrom(d Digest) (buckets []int) {
	for i := range o.Buckets {
		if _, ok := o.Inventory.Has(i, d); !ok {
			buckets = append(buckets, i)
		}
	}
	return buckets
}

// EachMissing calls yield once with each blob that a bucket is missing although the source
// has it, and with the positions of these buckets, in the order of the digests. It returns
// the error of yield, or of a temporary file.
func (p *Plan) EachMissing(yield func(blob MissingBlob, buckets []int) error) error {
	return p.groups(func(blobs map[Digest]MissingBlob) error {
		for _, key := range slices.SortedFunc(maps.Keys(blobs), func(a, b Digest) int { return bytes.Compare(a[:], b[:]) }) {
			blob, buckets := blobs[key], p.compared.missingFrom(key)
			if len(buckets) == 0 || p.compared.withdrawn(blob.Digest) {
				continue
			}
			if absent, _ := p.compared.absentBlob(blob); absent && blob.Data == nil {
				continue
			}
			if err := yield(blob, buckets); err != nil {
				return err
			}
		}
		return nil
	})
}

// toCopy calls yield with what may be copied, in groups if there may be too much for the
// memory: missing returns the blobs of a bucket, small ones first.
func (p *Plan) toCopy(yield func(missing func(bucket int) iter.Seq[MissingBlob]) error) error {
	if p.partition == nil {
		return yield(func(bucket int) iter.Seq[MissingBlob] { return slices.Values(p.Missing[bucket]) })
	}
	o := p.compared
	return p.partition.groups(func(blobs map[Digest]MissingBlob) error {
		var all []MissingBlob
		for key, blob := range blobs {
			fresh := true
			if blob.Data == nil {
				blob.Absent, fresh = o.absentBlob(blob)
			}
			if !(blob.Absent && fresh) && !o.withdrawn(blob.Digest) && len(o.missingFrom(key)) > 0 {
				all = append(all, blob)
			}
		}
		clear(blobs) // all has them
		slices.SortFunc(all, bySize)
		return yield(func(bucket int) iter.Seq[MissingBlob] {
			return func(yield func(MissingBlob) bool) {
				for _, blob := range all {
					key, _ := ParseDigest(blob.Digest)
					if _, has := o.Inventory.Has(bucket, key); !has && !yield(blob) {
						return
					}
				}
			}
		})
	})
}

// absentBlob reports whether no repository had a blob when it was last asked, and
// whether that was within AbsentFor.
func (o *Options) absentBlob(blob MissingBlob) (absent, fresh bool) {
	fresh = true
	for _, repository := range append([]string{blob.Repository}, blob.Others...) {
		_, at, known := o.Manifests.Absent(repository + "@" + blob.Digest)
		if !known {
			return false, false
		}
		fresh = fresh && o.Now().Sub(at) < o.AbsentFor
	}
	return true, fresh
}

func (o *Options) withdrawn(digest string) bool {
	_, is := o.Withdrawn[digest]
	return is
}

// doubt is a blob that has another size in a bucket than in a manifest.
type doubt struct {
	bucket int
	size   int64 // in the bucket
	blob   MissingBlob
}

// settle finds out whether blobs of another size are right in the bucket, because the
// sizes in manifests are only hints.
func (w *walk) settle(ctx context.Context, doubts []doubt) {
	group := &errgroup.Group{}
	group.SetLimit(w.o.Parallel)
	for _, d := range doubts {
		group.Go(func() error {
			if ctx.Err() == nil {
				w.settleOne(ctx, d)
			}
			return nil
		})
	}
	_ = group.Wait() // errors are in the plan
}

func (w *walk) settleOne(ctx context.Context, d doubt) {
	b, blob := w.o.Buckets[d.bucket], d.blob
	o, err := b.Stat(ctx, blob.Digest)
	right := o != nil && o.ChecksumVerified
	if err == nil && !right {
		// S3 has no checksum of a large object.
		content, size, failed := openBlob(ctx, w.o.Source, blob, 0)
		if failed == nil {
			content.Close()
		}
		right, err = failed == nil && size == d.size, failed
		if absence(err) {
			err = nil
		}
	}
	switch {
	case err != nil:
		w.fail(blob.Repository, blob.Image, blob.Digest, err)
	case right:
		w.mu.Lock()
		defer w.mu.Unlock()
		list(&w.plan.Warnings, &w.plan.Unlisted.Warnings, wrongSize(blob, d.size))
	default:
		w.fail(blob.Repository, blob.Image, blob.Digest, fmt.Errorf("bucket %q: %s has %d bytes, but %d in the manifest of %s: run archeio mirror verify", b.Name, blob.Digest, d.size, blob.Size, blob.Image))
	}
}

// wrongSize is the warning for a blob that is right although its manifest has another
// size.
func wrongSize(blob MissingBlob, size int64) string {
	return fmt.Sprintf("%s: blob %s has %d bytes, but %d in the manifest; its digest is right, so it is mirrored", blob.Image, blob.Digest, size, blob.Size)
}
