package copier

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/index"
)

const (
	// withdrawnPrefix is the prefix in a State of the withdrawn digests. Each is an
	// object of its own, so that withdrawals at the same time cannot overwrite each
	// other, and a copy checks a digest with one small request.
	withdrawnPrefix = "withdrawn/"
	// recheckPrefix is the prefix of the digests that were withdrawn within the last
	// recheckFor. The planner checks all buckets for these, because a copy or a
	// replication may have been in progress.
	recheckPrefix = "recently-withdrawn/"
	recheckFor    = 48 * time.Hour

	// oldWithdrawnName is the name of the list of an earlier version: one object with
	// all digests. LoadWithdrawn replaces it.
	oldWithdrawnName = "withdrawn.json"
)

// Withdrawn are digests that must not be copied again.
type Withdrawn map[string]bool

// Withdrawal is an entry of the list of withdrawn digests.
type Withdrawal struct {
	Digest string `json:"digest"`
	// Since is the time of the withdrawal, zero if its entry is damaged.
	Since time.Time `json:"since"`
	// RemoveAfter is the time before which the blob stays in the mirrors, because
	// redirectors may still use an index that has it. Zero is at once.
	RemoveAfter time.Time `json:"removeAfter,omitzero"`
}

// LoadWithdrawn reads the list of withdrawn digests, which may be empty. A nil State
// has none.
func LoadWithdrawn(ctx context.Context, s State) (Withdrawn, error) {
	w := Withdrawn{}
	if s == nil {
		return w, nil
	}
	names, err := s.Names(ctx, strings.TrimSuffix(withdrawnPrefix, "/"))
	if err != nil {
		return nil, fmt.Errorf("reading the withdrawn digests: %w", err)
	}
	for _, name := range names {
		if name == oldWithdrawnName {
			old, err := replaceOldList(ctx, s)
			if err != nil {
				return nil, err
			}
			for _, digest := range old {
				w[digest] = true
			}
		} else if digest, ok := strings.CutPrefix(name, withdrawnPrefix); ok {
			w[digest] = true
		}
	}
	return w, nil
}

// replaceOldList replaces the list of an earlier version by an object for each digest.
func replaceOldList(ctx context.Context, s State) (digests []string, err error) {
	data, err := s.Get(ctx, oldWithdrawnName)
	if err != nil || data == nil {
		return nil, err
	}
	var old map[string]time.Time
	// Nothing may be copied if the list cannot be read.
	if err := json.Unmarshal(data, &old); err != nil || old == nil {
		return nil, fmt.Errorf("reading state %q, the withdrawn digests: invalid content: restore an earlier version of it", oldWithdrawnName)
	}
	for digest, since := range old {
		if _, err := createWithdrawal(ctx, s, Withdrawal{Digest: digest, Since: since}); err != nil {
			return nil, err
		}
		digests = append(digests, digest)
	}
	return digests, s.Delete(ctx, oldWithdrawnName)
}

func createWithdrawal(ctx context.Context, s State, w Withdrawal) (created bool, err error) {
	data, err := json.Marshal(w)
	if err == nil {
		created, err = s.Create(ctx, withdrawnPrefix+w.Digest, data)
	}
	if err != nil {
		return false, fmt.Errorf("recording %s as withdrawn: %w", w.Digest, err)
	}
	return created, nil
}

// FindWithdrawal returns the withdrawal of a digest, nil if it is not withdrawn. A nil
// State has none.
func FindWithdrawal(ctx context.Context, s State, digest string) (*Withdrawal, error) {
	if s == nil {
		return nil, nil
	}
	data, err := s.Get(ctx, withdrawnPrefix+digest)
	if err != nil {
		return nil, fmt.Errorf("checking whether %s is withdrawn: %w", digest, err)
	}
	if data == nil {
		return nil, nil
	}
	var w Withdrawal
	if json.Unmarshal(data, &w) != nil {
		w = Withdrawal{} // its name is enough
	}
	w.Digest = digest
	return &w, nil
}

// Withdrawals returns the list of withdrawn digests with their times, the oldest first.
func Withdrawals(ctx context.Context, s State) ([]Withdrawal, error) {
	listed, err := LoadWithdrawn(ctx, s)
	if err != nil {
		return nil, err
	}
	var digests []string
	for digest := range listed {
		digests = append(digests, digest)
	}
	found := make([]*Withdrawal, len(digests))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(16)
	for i, digest := range digests {
		group.Go(func() (err error) {
			found[i], err = FindWithdrawal(ctx, s, digest)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var all []Withdrawal
	for _, w := range found {
		if w != nil { // else it was undone since
			all = append(all, *w)
		}
	}
	slices.SortFunc(all, func(a, b Withdrawal) int {
		if order := a.Since.Compare(b.Since); order != 0 {
			return order
		}
		return strings.Compare(a.Digest, b.Digest)
	})
	return all, nil
}

// recentlyWithdrawn returns the digests that were withdrawn within the last recheckFor.
func recentlyWithdrawn(ctx context.Context, s State) (map[string]bool, error) {
	names, err := s.Names(ctx, recheckPrefix)
	digests := map[string]bool{}
	for _, name := range names {
		digests[strings.TrimPrefix(name, recheckPrefix)] = true
	}
	return digests, err
}

func checkDigest(digest string) error {
	if _, ok := ParseDigest(digest); !ok {
		return fmt.Errorf("invalid digest %q: want sha256: and 64 lower-case hexadecimal digits", digest)
	}
	return nil
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
// nothing. A copy in progress either finishes its write before the digest is
// recorded, so that this deletes it, or finds the record after its write and
// deletes the blob itself.
func Withdraw(ctx context.Context, s State, buckets []*Bucket, digest string) (*Removal, error) {
	r, err := MarkWithdrawn(ctx, s, buckets, digest, time.Time{})
	if err != nil {
		return nil, err
	}
	for i, removed := range removeEverywhere(ctx, buckets, digest) {
		if removed.err != nil {
			r.Errors = append(r.Errors, removed.err)
		}
		r.Versions[i], r.Removed[i] = removed.versions, removed.err == nil
	}
	if err := removalEnded(ctx, s, buckets, digest); err != nil {
		r.Errors = append(r.Errors, err)
	}
	return r, context.Cause(ctx)
}

// removed is the result of a removal from one bucket.
type removed struct {
	versions int
	err      error
}

// removeEverywhere deletes every version of a blob in all buckets.
func removeEverywhere(ctx context.Context, buckets []*Bucket, digest string) []removed {
	out := make([]removed, len(buckets))
	// The primary first, so that S3 does not replicate the blob again.
	for i, b := range buckets {
		out[i].versions, out[i].err = b.Remove(ctx, digest)
	}
	return out
}

// MarkWithdrawn records a digest as withdrawn, so that it is not copied again, and
// removes it from the index of every bucket. The blob itself stays until Withdraw, or
// until the planner finds it after removeAfter.
func MarkWithdrawn(ctx context.Context, s State, buckets []*Bucket, digest string, removeAfter time.Time) (*Removal, error) {
	if err := checkDigest(digest); err != nil {
		return nil, err
	}
	if _, err := LoadWithdrawn(ctx, s); err != nil { // replaces an old list
		return nil, err
	}
	now := Withdrawal{Digest: digest, Since: time.Now().UTC().Truncate(time.Second), RemoveAfter: removeAfter}
	if err := recordWithdrawal(ctx, s, now); err != nil {
		return nil, err
	}
	r := &Removal{Versions: make([]int, len(buckets)), Removed: make([]bool, len(buckets))}
	entry, _ := index.Prefix(digest)
	for _, b := range buckets {
		if err := b.takeOut(ctx, []uint64{entry}); err != nil {
			r.Errors = append(r.Errors, err)
		}
	}
	return r, nil
}

// recordWithdrawal records a digest as withdrawn. The time of an earlier withdrawal
// stays.
func recordWithdrawal(ctx context.Context, s State, w Withdrawal) error {
	data, err := json.Marshal(w)
	if err == nil {
		err = s.Put(ctx, recheckPrefix+w.Digest, data)
	}
	if err != nil {
		return fmt.Errorf("recording %s as withdrawn: %w", w.Digest, err)
	}
	created, err := createWithdrawal(ctx, s, w)
	if err != nil || created {
		return err
	}
	earlier, err := FindWithdrawal(ctx, s, w.Digest)
	if err != nil || earlier != nil && earlier.RemoveAfter.Equal(w.RemoveAfter) {
		return err
	}
	if earlier != nil && !earlier.Since.IsZero() {
		w.Since = earlier.Since
	}
	if data, err = json.Marshal(w); err == nil {
		err = s.Put(ctx, withdrawnPrefix+w.Digest, data)
	}
	if err != nil {
		return fmt.Errorf("recording %s as withdrawn: %w", w.Digest, err)
	}
	return nil
}
