package copier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// withdrawnName is the name in a State of the list of withdrawn digests.
const withdrawnName = "withdrawn.json"

// Withdrawn are digests that must not be copied again, each with the time of its
// withdrawal.
type Withdrawn map[string]time.Time

// LoadWithdrawn reads the list of withdrawn digests, which may be empty.
func LoadWithdrawn(ctx context.Context, s State) (Withdrawn, error) {
	data, err := s.Get(ctx, withdrawnName)
	if err != nil {
		return nil, err
	}
	w := Withdrawn{}
	if data == nil {
		return w, nil
	}
	// Callers must not copy anything if the list cannot be read.
	err = json.Unmarshal(data, &w)
	if err == nil && w == nil {
		err = errors.New("it is null")
	}
	if err != nil {
		return nil, fmt.Errorf("reading state %q, the withdrawn digests: %w", withdrawnName, err)
	}
	return w, nil
}

// Removal is the result of a withdrawal.
type Removal struct {
	// Versions is the number of deleted versions in each bucket, in the order of
	// the buckets.
	Versions []int
	// Removed reports for each bucket whether every version was listed and deleted.
	Removed []bool
	// Errors has an error for each bucket that may still have the blob.
	Errors []error
}

// Withdraw calls MarkWithdrawn and then deletes every version of the blob in all
// buckets. If it cannot record the digest, it returns an error and deletes
// nothing.
func Withdraw(ctx context.Context, s State, buckets []*Bucket, digest string) (*Removal, error) {
	r, err := MarkWithdrawn(ctx, s, buckets, digest)
	if err != nil {
		return nil, err
	}
	// The primary first, so that S3 does not replicate the blob again.
	for i, b := range buckets {
		n, err := b.Remove(ctx, digest)
		if err != nil {
			r.Errors = append(r.Errors, err)
		}
		r.Versions[i], r.Removed[i] = n, err == nil
	}
	return r, context.Cause(ctx)
}

// MarkWithdrawn records a digest as withdrawn, so that it is not copied again, and
// removes it from the index of every bucket. The blob itself stays.
func MarkWithdrawn(ctx context.Context, s State, buckets []*Bucket, digest string) (*Removal, error) {
	if _, ok := ParseDigest(digest); !ok {
		return nil, fmt.Errorf("invalid digest %q: want sha256: and 64 lower-case hexadecimal digits", digest)
	}
	w, err := LoadWithdrawn(ctx, s)
	if err != nil {
		return nil, err
	}
	if _, listed := w[digest]; !listed {
		w[digest] = time.Now().UTC().Truncate(time.Second)
		data, err := json.MarshalIndent(w, "", "\t")
		if err == nil {
			err = s.Put(ctx, withdrawnName, data)
		}
		if err != nil {
			return nil, fmt.Errorf("recording %s as withdrawn: %w", digest, err)
		}
	}
	r := &Removal{Versions: make([]int, len(buckets)), Removed: make([]bool, len(buckets))}
	for _, b := range buckets {
		if err := b.takeOut(ctx, digest); err != nil {
			r.Errors = append(r.Errors, err)
		}
	}
	return r, nil
}
