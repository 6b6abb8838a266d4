package copier

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/registry"
)

// compare adds to the plan the blobs that are missing from the buckets, and those
// of another size than at the source.
func (w *walk) compare(ctx context.Context) {
	p := w.plan
	p.Blobs = p.everywhere + len(p.blobs)
	p.Missing = make([][]MissingBlob, len(w.o.Buckets))
	var doubts []doubt
	for key, blob := range p.blobs {
		p.Bytes += max(blob.Size, 0)
		if _, withdrawn := w.o.Withdrawn[blob.Digest]; withdrawn {
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
	for _, missing := range p.Missing {
		// Small blobs first, so that most images are complete early.
		slices.SortFunc(missing, func(a, b MissingBlob) int {
			return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Digest, b.Digest))
		})
	}
	sortErrors(p.Absent)
	sortErrors(p.Errors)
	slices.Sort(p.Warnings)
}

// missing adds a blob to those that are missing. It reports false if the source does
// not have it either.
func (w *walk) missing(key Digest, blob MissingBlob) bool {
	fresh := true
	if blob.Data == nil {
		blob.Absent, fresh = w.o.absentBlob(blob)
	}
	if blob.Absent {
		w.plan.Absent = append(w.plan.Absent, &ItemError{blob.Repository, blob.Image, blob.Digest,
			fmt.Errorf("%s: %s: blob %s: %w", w.o.Source.Host(), blob.Image, blob.Digest, registry.ErrAbsent)})
		w.known++
		if fresh {
			return false
		}
	}
	for i := range w.o.Buckets {
		if _, ok := w.o.Inventory.Has(i, key); !ok {
			w.plan.Missing[i] = append(w.plan.Missing[i], blob)
		}
	}
	return !blob.Absent
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
		w.plan.Warnings = append(w.plan.Warnings, wrongSize(blob, d.size))
	default:
		w.fail(blob.Repository, blob.Image, blob.Digest, fmt.Errorf("bucket %q: %s has %d bytes, but %d in the manifest of %s: run archeio mirror verify", b.Name, blob.Digest, d.size, blob.Size, blob.Image))
	}
}

// wrongSize is the warning for a blob that is right although its manifest has another
// size.
func wrongSize(blob MissingBlob, size int64) string {
	return fmt.Sprintf("%s: blob %s has %d bytes, but %d in the manifest; its digest is right, so it is mirrored", blob.Image, blob.Digest, size, blob.Size)
}
