package copier

import (
	"context"
	"errors"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"archeio/lambda/pace"
	"archeio/lambda/registry"
)

// done is what was done with one blob.
type done struct {
	bytes               int64
	fromBucket, pending bool
}

// errPrimary is the error for a blob that could not be copied to the primary: a
// blob in any mirror must be in the primary.
var errPrimary = errors.New("copying to the primary failed")

func (c *copying) blob(ctx context.Context, i int, blob MissingBlob, first int) (d done, err error) {
	c.mu.Lock()
	failed := c.failed[blob.Digest]
	c.mu.Unlock()
	if failed != nil {
		return d, errPrimary
	}
	for attempt := first; ; attempt++ {
		d, err = c.attempt(ctx, i, blob, attempt)
		if err == nil || errors.Is(err, ErrExists) || attempt == copyAttempts || ctx.Err() != nil || permanent(err) {
			return d, err
		}
		if err := pace.Sleep(ctx, pace.Backoff(attempt)); err != nil {
			return d, err
		}
	}
}

func (c *copying) attempt(ctx context.Context, i int, blob MissingBlob, attempt int) (d done, err error) {
	err = unlessWithdrawn(ctx, c.o.State, c.o.Buckets[i], blob.Digest, func() (err error) {
		if i == 0 {
			d, err = c.toPrimary(ctx, blob, attempt)
		} else {
			d, err = c.toReplica(ctx, c.o.Buckets[i], blob, attempt)
		}
		return err
	})
	return d, err
}

func (c *copying) toPrimary(ctx context.Context, blob MissingBlob, attempt int) (done, error) {
	primary := c.o.Buckets[0]
	if c.o.CheckExisting {
		if existing, err := primary.Stat(ctx, blob.Digest); err != nil || existing != nil {
			return done{}, or(err, ErrExists)
		}
	}
	d, etag, err := c.upload(ctx, primary, blob, attempt)
	if err == nil {
		c.mu.Lock()
		if len(c.o.Buckets) > 1 && len(c.hashed) < maxHashed {
			c.hashed[blob.Digest] = etag
		}
		c.mu.Unlock()
	}
	return d, err
}

// toReplica skips what S3 is replicating, and lets S3 copy from the primary if the
// object there is known to match its digest. All else is uploaded. Without replication
// it costs one request, in addition to one for the primary and all replicas together.
func (c *copying) toReplica(ctx context.Context, b *Bucket, blob MissingBlob, attempt int) (done, error) {
	inPrimary, err := c.inPrimary(ctx, blob.Digest, attempt)
	if err != nil {
		return done{}, err
	}
	if inPrimary != nil && inPrimary.Replication == types.ReplicationStatusPending {
		return done{pending: true}, nil
	}
	c.mu.Lock()
	hashed := c.hashed[blob.Digest]
	c.mu.Unlock()
	copies := inPrimary != nil && (inPrimary.hashed() || inPrimary.ETag == hashed)
	// The listing of the bucket may be old. A completed replication has arrived,
	// or it only covers other buckets because this one is newer, or the object was
	// deleted.
	if c.o.CheckExisting && !copies || inPrimary != nil && inPrimary.replicated() {
		if arrived, err := b.Stat(ctx, blob.Digest); err != nil || arrived != nil {
			return done{}, or(err, ErrExists)
		}
	}
	if copies {
		w := write{b, blob.Digest}
		c.meter.began(w, 0)
		err := b.copy(ctx, registry.Blob{Digest: blob.Digest, Size: inPrimary.Size}, c.o.Buckets[0], inPrimary.ETag, func(n int64) { c.meter.read(w, n) })
		if err == nil {
			return done{bytes: inPrimary.Size, fromBucket: true}, nil
		}
		if ctx.Err() != nil {
			return done{}, err
		}
		// Either it has arrived since, or the object in the primary has changed.
		if errors.Is(err, ErrExists) {
			if arrived, _ := b.Stat(ctx, blob.Digest); arrived != nil {
				return done{}, ErrExists
			}
		}
		// S3 servers that are not AWS cannot copy from each other.
	}
	d, _, err := c.upload(ctx, b, blob, attempt)
	return d, err
}

// inPrimary returns the object of a blob in the primary, nil for none, with one request
// for all replicas.
func (c *copying) inPrimary(ctx context.Context, digest string, attempt int) (*Object, error) {
	c.mu.Lock()
	stat, known := c.primary[digest]
	if !known || attempt > 1 {
		stat = sync.OnceValues(func() (*Object, error) { return c.o.Buckets[0].Stat(ctx, digest) })
		c.primary[digest] = stat
	}
	c.mu.Unlock()
	return stat()
}

func or(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// upload writes a blob of the source. The size of the first attempt is that of the
// registry, of the second that of the manifest, and of the others none: one of them may
// be wrong.
func (c *copying) upload(ctx context.Context, b *Bucket, blob MissingBlob, attempt int) (done, string, error) {
	if err := c.breaker.open(blob.Repository); err != nil {
		return done{}, "", err
	}
	if c.keeps(b, blob, attempt) {
		return c.uploadKept(ctx, b, blob)
	}
	content, size, err := openBlob(ctx, c.o.Source, blob, 0)
	c.breaker.done(ctx, blob.Repository, err)
	if err != nil {
		return done{}, "", err
	}
	defer content.Close()
	hint := blob.Size
	switch {
	case blob.Data != nil || attempt == 1:
	case attempt == 2 && hint != size:
		size = hint
	default:
		size = registry.SizeUnknown
	}
	c.meter.began(write{b, blob.Digest}, 0)
	read := &countingReader{Reader: &metered{content, c.meter, write{b, blob.Digest}}}
	if size < 0 && hint >= 0 {
		read.limit = max(maxWithoutSize, 8*hint)
	}
	etag, err := b.Put(ctx, registry.Blob{Digest: blob.Digest, Size: size}, read, "")
	if err != nil && status(err) == 0 && !errors.Is(err, ErrContent) && ctx.Err() == nil {
		// S3 may reject a blob that exists, and close the connection before it has
		// read the whole request.
		if existing, _ := b.Stat(ctx, blob.Digest); existing != nil {
			err = ErrExists
		}
	}
	return done{bytes: read.n}, etag, err
}
