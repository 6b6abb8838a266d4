package copier

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	// partsAtOnce and bucketsAtOnce limit the listings in memory.
	partsAtOnce, bucketsAtOnce = 6, 4
	deletesAtOnce              = 16
	// saveInterval is the time after which the progress of listing is saved.
	saveInterval = 10 * time.Second
)

// listPart lists the blobs of a bucket whose digests begin with a prefix, with their
// sizes in bytes, in ascending order.
func (b *Bucket) listPart(ctx context.Context, prefix string, yield func(Digest, int64)) error {
	var before Digest
	var wrong error
	first := true
	for after := ""; ; {
		last, err := b.page(ctx, prefix, after, func(d Digest, size int64) {
			if !first && bytes.Compare(before[:], d[:]) >= 0 {
				wrong = fmt.Errorf("bucket %q: listing: %s follows %s: want the lexical order of S3", b.Name, d, before)
			}
			before, first = d, false
			yield(d, size)
		})
		if err = errors.Join(err, wrong); err != nil || last == "" {
			return err
		}
		after = last
	}
}

// listSnapshot lists the blobs of buckets whose digests begin with a prefix. sizes is
// called with the size of each blob in each bucket, by one goroutine at a time; it may be
// nil.
func listSnapshot(ctx context.Context, buckets []*Bucket, prefix string, sizes func(bucket int, d Digest, size int64)) (all snapshot, err error) {
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(bucketsAtOnce)
	for i, b := range buckets {
		group.Go(func() error {
			mu.Lock()
			s := make(snapshot, 0, len(all)) // buckets have much in common
			mu.Unlock()
			err := b.listPart(ctx, prefix, func(d Digest, size int64) {
				s = s.add(d, 1<<i)
				if sizes != nil {
					mu.Lock()
					sizes(i, d, size)
					mu.Unlock()
				}
			})
			mu.Lock()
			defer mu.Unlock()
			all = all.merge(s)
			return err
		})
	}
	return all, group.Wait()
}

// count returns about how many blobs a bucket has, by its first page: digests are
// uniformly distributed.
func (b *Bucket) count(ctx context.Context) (int, error) {
	var n int
	var end Digest
	last, err := b.page(ctx, "", "", func(d Digest, _ int64) { n++; end = d })
	if err != nil || n == 0 {
		return n, err
	}
	return estimate(n, end, last), nil
}

// estimate returns about how many blobs a bucket has of which the first page has n blobs
// up to a digest. last is that of Page.
func estimate(n int, end Digest, last string) int {
	if last == "" {
		return n
	}
	share := float64(binary.BigEndian.Uint64(end[:])) / math.MaxUint64
	return int(float64(n) / max(share, 1e-6))
}

// digits returns the Digits for a number of buckets. They stay as they are unless there
// are four times less blobs than that.
func digits(ctx context.Context, buckets []*Bucket, last *inventory) (int, error) {
	counts := make([]int, len(buckets))
	group, ctx := errgroup.WithContext(ctx)
	for i, b := range buckets {
		group.Go(func() (err error) {
			counts[i], err = b.count(ctx)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	n := slices.Max(counts)
	if last == nil {
		return digitsFor(n), nil
	}
	n = max(n, last.blobs())
	return max(digitsFor(n), min(last.Digits, digitsFor(4*n))), nil
}

// list lists the primary and, in turns, the replicas, part by part. It saves the
// inventory once it is complete.
func (p *planRun) list(ctx context.Context) error {
	if p.job.Inventory == nil {
		if err := p.beginList(ctx); err != nil {
			return err
		}
	}
	// What is not read is not in the parts either, so it must not be deleted.
	found, read, _, err := p.filler.loadFound(ctx, p.job.Found)
	if err != nil {
		return err
	}
	if len(read) < len(p.job.Found) {
		p.job.Obsolete = nil
	}
	p.job.Found = read
	saved := time.Now()
	for p.job.Part < len(p.job.Inventory.Parts) {
		if p.timeUp() {
			return errTimeUp
		}
		end := min(p.job.Part+partsAtOnce, len(p.job.Inventory.Parts))
		group, inner := errgroup.WithContext(ctx) // inner ends with the group
		for i := p.job.Part; i < end; i++ {
			group.Go(func() error { return p.listPart(inner, i, found) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
		p.job.Part = end
		p.step()
		if time.Since(saved) > saveInterval {
			if err := p.save(ctx); err != nil {
				return err
			}
			saved = time.Now()
		}
	}
	return p.saveInventory(ctx)
}

func (p *planRun) beginList(ctx context.Context) error {
	f := p.filler
	last, err := f.loadInventory(ctx)
	if err != nil {
		return err
	}
	n, err := digits(ctx, f.Buckets, last)
	if err != nil {
		return err
	}
	inv := newInventory(f.bucketNames(), n, last)
	inv.Updated = p.job.Began
	due := inv.due(f.now(), last)
	// Before the names of what workers have found, so that these have everything of before.
	obsolete, err := f.relistUndone(ctx, inv, due)
	if err != nil {
		return err
	}
	names, _, err := f.foundNames(ctx)
	if err != nil {
		return err
	}
	if len(names) == f.foundLimits().objects {
		obsolete = nil // there may be more
	}
	p.job.Inventory, p.job.Part, p.job.Due = inv, 0, due
	p.job.Found, p.job.Obsolete = names, obsolete
	return nil
}

// listPart lists a part and writes its piece if it has changed. What workers have found
// counts in buckets that are not listed in this run.
func (p *planRun) listPart(ctx context.Context, i int, found snapshot) error {
	f, inv := p.filler, p.job.Inventory
	part, prefix := inv.Parts[i], inv.prefix(i)
	var content snapshot
	if part.Piece != "" {
		var err error
		content, err = f.piece(ctx, part.Piece)
		if errors.Is(err, errPiece) {
			f.Log.Warn("a piece of the inventory is missing or damaged, listing its part again", "name", part.Piece)
			part.Piece = ""
		} else if err != nil {
			return err
		}
	}
	listed := 1
	if part.Piece == "" || p.job.Due[i] {
		listed = len(f.Buckets)
	}
	started := f.now().UTC()
	now, err := listSnapshot(ctx, f.Buckets[:listed], prefix, nil)
	if err != nil {
		return err
	}
	content = content.merge(found.within(prefix)).without(1<<listed - 1).merge(now)
	name := pieceName(inv.Digits, i, content)
	if name != part.Piece {
		if err := f.State.Put(ctx, name, content); err != nil {
			return err
		}
	}
	part.Piece, part.Blobs, part.Primary = name, content.len(), started
	if listed == len(f.Buckets) {
		part.Replicas = started
	}
	inv.Parts[i] = part
	return nil
}

// saveInventory replaces the last inventory.
func (p *planRun) saveInventory(ctx context.Context) error {
	f, inv := p.filler, p.job.Inventory
	last, err := f.loadInventory(ctx)
	if err != nil {
		return err
	}
	pieces := inv.pieces()
	if last != nil {
		for name := range last.pieces() {
			if !pieces[name] {
				inv.Replaced = append(inv.Replaced, name)
			}
		}
		slices.Sort(inv.Replaced)
		old := slices.DeleteFunc(last.Replaced, func(name string) bool { return pieces[name] || slices.Contains(inv.Replaced, name) })
		p.job.Obsolete = append(p.job.Obsolete, old...)
	}
	if err := f.write(ctx, inventoryName, inv); err != nil {
		return err
	}
	// The job is saved before anything is deleted: continued from an earlier one, it would
	// list parts without what was found.
	p.job.Obsolete, p.job.Found = append(p.job.Obsolete, p.job.Found...), nil
	if err := p.save(ctx); err != nil {
		return err
	}
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(deletesAtOnce)
	for _, name := range p.job.Obsolete {
		group.Go(func() error { return f.State.Delete(inner, name) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	p.job.Listed, p.job.Due, p.job.Obsolete = true, nil, nil
	return nil
}

// writeIndex writes the index of the blobs that all mirrors have into each of
// them, with what workers have found since the listing. An error does not end the run:
// redirectors then fall back to HEAD checks.
func (p *planRun) writeIndex(ctx context.Context) {
	f, inv := p.filler, p.job.Inventory
	routed := f.routed()
	// The buckets are those of the stage, which may have fewer mirrors now.
	o := IndexOptions{Buckets: f.Buckets, Uncovered: f.Filling, AllowFewer: true, Size: inv.blobs(), Warn: func(text string) { f.Log.Warn(text) }}
	n, err := WriteIndex(ctx, f.State, o, inv.listed(), func(yield func(Digest)) error {
		found, err := f.latestFound(ctx)
		if err != nil {
			return err
		}
		for i, part := range inv.Parts {
			s, err := f.piece(ctx, part.Piece)
			if err != nil {
				return err
			}
			for d, mask := range s.merge(found.within(inv.prefix(i))).all {
				if mask&routed == routed {
					yield(d)
				}
			}
		}
		return nil
	})
	if err != nil {
		f.Log.Error("writing the blob index failed", "error", err.Error())
		return
	}
	f.Log.Info("blob index written", "blobs", n, "listed", inv.listed())
}
