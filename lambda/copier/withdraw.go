package copier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// withdrawnName is where a State lists what must not be copied again.
const withdrawnName = "withdrawn.json"

// Withdrawn are digests that must not be copied again, with the time at which
// that was said.
type Withdrawn map[string]time.Time

// LoadWithdrawn reads the list; it is empty where nothing was withdrawn yet.
func LoadWithdrawn(ctx context.Context, s State) (Withdrawn, error) {
	data, err := s.Get(ctx, withdrawnName)
	if err != nil {
		return nil, err
	}
	w := Withdrawn{}
	if data == nil {
		return w, nil
	}
	// Nothing is copied where the list cannot be read.
	err = json.Unmarshal(data, &w)
	if err == nil && w == nil {
		err = errors.New("it is empty")
	}
	if err != nil {
		return nil, fmt.Errorf("reading %q, the list of what is withdrawn: %w", withdrawnName, err)
	}
	return w, nil
}

// Removal is what a withdrawal did.
type Removal struct {
	// Versions is how many were removed of each bucket, in the buckets' order.
	Versions []int
	// Errors are the buckets that may still have it.
	Errors []error
}

// Withdraw does what MarkWithdrawn does, and then removes every version of the
// blob everywhere. Its error is that the blob could not be listed; then nothing
// was removed.
func Withdraw(ctx context.Context, s State, buckets []*Bucket, digest string) (*Removal, error) {
	r, err := MarkWithdrawn(ctx, s, buckets, digest)
	if err != nil {
		return nil, err
	}
	// The primary first, so that it is not replicated any more.
	for i, b := range buckets {
		n, err := b.Remove(ctx, digest)
		if err != nil {
			r.Errors = append(r.Errors, err)
		}
		r.Versions[i] = n
	}
	return r, context.Cause(ctx)
}

// MarkWithdrawn lists a digest, so that it is not copied again, and takes it out
// of the index of every bucket. The blob stays.
func MarkWithdrawn(ctx context.Context, s State, buckets []*Bucket, digest string) (*Removal, error) {
	if _, ok := ParseDigest(digest); !ok {
		return nil, fmt.Errorf("%q: takes a digest, as sha256: and 64 hexadecimal digits", digest)
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
			return nil, fmt.Errorf("listing %s as withdrawn: %w", digest, err)
		}
	}
	r := &Removal{Versions: make([]int, len(buckets))}
	for _, b := range buckets {
		if err := b.takeOut(ctx, digest); err != nil {
			r.Errors = append(r.Errors, err)
		}
	}
	return r, nil
}
