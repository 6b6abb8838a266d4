package copier

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"archeio/lambda/pace"
	"archeio/lambda/registry"
)

// copyReplicas copies what is missing from the buckets after the primary, to all of them
// before the next blob begins.
func (c *copying) copyReplicas(ctx context.Context, missing func(bucket int) iter.Seq[MissingBlob]) {
	end := len(c.o.Buckets)
	if end == 1 {
		return
	}
	c.meter.change(func(p *Progress) {
		if p.Phase = "copying to " + c.o.Buckets[1].Name; end > 2 {
			p.Phase = fmt.Sprintf("copying to %d replicas", end-1)
		}
	})
	group := &errgroup.Group{}
	group.SetLimit(c.o.Parallel)
	for blob, buckets := range byBlob(missing, 1, end) {
		if c.interrupted(ctx) {
			break
		}
		group.Go(func() error {
			c.toReplicas(ctx, blob, buckets)
			return nil
		})
	}
	_ = group.Wait() // errors are in the result
}

// byBlob yields the blobs that are missing from the buckets at the positions from first to
// before end, each with these buckets. Each must have its blobs in the order of bySize.
func byBlob(missing func(bucket int) iter.Seq[MissingBlob], first, end int) iter.Seq2[MissingBlob, []int] {
	type head struct {
		blob MissingBlob
		ok   bool
		next func() (MissingBlob, bool)
	}
	return func(yield func(MissingBlob, []int) bool) {
		heads := make([]head, end-first)
		for i := range heads {
			next, stop := iter.Pull(missing(first + i))
			defer stop()
			heads[i].next = next
			heads[i].blob, heads[i].ok = next()
		}
		for {
			least := -1
			for i, h := range heads {
				if h.ok && (least < 0 || bySize(h.blob, heads[least].blob) < 0) {
					least = i
				}
			}
			if least < 0 {
				return
			}
			blob := heads[least].blob
			var buckets []int
			for i := range heads {
				if h := &heads[i]; h.ok && h.blob.Digest == blob.Digest {
					buckets = append(buckets, first+i)
					h.blob, h.ok = h.next()
				}
			}
			if !yield(blob, buckets) {
				return
			}
		}
	}
}

// toReplicas copies a blob to the replicas at some positions, and notes the result of each.
func (c *copying) toReplicas(ctx context.Context, blob MissingBlob, buckets []int) {
	c.mu.Lock()
	failed := c.failed[blob.Digest]
	c.mu.Unlock()
	err := context.Cause(ctx)
	if failed != nil && err == nil {
		err = errPrimary
	}
	for attempt := 1; err == nil && len(buckets) > 0; attempt++ {
		var again []int
		results, errs := c.replicasOnce(ctx, blob, buckets, attempt)
		for n, i := range buckets {
			if final(ctx, attempt, errs[n]) {
				c.note(ctx, i, blob, results[n], errs[n])
			} else {
				again = append(again, i)
			}
		}
		if buckets = again; len(buckets) > 0 {
			err = pace.Sleep(ctx, pace.Backoff(attempt))
		}
	}
	for _, i := range buckets {
		c.note(ctx, i, blob, done{}, err)
	}
}

// replicasOnce is an attempt of toReplicas. It looks at the list of withdrawn blobs once
// before all copies and once after the last.
func (c *copying) replicasOnce(ctx context.Context, blob MissingBlob, buckets []int, attempt int) ([]done, []error) {
	results, errs := make([]done, len(buckets)), make([]error, len(buckets))
	var places []*Bucket
	for _, i := range buckets {
		places = append(places, c.o.Buckets[i])
	}
	unlessWithdrawnAll(ctx, c.o.State, places, blob.Digest, errs, func() {
		var group sync.WaitGroup
		for n, b := range places {
			c.slots <- struct{}{}
			group.Go(func() {
				defer func() { <-c.slots }()
				results[n], errs[n] = c.toReplica(ctx, b, blob, attempt)
			})
		}
		group.Wait()
	})
	return results, errs
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
