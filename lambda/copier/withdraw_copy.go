package copier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/metrics"
)

var (
	// ErrWithdrawn is the error for a blob that was withdrawn before or while it was
	// copied. It is in none of the buckets that it was copied to.
	ErrWithdrawn = errors.New("the blob is withdrawn")

	// errStillThere is the error for a withdrawn blob that could not be deleted again.
	errStillThere = errors.New("the blob is withdrawn, and deleting it failed")
)

// unlessWithdrawn writes a blob to a bucket, unless it is withdrawn. It checks the list
// again after the write, and deletes the blob if it was withdrawn since. A nil State
// has no withdrawn blobs.
func unlessWithdrawn(ctx context.Context, s State, b *Bucket, digest string, write func() error) error {
	errs := make([]error, 1)
	unlessWithdrawnAll(ctx, s, []*Bucket{b}, digest, errs, func() { errs[0] = write() })
	return errs[0]
}

// unlessWithdrawnAll is unlessWithdrawn for several buckets, with one look at the list before
// all writes and one after the last. errs has the error of each bucket.
func unlessWithdrawnAll(ctx context.Context, s State, buckets []*Bucket, digest string, errs []error, write func()) {
	if s == nil {
		write()
		return
	}
	if w, err := FindWithdrawal(ctx, s, digest); err != nil || w != nil {
		for i := range errs {
			errs[i] = or(err, ErrWithdrawn)
		}
		return
	}
	write()
	// After an error too, as the blob may be there although the response was lost.
	ctx = context.WithoutCancel(ctx)
	w, err := FindWithdrawal(ctx, s, digest)
	for i, b := range buckets {
		errs[i] = unlessWithdrawnSince(ctx, s, w, err, b, digest, errs[i])
	}
}

// unlessWithdrawnSince returns the error of a write, after which a withdrawal was looked for,
// and deletes the blob if there is one.
func unlessWithdrawnSince(ctx context.Context, s State, w *Withdrawal, err error, b *Bucket, digest string, failed error) error {
	switch {
	case w == nil && (failed == nil || errors.Is(failed, ErrExists)):
		return or(err, failed)
	case w == nil:
		return failed
	case errors.Is(failed, ErrExists) && w.RemoveAfter.After(time.Now()):
		return ErrWithdrawn // it was there before the withdrawal
	}
	if _, err := b.Remove(ctx, digest); err != nil {
		return fmt.Errorf("%w: %w", errStillThere, err)
	}
	return or(removalEnded(ctx, s, []*Bucket{b}, digest), ErrWithdrawn)
}

// Leftover is a withdrawn blob that was found in a bucket.
type Leftover struct {
	Digest string
	// Bucket is the position of the bucket.
	Bucket int
	// Versions is the number of versions that were deleted.
	Versions int
	// Err is the reason why the bucket may still have it.
	Err error
}

// leftovers returns the withdrawn blobs that buckets have according to an inventory.
func (w Withdrawn) leftovers(buckets int, inventory Inventory) (found []Leftover) {
	for digest := range w {
		d, ok := ParseDigest(digest)
		for i := 0; ok && i < buckets; i++ {
			if _, has := inventory.Has(i, d); has {
				found = append(found, Leftover{Digest: digest, Bucket: i})
			}
		}
	}
	return found
}

// RemoveWithdrawn deletes withdrawn blobs that were found in buckets, and those that
// were withdrawn within the last 48 hours from all buckets. It returns what there was
// to delete.
func RemoveWithdrawn(ctx context.Context, s State, buckets []*Bucket, found []Leftover, now time.Time) ([]Leftover, error) {
	if s == nil {
		return nil, nil
	}
	places := map[string][]int{}
	for _, x := range found {
		places[x.Digest] = append(places[x.Digest], x.Bucket)
	}
	recent, err := recentlyWithdrawn(ctx, s)
	if err != nil {
		return nil, err
	}
	for digest := range recent {
		places[digest] = nil
		for i := range buckets {
			places[digest] = append(places[digest], i)
		}
	}
	var removed []Leftover
	for digest, at := range places {
		w, err := FindWithdrawal(ctx, s, digest)
		if err != nil {
			return removed, err
		}
		if w != nil && w.RemoveAfter.After(now) {
			continue
		}
		clean, before := true, len(removed)
		if w != nil { // else it was undone since
			for _, i := range at {
				versions, err := buckets[i].Remove(ctx, digest)
				clean = clean && err == nil
				if versions > 0 || err != nil {
					removed = append(removed, Leftover{digest, i, versions, err})
				}
			}
		}
		if len(removed) > before {
			if err := removalEnded(ctx, s, buckets, digest); err != nil {
				return removed, err
			}
		}
		if !recent[digest] || !clean {
			continue
		}
		if w == nil {
			// Another withdrawal may just have begun: it records this first.
			if w, err = recheckOf(ctx, s, digest); err != nil {
				return removed, err
			}
		}
		if now.Sub(later(w.Since, w.RemoveAfter)) > recheckFor {
			if err := s.Delete(ctx, recheckPrefix+digest); err != nil {
				return removed, err
			}
		}
	}
	if err := dropUndone(ctx, s, now); err != nil {
		return removed, err
	}
	return removed, context.Cause(ctx)
}

// recheckOf returns the withdrawal that has recorded that a digest is checked again, the
// zero value if that is damaged.
func recheckOf(ctx context.Context, s State, digest string) (*Withdrawal, error) {
	data, err := s.Get(ctx, recheckPrefix+digest)
	if err != nil {
		return nil, err
	}
	var w Withdrawal
	if json.Unmarshal(data, &w) != nil {
		w = Withdrawal{}
	}
	return &w, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// leftovers returns the withdrawn blobs that buckets have according to the inventory. It
// reads the parts of these blobs only, and a few at a time: the planner has no memory for
// the holdings.
func (f *Filler) leftovers(ctx context.Context, withdrawn Withdrawn) (all []Leftover, err error) {
	err = f.withInventory(ctx, func(inv *inventory) error {
		parts := make([][]Digest, len(inv.Parts))
		for digest := range withdrawn {
			if d, ok := ParseDigest(digest); ok {
				i := partOf(d, inv.Digits)
				parts[i] = append(parts[i], d)
			}
		}
		found := make([][]Leftover, len(parts))
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(partsAtOnce)
		for i, digests := range parts {
			if len(digests) == 0 {
				continue
			}
			group.Go(func() error {
				s, err := f.piece(ctx, inv.Parts[i].Piece)
				if err != nil {
					return fmt.Errorf("reading the inventory: %w", err)
				}
				for _, d := range digests {
					for mask := s.mask(d); mask != 0; mask &= mask - 1 {
						found[i] = append(found[i], Leftover{Digest: d.String(), Bucket: bits.TrailingZeros64(mask)})
					}
				}
				return nil
			})
		}
		err := group.Wait()
		all = slices.Concat(found...)
		return err
	})
	return all, err
}

// removeWithdrawn deletes what is withdrawn and still in a bucket, and logs it. A
// failure is counted and does not stop the run: the next one tries again.
func (p *planRun) removeWithdrawn(ctx context.Context) {
	f := p.filler
	var found, removed []Leftover
	withdrawn, err := LoadWithdrawn(ctx, f.State)
	if err == nil && len(withdrawn) > 0 {
		found, err = f.leftovers(ctx, withdrawn)
	}
	if err == nil {
		removed, err = RemoveWithdrawn(ctx, f.State, f.Buckets, found, f.now())
	}
	stay := 0
	for _, x := range removed {
		if x.Err != nil {
			stay++
			f.Log.Error("a withdrawn blob may still be in a mirror", "mirror", f.Regions[x.Bucket], "digest", x.Digest, "error", x.Err.Error())
		} else {
			f.Log.Warn("a withdrawn blob was still in a mirror, removed it", "mirror", f.Regions[x.Bucket], "digest", x.Digest, "versions", x.Versions)
		}
	}
	if stay > 0 {
		f.count("", "", metrics.Datum{Name: metrics.WithdrawnBlobs, Unit: "Count", Value: stay})
	}
	if err != nil {
		f.Log.Error("checking the withdrawn blobs failed", "error", err.Error())
	}
}
