package copier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// takeOut removes what is due from the index of every bucket, once for all digits. It was
// recorded before, so that no index that is written at the same time has it. After an
// error, the next run tries again.
func (p *prune) takeOut(ctx context.Context) error {
	if p.taking.Count == 0 {
		return nil
	}
	gone, err := beingPruned(ctx, p.o.State, p.now)
	if err != nil {
		return err
	}
	progress := Progress{Phase: "taking blobs out of the index", Total: len(p.o.Buckets)}
	for _, b := range p.o.Buckets {
		p.o.Progress(progress)
		if err := b.takeOut(ctx, gone.entries); err != nil {
			p.result.Errors = append(p.result.Errors, err)
		}
		progress.Done++
	}
	p.o.Progress(progress)
	if len(p.result.Errors) > 0 {
		return nil
	}
	out := p.o.Now().UTC().Truncate(time.Second).Add(time.Second) // rounded up
	for digit, n := range p.taken {
		if n == 0 {
			continue
		}
		err := p.update(ctx, digit, func(e pruneEntry) pruneEntry {
			if e.out == 0 && e.until == p.until {
				e.out = out.Unix()
			}
			return e
		})
		if err != nil {
			return err
		}
	}
	w := &p.result.Waiting
	w.Count, w.Bytes = w.Count+p.taking.Count, w.Bytes+p.taking.Bytes
	p.result.Until = later(p.result.Until, out.Add(p.o.IndexFor))
	return nil
}

// update changes entries of the piece of a digit.
func (p *prune) update(ctx context.Context, digit int, change func(pruneEntry) pruneEntry) error {
	before, err := loadPruneRecord(ctx, p.o.State, digit)
	if err != nil {
		return err
	}
	if before == nil {
		return errors.New(damagedPruneRecord(digit) + ": run prune again")
	}
	next := make(pruneRecord, 0, len(before)+pieceHash)
	next = append(next, before[:pruneHeader]...)
	for e := range before.all {
		next = next.add(change(e))
	}
	return next.save(ctx, p.o.State, digit, before)
}

const (
	// maxPruneErrors is the number of errors after which no more blobs are deleted.
	maxPruneErrors = 100
	// pruneBatch is the number of blobs that are read from the file at once.
	pruneBatch = 1024
)

// removal deletes the doomed blobs. It is safe for concurrent use.
type removal struct {
	*prune
	mu       sync.Mutex
	progress Progress
	untried  int
	errs     []error
}

// remove deletes blobs from the buckets that have them, and records that.
func (p *prune) remove(ctx context.Context) {
	r := &removal{prune: p, progress: Progress{Phase: "deleting blobs"}}
	for _, n := range p.removes {
		r.progress.Total += n
	}
	if r.progress.Total == 0 {
		return
	}
	p.o.Progress(r.progress)
	offset := int64(0)
	for digit, n := range p.removes {
		if n == 0 {
			continue
		}
		deleted, err := r.digit(ctx, offset, n)
		offset += int64(n * placedSize)
		if err != nil {
			r.errs = append(r.errs, fmt.Errorf("reading a temporary file: %w", err))
		}
		if len(deleted) == 0 {
			continue
		}
		until := p.deletedUntil()
		err = p.update(context.WithoutCancel(ctx), digit, func(e pruneEntry) pruneEntry {
			for len(deleted) > 0 && bytes.Compare(deleted[0][:], e.digest[:]) < 0 {
				deleted = deleted[1:] // another run has dropped it
			}
			if len(deleted) > 0 && e.digest == deleted[0] {
				return pruneEntry{digest: e.digest, until: until}
			}
			return e
		})
		if err != nil {
			r.errs = append(r.errs, err)
		}
	}
	if r.untried > 0 && ctx.Err() == nil {
		why := fmt.Sprintf("after %d errors", len(r.errs))
		if len(r.errs) < maxPruneErrors {
			why = fmt.Sprintf("%s after the start of the run", maxPruneTime)
		}
		r.errs = append(r.errs, fmt.Errorf("deleting stopped %s: %d blobs are left: run prune again", why, r.untried))
	}
	p.result.Errors = append(p.result.Errors, r.errs...)
}

// digit deletes a number of blobs, which are at an offset of the file, and returns those
// that no bucket has any more, in ascending order.
func (r *removal) digit(ctx context.Context, offset int64, n int) (deleted []Digest, err error) {
	data := make([]byte, pruneBatch*placedSize)
	for n > 0 {
		batch := data[:min(n, pruneBatch)*placedSize]
		if err := r.doomed.read(offset, batch); err != nil {
			return deleted, err
		}
		offset, n = offset+int64(len(batch)), n-len(batch)/placedSize
		clean := make([]bool, len(batch)/placedSize)
		group := &errgroup.Group{}
		group.SetLimit(r.o.Parallel)
		for i := range clean {
			group.Go(func() error {
				clean[i] = r.one(ctx, decodePlaced(batch[i*placedSize:]))
				return nil
			})
		}
		_ = group.Wait() // errors are in the result
		for i, is := range clean {
			if is {
				deleted = append(deleted, decodePlaced(batch[i*placedSize:]).digest)
			}
		}
	}
	return deleted, nil
}

// one deletes a blob from all buckets, and reports whether none has it any more.
func (r *removal) one(ctx context.Context, blob placedBlob) bool {
	if r.stopped(ctx) {
		return false
	}
	var errs []error
	for i, b := range r.o.Buckets {
		if blob.buckets&(1<<i) == 0 {
			continue
		}
		// The primary first, so that S3 does not replicate the blob again.
		if _, err := b.Remove(ctx, blob.digest.String()); err != nil {
			errs = append(errs, err)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.progress.Done++
	if len(errs) == 0 {
		r.result.Deleted.add(blob.size)
	} else if ctx.Err() == nil {
		r.errs = append(r.errs, errs...)
	}
	r.o.Progress(r.progress)
	return len(errs) == 0
}

// stopped reports whether nothing more is deleted, and counts what is left.
func (r *removal) stopped(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	stopped := ctx.Err() != nil || len(r.errs) >= maxPruneErrors || r.o.Now().Sub(r.now) >= maxPruneTime
	if stopped {
		r.untried++
	}
	return stopped
}
