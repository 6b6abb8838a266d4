package copier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Result is what a copy came to.
type Result struct {
	// Copied and Bytes count what was written, all buckets together;
	// Existed what another run had written first.
	Copied, Existed int
	Bytes           int64
	// Errors are the plan's and what could not be copied: a line each, with
	// the blob and an image that it is of.
	Errors []error
}

// tries is how often one blob is copied anew: what may be right the next time
// is not given up at once.
const tries = 4

// Copy writes what the buckets of a plan lack: to the primary first, and then to
// the others. Its error is that ctx ended; what went wrong with single blobs
// stands in the result, and what was copied until then stays.
func Copy(ctx context.Context, o Options, plan *Plan) (*Result, error) {
	o.fill()
	c := &copying{o: o, result: &Result{Errors: slices.Clone(plan.Errors)}, failed: map[string]bool{}}
	for _, lacks := range plan.Lacks {
		c.progress.Total += len(lacks)
		for _, blob := range lacks {
			c.progress.TotalBytes += max(blob.Size, 0)
		}
	}
	for i, lacks := range plan.Lacks {
		if err := c.bucket(ctx, o.Buckets[i], lacks); err != nil {
			return c.result, err
		}
	}
	slices.SortFunc(c.result.Errors, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
	return c.result, nil
}

type copying struct {
	o Options

	mu       sync.Mutex
	result   *Result
	progress Progress
	failed   map[string]bool // digests that the primary could not get
}

func (c *copying) bucket(ctx context.Context, b *Bucket, lacks []Missing) error {
	c.mu.Lock()
	c.progress.Doing = "copying to " + b.Name
	c.mu.Unlock()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(c.o.Parallel)
	for _, blob := range lacks {
		group.Go(func() error {
			if err := context.Cause(ctx); err != nil {
				return err
			}
			written, err := c.blob(ctx, b, blob)
			c.note(ctx, blob, written, err)
			return context.Cause(ctx)
		})
	}
	return group.Wait()
}

// errPrimary: a blob that is in any mirror must be in the primary.
var errPrimary = errors.New("the primary could not get it")

func (c *copying) blob(ctx context.Context, b *Bucket, blob Missing) (written int64, err error) {
	c.mu.Lock()
	failed := c.failed[blob.Digest]
	c.mu.Unlock()
	if failed {
		return 0, errPrimary
	}
	for try := 1; ; try++ {
		written, err = c.once(ctx, b, blob)
		if err == nil || errors.Is(err, ErrExists) || try == tries || ctx.Err() != nil || final(err) {
			return written, err
		}
		if err := sleep(ctx, pause(try)); err != nil {
			return 0, err
		}
	}
}

// final tells what will be no better the next time.
func final(err error) bool { return errors.Is(err, errLogin) }

func (c *copying) once(ctx context.Context, b *Bucket, blob Missing) (int64, error) {
	content, size, err := c.o.Source.Blob(ctx, blob.Repository, blob.Blob)
	if err != nil {
		return 0, err
	}
	defer content.Close()
	return size, b.Put(ctx, Blob{blob.Digest, size}, content)
}

func (c *copying) note(ctx context.Context, blob Missing, written int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress.Done++
	c.progress.Bytes += max(blob.Size, 0)
	switch {
	case err == nil:
		c.result.Copied++
		c.result.Bytes += written
	case errors.Is(err, ErrExists):
		c.result.Existed++
	case ctx.Err() != nil:
		return // cut off, not failed
	case errors.Is(err, errPrimary):
	default:
		c.failed[blob.Digest] = true // and said once
		c.result.Errors = append(c.result.Errors, fmt.Errorf("%s@%s: blob %s: %w", blob.Repository, blob.Image, blob.Digest, err))
	}
	c.o.Progress(c.progress)
}
