package copier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// Result is what a copy came to.
type Result struct {
	// Copied and Bytes count what was written, all buckets together, of which
	// FromBucket by S3 itself. Existed is what another run had written first,
	// Pending what S3's replication is carrying on.
	Copied, FromBucket, Existed, Pending int
	Bytes                                int64
	// Left is what the end of ctx left undone, bucket by bucket.
	Unfinished [][]MissingBlob
	// Errors are the plan's and what could not be copied: a line each, with
	// the blob and an image that it is of.
	Errors []error
}

// copyAttempts is how often one blob is copied anew: what may be right the next time
// is not given up at once.
const copyAttempts = 4

// Copy writes what the buckets of a plan lack: to the primary first, and then to
// the others. Its error is that ctx ended; what went wrong with single blobs
// stands in the result, and what was copied until then stays.
func Copy(ctx context.Context, o Options, plan *Plan) (*Result, error) {
	o.fill()
	c := &copying{o: o, result: &Result{Errors: slices.Clone(plan.Errors), Unfinished: make([][]MissingBlob, len(plan.Missing))},
		failed: map[string]bool{}, hashed: map[string]string{}}
	for _, lacks := range plan.Missing {
		c.progress.Total += len(lacks)
		for _, blob := range lacks {
			c.progress.TotalBytes += max(blob.Size, 0)
		}
	}
	for i, lacks := range plan.Missing {
		c.bucket(ctx, i, lacks)
	}
	sortErrors(c.result.Errors)
	return c.result, context.Cause(ctx)
}

type copying struct {
	o Options

	mu       sync.Mutex
	result   *Result
	progress Progress
	failed   map[string]bool // digests that the primary could not get
	// hashed are the ETags of the primary's objects that this run has put there
	// and so hashed itself.
	hashed map[string]string
}

func (c *copying) bucket(ctx context.Context, i int, lacks []MissingBlob) {
	c.mu.Lock()
	c.progress.Phase = "copying to " + c.o.Buckets[i].Name
	c.mu.Unlock()
	group := &errgroup.Group{}
	group.SetLimit(c.o.Parallel)
	for _, blob := range lacks {
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
	_ = group.Wait() // they fail one by one
}

// done is what was done to one blob.
type done struct {
	bytes               int64
	fromBucket, pending bool
}

// errPrimary: a blob that is in any mirror must be in the primary.
var errPrimary = errors.New("the primary could not get it")

func (c *copying) blob(ctx context.Context, i int, blob MissingBlob) (d done, err error) {
	c.mu.Lock()
	failed := c.failed[blob.Digest]
	c.mu.Unlock()
	if failed {
		return d, errPrimary
	}
	for try := 1; ; try++ {
		if i == 0 {
			d, err = c.toPrimary(ctx, blob)
		} else {
			d, err = c.toReplica(ctx, c.o.Buckets[i], blob)
		}
		if err == nil || errors.Is(err, ErrExists) || try == copyAttempts || ctx.Err() != nil || permanent(err) {
			return d, err
		}
		if err := sleep(ctx, backoff(try)); err != nil {
			return d, err
		}
	}
}

func (c *copying) toPrimary(ctx context.Context, blob MissingBlob) (done, error) {
	primary := c.o.Buckets[0]
	if c.o.CheckExisting {
		if there, err := primary.Stat(ctx, blob.Digest); err != nil || there != nil {
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

// toReplica leaves to S3 what its replication carries on, and has S3 copy what
// is known to be right in the primary. All else is uploaded.
func (c *copying) toReplica(ctx context.Context, b *Bucket, blob MissingBlob) (done, error) {
	primary := c.o.Buckets[0]
	there, err := primary.Stat(ctx, blob.Digest)
	if err != nil {
		return done{}, err
	}
	if there != nil && there.Replication == types.ReplicationStatusPending {
		return done{pending: true}, nil
	}
	// The bucket was listed a while ago. What S3 calls completed arrived; or it
	// went to other replicas only, before there was this one; or was lost.
	if c.o.CheckExisting || there != nil && (there.Replication == types.ReplicationStatusComplete || there.Replication == types.ReplicationStatusCompleted) {
		if arrived, err := b.Stat(ctx, blob.Digest); err != nil || arrived != nil {
			return done{}, or(err, ErrExists)
		}
	}
	c.mu.Lock()
	hashed := c.hashed[blob.Digest]
	c.mu.Unlock()
	if there != nil && (there.ChecksumVerified || there.ETag == hashed) {
		blob := Blob{blob.Digest, there.Size}
		err := b.Copy(ctx, blob, primary, there.ETag)
		if err == nil {
			return done{bytes: there.Size, fromBucket: true}, nil
		}
		// Refused: it is there by now, or the primary's is another one by now.
		if arrived, _ := b.Stat(ctx, blob.Digest); errors.Is(err, ErrExists) && arrived != nil {
			return done{}, ErrExists
		}
		if ctx.Err() != nil {
			return done{}, err
		}
		// Servers that do not know each other cannot copy from one another.
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
		return done{}, "", fmt.Errorf("%s: neither the manifest nor the registry says how long it is", c.o.Source.registry)
	}
	etag, err := b.Put(ctx, Blob{blob.Digest, size}, content, "")
	if err != nil && status(err) == 0 && !errors.Is(err, ErrContent) && ctx.Err() == nil {
		// S3 may refuse what is there by now and hang up before it has read all.
		if there, _ := b.Stat(ctx, blob.Digest); there != nil {
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
	case ctx.Err() != nil: // cut off, not failed
		c.result.Unfinished[i] = append(c.result.Unfinished[i], blob)
		return
	case errors.Is(err, errPrimary):
	default:
		if i == 0 {
			c.failed[blob.Digest] = true // and said once
		}
		c.result.Errors = append(c.result.Errors, fmt.Errorf("%s: blob %s: %w", blob.Image, blob.Digest, err))
	}
	c.progress.Done++
	c.progress.Bytes += max(blob.Size, 0)
	c.o.Progress(c.progress)
}
