package copier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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
	// Withdrawn counts blobs that were withdrawn since the plan.
	Withdrawn int
	// Unfinished are the blobs that were not copied before ctx ended, by bucket.
	Unfinished [][]MissingBlob
	// Absent are those of the plan that are still absent, and an *ItemError for each
	// blob that the source does not have, one line each. NewlyAbsent counts those that
	// no earlier run has found.
	Absent      []error
	NewlyAbsent int
	// Warnings are those of the plan, and one line for each blob of another size than
	// in its manifest.
	Warnings []string
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
	return newCopying(o).all(ctx, plan)
}

func newCopying(o Options) *copying {
	return &copying{o: o, result: &Result{Unfinished: make([][]MissingBlob, len(o.Buckets))}, meter: newMeter(o.Progress),
		failed: map[string]error{}, hashed: map[string]string{}, primary: map[string]*Object{}, found: map[string]bool{}, breaker: newBreaker(o.Now)}
}

// all copies the missing blobs of a plan.
func (c *copying) all(ctx context.Context, plan *Plan) (*Result, error) {
	c.mu.Lock()
	c.result.Errors = append(c.result.Errors, plan.Errors...)
	c.result.Warnings = append(c.result.Warnings, plan.Warnings...)
	c.meter.change(func(p *Progress) {
		*p = Progress{Phase: p.Phase, Done: c.result.Copied + c.result.Existed, Bytes: p.Bytes}
		for _, missing := range plan.Missing {
			p.Total += len(missing)
			for _, blob := range missing {
				p.TotalBytes += max(blob.Size, 0)
			}
		}
	})
	c.mu.Unlock()
	for i, missing := range plan.Missing {
		c.bucket(ctx, i, missing)
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

type copying struct {
	o       Options
	breaker *breaker // of the source

	meter *meter
	early *early // nil for none

	mu     sync.Mutex
	result *Result
	failed map[string]error // by digest, of what could not be copied to the primary
	found  map[string]bool  // digests that the source has again
	// hashed are the ETags, by digest, of the objects that this run has written to
	// the primary and hashed itself.
	hashed map[string]string
	// primary are the objects that the primary has, by digest, nil for none.
	primary map[string]*Object
}

func (c *copying) bucket(ctx context.Context, i int, missing []MissingBlob) {
	c.meter.change(func(p *Progress) { p.Phase = "copying to " + c.o.Buckets[i].Name })
	group := &errgroup.Group{}
	group.SetLimit(c.o.Parallel)
	for _, blob := range missing {
		group.Go(func() error {
			var d done
			err := context.Cause(ctx)
			first := 1
			if i == 0 {
				var copied bool
				var failed error
				if copied, first, failed = c.early.settled(blob); copied {
					return nil
				}
				err = or(err, failed)
			}
			if err == nil {
				d, err = c.blob(ctx, i, blob, first)
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
		c.hashed[blob.Digest] = etag
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
		err := b.Copy(ctx, registry.Blob{Digest: blob.Digest, Size: inPrimary.Size}, c.o.Buckets[0], inPrimary.ETag)
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
	o, known := c.primary[digest]
	c.mu.Unlock()
	if known && attempt == 1 {
		return o, nil
	}
	o, err := c.o.Buckets[0].Stat(ctx, digest)
	if err == nil && len(c.o.Buckets) > 2 {
		c.mu.Lock()
		c.primary[digest] = o
		c.mu.Unlock()
	}
	return o, err
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
	c.meter.began(blob.Digest, 0)
	read := &countingReader{Reader: &metered{content, c.meter, blob.Digest}}
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

// maxWithoutSize is how many bytes are read of a blob of which only the manifest has
// the size, at least.
const maxWithoutSize = 64 << 20

// countingReader counts the bytes that were read.
type countingReader struct {
	io.Reader
	n     int64
	limit int64 // 0 for none
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if r.n += int64(n); r.limit > 0 && r.n > r.limit {
		return n, fmt.Errorf("%w: it is longer than %d bytes, far more than in its manifest", ErrContent, r.limit)
	}
	return n, err
}

// openBlob opens a blob at an offset in bytes: the content in its manifest, or that of
// the first repository that has it. size is that of the whole blob, negative if the
// registry does not have it.
func openBlob(ctx context.Context, source *registry.Client, blob MissingBlob, from int64) (content io.ReadCloser, size int64, err error) {
	if blob.Data != nil && from <= int64(len(blob.Data)) {
		return io.NopCloser(bytes.NewReader(blob.Data[from:])), int64(len(blob.Data)), nil
	}
	for _, repository := range append([]string{blob.Repository}, blob.Others...) {
		open := func(from int64) (io.ReadCloser, int64, error) { return source.Blob(ctx, repository, blob.Blob, from) }
		content, size, failed := open(from)
		if failed == nil {
			return &lastingReader{ReadCloser: content, open: open, offset: from, hint: blob.Size}, size, nil
		}
		if err == nil || !absence(failed) {
			err = failed
		}
	}
	return nil, 0, err
}

// lastingReader continues a blob that ends before the size in its manifest: a registry
// that does not have the size cannot tell the end from a broken connection.
type lastingReader struct {
	io.ReadCloser
	open   func(from int64) (io.ReadCloser, int64, error)
	offset int64 // of the next byte
	since  int64 // bytes since the content was opened
	hint   int64
}

func (r *lastingReader) Read(p []byte) (int, error) {
	for {
		n, err := r.ReadCloser.Read(p)
		r.offset += int64(n)
		r.since += int64(n)
		if n > 0 && err == io.EOF {
			return n, nil // EOF again, or the rest
		}
		if err != io.EOF || r.offset >= r.hint || r.since == 0 {
			return n, err
		}
		more, _, failed := r.open(r.offset)
		if failed != nil {
			return 0, io.EOF // the hint may be wrong; the digest decides
		}
		r.ReadCloser.Close()
		r.ReadCloser, r.since = more, 0
	}
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
			c.result.Warnings = append(c.result.Warnings, wrongSize(blob, d.bytes))
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
		c.result.Errors = append(c.result.Errors, &ItemError{blob.Repository, blob.Image, blob.Digest, fmt.Errorf("%s: blob %s: %w", blob.Image, blob.Digest, err)})
	}
	c.meter.done(blob.Digest, blob.Size)
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
	c.result.Absent = append(c.result.Absent, &ItemError{blob.Repository, blob.Image, blob.Digest, fmt.Errorf("%s: blob %s: %w", blob.Image, blob.Digest, err)})
}
