package copier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"archeio/lambda/pace"
	"archeio/lambda/registry"
)

// Result is what Copy has done.
type Result struct {
	// Copied and Bytes count the blobs written to all buckets, FromBucket those
	// of them that S3 copied itself. Existed counts blobs that another run wrote
	// first, Pending those that S3 is still replicating.
	Copied, FromBucket, Existed, Pending int
	Bytes                                int64
	// Unfinished are the blobs that were not copied before ctx ended, by bucket.
	Unfinished [][]MissingBlob
	// Errors are those of the plan, and an *ItemError for each blob that could
	// not be copied, one line each.
	Errors []error
}

// copyAttempts is how often copying one blob is tried before it counts as failed.
const copyAttempts = 4

// Copy writes the missing blobs of a plan: to the primary first, then to the other
// buckets. It returns an error if ctx has ended; errors of single blobs are in
// the result, and blobs that were copied before stay.
func Copy(ctx context.Context, o Options, plan *Plan) (*Result, error) {
	o.fill()
	c := &copying{o: o, result: &Result{Errors: slices.Clone(plan.Errors), Unfinished: make([][]MissingBlob, len(plan.Missing))},
		failed: map[string]bool{}, hashed: map[string]string{}}
	for _, missing := range plan.Missing {
		c.progress.Total += len(missing)
		for _, blob := range missing {
			c.progress.TotalBytes += max(blob.Size, 0)
		}
	}
	for i, missing := range plan.Missing {
		c.bucket(ctx, i, missing)
	}
	sortErrors(c.result.Errors)
	return c.result, context.Cause(ctx)
}

type copying struct {
	o Options

	mu       sync.Mutex
	result   *Result
	progress Progress
	failed   map[string]bool // digests that could not be copied to the primary
	// hashed are the ETags, by digest, of the objects that this run has written to
	// the primary and hashed itself.
	hashed map[string]string
}

func (c *copying) bucket(ctx context.Context, i int, missing []MissingBlob) {
	c.mu.Lock()
	c.progress.Phase = "copying to " + c.o.Buckets[i].Name
	c.mu.Unlock()
	group := &errgroup.Group{}
	group.SetLimit(c.o.Parallel)
	for _, blob := range missing {
		group.Go(func() error {
			var d done
			err := context.Cause(ctx)
			if err == nil {
				d, err = c.blob(ctx, i, blob)
			}
			c.note(ctx, i, blob, d, err)
			return nil
		})
	}
	_ = group.Wait() // errors are in the result
}

// done is what was done with one blob.
type done struct {
	bytes               int64
	fromBucket, pending bool
}

// errPrimary is the error for a blob that could not be copied to the primary: a
// blob in any mirror must be in the primary.
var errPrimary = errors.New("copying to the primary failed")

// errUnknownSize is the error for a blob of unknown size, as S3 needs one.
var errUnknownSize = errors.New("unknown size: neither the manifest nor the registry has it")

func (c *copying) blob(ctx context.Context, i int, blob MissingBlob) (d done, err error) {
	c.mu.Lock()
	failed := c.failed[blob.Digest]
	c.mu.Unlock()
	if failed {
		return d, errPrimary
	}
	for attempt := 1; ; attempt++ {
		if i == 0 {
			d, err = c.toPrimary(ctx, blob)
		} else {
			d, err = c.toReplica(ctx, c.o.Buckets[i], blob)
		}
		if err == nil || errors.Is(err, ErrExists) || attempt == copyAttempts || ctx.Err() != nil || permanent(err) {
			return d, err
		}
		if err := pace.Sleep(ctx, pace.Backoff(attempt)); err != nil {
			return d, err
		}
	}
}

func (c *copying) toPrimary(ctx context.Context, blob MissingBlob) (done, error) {
	primary := c.o.Buckets[0]
	if c.o.CheckExisting {
		if existing, err := primary.Stat(ctx, blob.Digest); err != nil || existing != nil {
			return done{}, or(err, ErrExists)
		}
	}
	d, etag, err := c.upload(ctx, primary, blob)
	if err == nil {
		c.mu.Lock()
		c.hashed[blob.Digest] = etag
		c.mu.Unlock()
	}
	return d, err
}

// toReplica skips what S3 is replicating, and lets S3 copy from the primary if the
// object there is known to match its digest. All else is uploaded.
func (c *copying) toReplica(ctx context.Context, b *Bucket, blob MissingBlob) (done, error) {
	primary := c.o.Buckets[0]
	inPrimary, err := primary.Stat(ctx, blob.Digest)
	if err != nil {
		return done{}, err
	}
	if inPrimary != nil && inPrimary.Replication == types.ReplicationStatusPending {
		return done{pending: true}, nil
	}
	// The listing of the bucket may be old. A completed replication has arrived,
	// or it only covers other buckets because this one is newer, or the object was
	// deleted.
	if c.o.CheckExisting || inPrimary != nil && (inPrimary.Replication == types.ReplicationStatusComplete || inPrimary.Replication == types.ReplicationStatusCompleted) {
		if arrived, err := b.Stat(ctx, blob.Digest); err != nil || arrived != nil {
			return done{}, or(err, ErrExists)
		}
	}
	c.mu.Lock()
	hashed := c.hashed[blob.Digest]
	c.mu.Unlock()
	if inPrimary != nil && (inPrimary.ChecksumVerified || inPrimary.ETag == hashed) {
		blob := registry.Blob{Digest: blob.Digest, Size: inPrimary.Size}
		err := b.Copy(ctx, blob, primary, inPrimary.ETag)
		if err == nil {
			return done{bytes: inPrimary.Size, fromBucket: true}, nil
		}
		// Either it has arrived since, or the object in the primary has changed.
		if arrived, _ := b.Stat(ctx, blob.Digest); errors.Is(err, ErrExists) && arrived != nil {
			return done{}, ErrExists
		}
		if ctx.Err() != nil {
			return done{}, err
		}
		// S3 servers that are not AWS cannot copy from each other.
	}
	d, _, err := c.upload(ctx, b, blob)
	return d, err
}

func or(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

func (c *copying) upload(ctx context.Context, b *Bucket, blob MissingBlob) (done, string, error) {
	content, size, err := c.o.Source.Blob(ctx, blob.Repository, blob.Blob, 0)
	if err != nil {
		return done{}, "", err
	}
	defer content.Close()
	if size < 0 {
		return done{}, "", fmt.Errorf("%s: %w", c.o.Source.Host(), errUnknownSize)
	}
	etag, err := b.Put(ctx, registry.Blob{Digest: blob.Digest, Size: size}, content, "")
	if err != nil && status(err) == 0 && !errors.Is(err, ErrContent) && ctx.Err() == nil {
		// S3 may reject a blob that exists, and close the connection before it has
		// read the whole request.
		if existing, _ := b.Stat(ctx, blob.Digest); existing != nil {
			err = ErrExists
		}
	}
	return done{bytes: size}, etag, err
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
		}
	case errors.Is(err, ErrExists):
		c.result.Existed++
	case ctx.Err() != nil: // interrupted, not failed
		c.result.Unfinished[i] = append(c.result.Unfinished[i], blob)
		return
	case errors.Is(err, errPrimary):
	default:
		if i == 0 {
			c.failed[blob.Digest] = true // reported once
		}
		c.result.Errors = append(c.result.Errors, &ItemError{blob.Repository, blob.Image, blob.Digest, fmt.Errorf("%s: blob %s: %w", blob.Image, blob.Digest, err)})
	}
	c.progress.Done++
	c.progress.Bytes += max(blob.Size, 0)
	c.o.Progress(c.progress)
}
