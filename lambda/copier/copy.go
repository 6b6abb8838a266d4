package copier

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/registry"
)

// Result is what Copy has done.
type Result struct {
	// Copied and Bytes count the blobs written to all buckets, FromBucket those
	// of them that S3 copied itself. Existed counts blobs that another run wrote
	// first, Pending those that S3 is still replicating.
	Copied, FromBucket, Existed, Pending int
	Bytes                                int64
	// Withdrawn counts blobs that were withdrawn since the plan.
	Withdrawn int
	// Unfinished are the blobs that were not copied before ctx ended, by bucket; those of
	// Run are only the ones in progress.
	Unfinished [][]MissingBlob
	// Absent are those of the plan that are still absent, and an *ItemError for each
	// blob that the source does not have, one line each. NewlyAbsent counts those that
	// no earlier run has found.
	Absent      []error
	NewlyAbsent int
	// Warnings are those of the plan, and one line for each blob of another size than
	// in its manifest and for each saved upload that was damaged.
	Warnings []string
	// Errors are those of the plan, and an *ItemError for each blob that could
	// not be copied, one line each.
	Errors []error
	// Unlisted counts what is not in these, because there is too much of it.
	Unlisted Unlisted
}

// copyAttempts is how often copying one blob is tried before it counts as failed.
const copyAttempts = 4

// Copy writes the missing blobs of a plan: to the primary first, then to the other
// buckets. It returns an error if ctx has ended; errors of single blobs are in
// the result, and blobs that were copied before stay.
func Copy(ctx context.Context, o Options, plan *Plan) (*Result, error) {
	o.fill()
	return newCopying(o).all(ctx, plan)
}

func newCopying(o Options) *copying {
	return &copying{o: o, result: &Result{Unfinished: make([][]MissingBlob, len(o.Buckets))}, meter: newMeter(o.Progress),
		failed: map[string]error{}, hashed: map[string]string{}, primary: map[string]func() (*Object, error){}, found: map[string]bool{}, breaker: newBreaker(o.Now),
		slots: make(chan struct{}, o.Parallel)}
}

// all copies the missing blobs of a plan.
func (c *copying) all(ctx context.Context, plan *Plan) (*Result, error) {
	c.mu.Lock()
	c.result.Errors = append(c.result.Errors, plan.Errors...)
	c.result.Warnings = append(c.result.Warnings, plan.Warnings...)
	c.result.Unlisted = plan.Unlisted
	c.meter.change(func(p *Progress) {
		*p = Progress{Phase: p.Phase, Done: c.result.Copied + c.result.Existed, Bytes: p.Bytes, Total: plan.missing.Count, TotalBytes: plan.missing.Bytes}
		if plan.partition == nil { // Missing may be fewer by now
			for _, missing := range plan.Missing {
				p.Total += len(missing)
				for _, blob := range missing {
					p.TotalBytes += max(blob.Size, 0)
				}
			}
		}
	})
	c.mu.Unlock()
	err := plan.toCopy(func(missing func(bucket int) iter.Seq[MissingBlob]) error {
		c.copyPrimary(ctx, missing(0))
		c.copyReplicas(ctx, missing)
		if plan.partition == nil {
			return nil
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		clear(c.failed)
		clear(c.primary)
		return context.Cause(ctx)
	})
	if err != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("reading a temporary file: %w", err)
	}
	for _, err := range plan.Absent {
		var item *ItemError
		if !errors.As(err, &item) || !c.found[item.Digest] {
			c.result.Absent = append(c.result.Absent, err)
		}
	}
	sortErrors(c.result.Absent)
	sortErrors(c.result.Errors)
	slices.Sort(c.result.Warnings)
	return c.result, context.Cause(ctx)
}

// maxHashed limits the ETags that are kept, to bound memory. S3 itself has checksums; other
// servers may not, and then what is above is copied from the source.
const maxHashed = 50_000

type copying struct {
	o       Options
	breaker *breaker // of the source

	meter *meter
	early *early        // nil for none
	slots chan struct{} // has an element for each copy in progress, at most Parallel

	mu     sync.Mutex
	result *Result
	failed map[string]error // by digest, of what could not be copied to the primary
	found  map[string]bool  // digests that the source has again
	// hashed are the ETags, by digest, of objects that this run has written to the primary
	// and hashed itself.
	hashed map[string]string
	// primary return the objects that the primary has, by digest, nil for none.
	primary map[string]func() (*Object, error)
}

// copyPrimary copies what is missing from the primary.
func (c *copying) copyPrimary(ctx context.Context, missing iter.Seq[MissingBlob]) {
	c.meter.change(func(p *Progress) { p.Phase = "copying to " + c.o.Buckets[0].Name })
	group := &errgroup.Group{}
	group.SetLimit(c.o.Parallel)
	for blob := range missing {
		if c.interrupted(ctx) {
			break
		}
		group.Go(func() error {
			c.toPrimaryOnce(ctx, blob)
			return nil
		})
	}
	_ = group.Wait() // errors are in the result
}

// interrupted reports whether what has not begun is left out: Run does not list what is
// unfinished.
func (c *copying) interrupted(ctx context.Context) bool { return c.early != nil && ctx.Err() != nil }

// toPrimaryOnce copies a blob that the primary is missing, unless that was done early.
func (c *copying) toPrimaryOnce(ctx context.Context, blob MissingBlob) {
	copied, first, err := c.early.settled(blob)
	if copied {
		return
	}
	var d done
	if err = or(context.Cause(ctx), err); err == nil {
		d, err = c.blob(ctx, blob, first)
	}
	c.note(ctx, 0, blob, d, err)
}

func (c *copying) note(ctx context.Context, i int, blob MissingBlob, d done, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil && d.pending:
		c.result.Pending++
	case err == nil:
		c.result.Copied++
		c.result.Bytes += d.bytes
		if d.fromBucket {
			c.result.FromBucket++
		} else if i == 0 && blob.Size != registry.SizeUnknown && blob.Size != d.bytes {
			list(&c.result.Warnings, &c.result.Unlisted.Warnings, wrongSize(blob, d.bytes))
		}
		c.has(blob)
		c.o.Found(i, blob.Digest)
	case errors.Is(err, ErrExists):
		c.result.Existed++
		c.has(blob)
		c.o.Found(i, blob.Digest)
	case ctx.Err() != nil: // interrupted, not failed
		c.result.Unfinished[i] = append(c.result.Unfinished[i], blob)
		return
	case errors.Is(err, errPrimary):
	case errors.Is(err, ErrWithdrawn):
		if c.failed[blob.Digest] == nil {
			c.result.Withdrawn++
		}
		c.failed[blob.Digest] = err // the other buckets do not get it
	case absence(err):
		if c.failed[blob.Digest] == nil {
			c.failed[blob.Digest] = err // reported once
			c.absent(blob, err)
		}
	default:
		if i == 0 {
			c.failed[blob.Digest] = err // reported once
		}
		list(&c.result.Errors, &c.result.Unlisted.Errors, error(&ItemError{blob.Repository, blob.Image, blob.Digest, fmt.Errorf("%s: blob %s: %w", blob.Image, blob.Digest, err)}))
	}
	c.meter.done(write{c.o.Buckets[i], blob.Digest}, blob.Size)
}

// has notes that the source has a blob that it did not have before. The caller holds
// the lock.
func (c *copying) has(blob MissingBlob) {
	if !blob.Absent {
		return
	}
	c.found[blob.Digest] = true
	for _, repository := range append([]string{blob.Repository}, blob.Others...) {
		c.o.Manifests.ClearAbsent(repository + "@" + blob.Digest)
	}
}

// absent notes that the source does not have a blob. The caller holds the lock.
func (c *copying) absent(blob MissingBlob, err error) {
	isNew := false
	for _, repository := range append([]string{blob.Repository}, blob.Others...) {
		isNew = c.o.Manifests.PutAbsent(repository+"@"+blob.Digest, absenceText(err), c.o.Now()) || isNew
	}
	if blob.Absent {
		return // the plan has it
	}
	if isNew {
		c.result.NewlyAbsent++
	}
	list(&c.result.Absent, &c.result.Unlisted.Absent, error(&ItemError{blob.Repository, blob.Image, blob.Digest, fmt.Errorf("%s: blob %s: %w", blob.Image, blob.Digest, err)}))
}

func (r *Result) add(more *Result) {
	r.Copied += more.Copied
	r.Bytes += more.Bytes
	r.FromBucket += more.FromBucket
	r.Existed += more.Existed
	r.Pending += more.Pending
}
