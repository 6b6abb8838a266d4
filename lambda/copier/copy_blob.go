package copier

import (
	"context"
	"errors"

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

// blob copies a blob to the primary, from the attempt with the number first on.
func (c *copying) blob(ctx context.Context, blob MissingBlob, first int) (d done, err error) {
	for attempt := first; ; attempt++ {
		if d, err = c.attempt(ctx, blob, attempt); final(ctx, attempt, err) {
			return d, err
		}
		if err := pace.Sleep(ctx, pace.Backoff(attempt)); err != nil {
			return d, err
		}
	}
}

// final reports whether there is no attempt after one that ended with an error or nil.
func final(ctx context.Context, attempt int, err error) bool {
	return err == nil || errors.Is(err, ErrExists) || attempt == copyAttempts || ctx.Err() != nil || permanent(err)
}

func (c *copying) attempt(ctx context.Context, blob MissingBlob, attempt int) (d done, err error) {
	// Early copies may end while those after the plan begin.
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	err = unlessWithdrawn(ctx, c.o.State, c.o.Buckets[0], blob.Digest, func() (err error) {
		d, err = c.toPrimary(ctx, blob, attempt)
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
