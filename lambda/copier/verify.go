package copier

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"archeio/lambda/pace"
	"archeio/lambda/registry"
)

// VerifyOptions are the settings of Verify.
type VerifyOptions struct {
	Buckets []*Bucket
	// Digests are the blobs to hash in each bucket that has them; empty is all that the
	// buckets list. One that no bucket has is an error in the result.
	Digests []Digest
	// State has the withdrawn blobs, which are not replaced; it may be nil.
	State State
	// Sample is the fraction of the blobs to hash, selected at random, from 0 to
	// 1; 0 is all.
	Sample float64
	// Source and Plan are for replacing mismatches; nil only reports them. The Plan may be
	// of NewPlan.
	Source *registry.Client
	Plan   *Plan
	// Bandwidth limits the bytes read per second; 0 is no limit.
	Bandwidth float64
	// Parallel is the number of blobs read at once; 0 is 8.
	Parallel int
	// Progress is called from time to time, by one goroutine at a time; it may
	// be nil.
	Progress func(Progress)
}

// Verification is the result of Verify.
type Verification struct {
	// Checked and Bytes count the hashed blobs, Of all blobs.
	Checked, Of int
	Bytes       int64
	// Mismatches are the blobs that do not match their digests.
	Mismatches []Mismatch
	// Errors are of blobs that could not be read, one line each.
	Errors []error
}

// Mismatch is an object whose content does not match its digest.
type Mismatch struct {
	Bucket, Digest string
	// Err describes the mismatch; it wraps ErrContent.
	Err error
	// Replaced reports whether it was replaced. If not, ReplaceErr is the reason,
	// nil without a Plan.
	Replaced   bool
	ReplaceErr error
}

// Verify reads blobs of buckets and hashes them. With a plan it replaces
// mismatches by the blob of the source, unless the object has changed since. With an
// error, because a bucket could not be listed or ctx has ended, the result has what was
// done before.
func Verify(ctx context.Context, o VerifyOptions) (*Verification, error) {
	defaults := Options{Parallel: o.Parallel, Progress: o.Progress}
	defaults.fill()
	v := &verifying{o: o, bandwidth: pace.Limiter(o.Bandwidth, pace.Burst), report: defaults.Progress, source: finder{plan: o.Plan}, result: &Verification{}}
	v.progress.Phase, v.progress.Growing = "hashing", true
	group := &errgroup.Group{}
	group.SetLimit(defaults.Parallel)
	var err error
	for _, b := range o.Buckets {
		if len(o.Digests) > 0 {
			break
		}
		// The listing waits for the blobs to be hashed, so that memory is bounded.
		err = b.listPart(ctx, "", func(digest Digest, size int64) {
			if v.selects(size) {
				group.Go(func() error {
					if ctx.Err() == nil {
						v.one(ctx, b, digest)
					}
					return nil
				})
			}
		})
		if err != nil {
			break
		}
	}
	for _, digest := range o.Digests {
		group.Go(func() error {
			v.everywhere(ctx, digest)
			return nil
		})
	}
	_ = group.Wait() // errors are in the result
	slices.SortFunc(v.result.Mismatches, func(a, b Mismatch) int {
		return slices.Compare([]string{a.Bucket, a.Digest}, []string{b.Bucket, b.Digest})
	})
	sortErrors(v.result.Errors)
	return v.result, or(context.Cause(ctx), err)
}

type verifying struct {
	o         VerifyOptions
	bandwidth *rate.Limiter
	report    func(Progress)
	source    finder

	mu       sync.Mutex
	progress Progress
	result   *Verification
}

// selects counts a blob, and reports whether it is hashed.
func (v *verifying) selects(size int64) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.result.Of++
	if v.o.Sample > 0 && rand.Float64() >= v.o.Sample {
		return false
	}
	v.progress.Total++
	v.progress.TotalBytes += size
	return true
}

// everywhere hashes a blob in each bucket that has it.
func (v *verifying) everywhere(ctx context.Context, digest Digest) {
	found := false
	var errs []error
	for _, b := range v.o.Buckets {
		o, err := b.Stat(ctx, digest.String())
		if err != nil {
			errs = append(errs, err)
		}
		if o != nil {
			found = true
			v.selects(o.Size)
			v.one(ctx, b, digest)
		}
	}
	if !found && len(errs) == 0 {
		errs = append(errs, fmt.Errorf("no bucket has %s", digest))
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if ctx.Err() == nil {
		v.result.Errors = append(v.result.Errors, errs...)
	}
}

func (v *verifying) one(ctx context.Context, b *Bucket, digest Digest) {
	size, etag, err := v.hash(ctx, b, digest)
	var wrong *Mismatch
	if errors.Is(err, ErrContent) {
		wrong = &Mismatch{Bucket: b.Name, Digest: digest.String(), Err: err}
		if v.o.Plan != nil {
			wrong.ReplaceErr = v.replace(ctx, b, digest, etag)
			wrong.Replaced = wrong.ReplaceErr == nil
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if ctx.Err() != nil {
		return
	}
	switch {
	case wrong != nil:
		v.result.Mismatches = append(v.result.Mismatches, *wrong)
	case err != nil:
		v.result.Errors = append(v.result.Errors, err)
	}
	v.result.Checked++
	v.result.Bytes += size
	v.progress.Done++
	v.progress.Bytes += size
	v.report(v.progress)
}

// hash reads a blob to its end and compares its hash with its digest.
func (v *verifying) hash(ctx context.Context, b *Bucket, digest Digest) (size int64, etag string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	content, etag, err := b.Open(ctx, digest.String())
	if err != nil {
		return 0, "", err
	}
	defer content.Close()
	hash := sha256.New()
	if size, err = io.Copy(hash, pace.NewReader(ctx, cancel, content, v.bandwidth)); err != nil {
		return size, etag, b.explain("reading "+digest.String(), err)
	}
	if got := Digest(hash.Sum(nil)); got != digest {
		return size, etag, fmt.Errorf("%w: its digest is %s", ErrContent, got)
	}
	return size, etag, nil
}

func (v *verifying) replace(ctx context.Context, b *Bucket, digest Digest, etag string) error {
	blob, known, err := v.source.find(digest)
	if err != nil {
		return err
	}
	if !known {
		return errors.New("the source does not have it: withdraw it to delete it")
	}
	err = unlessWithdrawn(ctx, v.o.State, b, blob.Digest, func() error {
		content, size, err := v.o.Source.Blob(ctx, blob.Repository, blob.Blob, 0)
		if err != nil {
			return err
		}
		defer content.Close()
		_, err = b.Put(ctx, registry.Blob{Digest: blob.Digest, Size: size}, content, etag)
		return err
	})
	if errors.Is(err, ErrExists) {
		return errors.New("the object has changed since it was hashed: verify it again")
	}
	return err
}
