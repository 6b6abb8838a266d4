package copier

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"archeio/lambda/index"
)

const (
	// undonePrefix is the prefix in a State of withdrawals that were undone: DIGEST@TIME.
	// The blob may have been removed from buckets that have it according to what was listed
	// or found before. So it is in no index of that until the planner has listed it in all
	// buckets. Each name is new, so that deleting one does not delete a later one.
	undonePrefix = "undone/"
	undoneLayout = "20060102T150405.000000000Z"
	// undoneFor is how long a blob stays out of the index at least: longer than a function
	// runs, which may still save what it has found before the removal.
	undoneFor = 20 * time.Minute
)

// undoneWithdrawal is a withdrawal that was undone.
type undoneWithdrawal struct {
	name   string // in the State
	digest string
	at     time.Time // zero if the name is damaged
}

// UndoWithdrawal removes a digest from the list, so that it is copied again. It reports
// whether it was listed.
func UndoWithdrawal(ctx context.Context, s State, digest string) (listed bool, err error) {
	if err := checkDigest(digest); err != nil {
		return false, err
	}
	w, err := LoadWithdrawn(ctx, s)
	if err != nil || !w[digest] {
		return false, err
	}
	if err = recordUndone(ctx, s, digest); err == nil {
		err = s.Delete(ctx, withdrawnPrefix+digest)
	}
	if err != nil {
		return true, fmt.Errorf("undoing the withdrawal of %s: %w", digest, err)
	}
	return true, nil
}

func recordUndone(ctx context.Context, s State, digest string) error {
	return s.Put(ctx, undonePrefix+digest+"@"+time.Now().UTC().Format(undoneLayout), nil)
}

// undoneWithdrawals returns the withdrawals that were undone. A nil State has none.
func undoneWithdrawals(ctx context.Context, s State) (all []undoneWithdrawal, err error) {
	if s == nil {
		return nil, nil
	}
	names, err := s.Names(ctx, undonePrefix)
	if err != nil {
		return nil, fmt.Errorf("reading the undone withdrawals: %w", err)
	}
	for _, name := range names {
		digest, text, _ := strings.Cut(strings.TrimPrefix(name, undonePrefix), "@")
		at, _ := time.Parse(undoneLayout, text)
		all = append(all, undoneWithdrawal{name, digest, at})
	}
	return all, nil
}

// removalEnded is called after a withdrawn blob was removed. If the withdrawal was undone
// while that was in progress, what was listed or found since may be wrong too, and an index
// may have the blob again.
func removalEnded(ctx context.Context, s State, buckets []*Bucket, digest string) error {
	ctx = context.WithoutCancel(ctx)
	w, err := FindWithdrawal(ctx, s, digest)
	if err != nil || w != nil {
		return err
	}
	if err := recordUndone(ctx, s, digest); err != nil {
		return fmt.Errorf("recording the removal of %s: %w", digest, err)
	}
	entry, _ := index.Prefix(digest)
	var errs []error
	for _, b := range buckets {
		errs = append(errs, b.takeOut(ctx, []uint64{entry}))
	}
	return errors.Join(errs...)
}

// dropUndone deletes what is older than any listing that the planner still uses. The planner
// itself deletes it after the next listing.
func dropUndone(ctx context.Context, s State, now time.Time) error {
	undone, err := undoneWithdrawals(ctx, s)
	if err != nil {
		return err
	}
	for _, u := range undone {
		if now.Sub(u.at) > recheckFor {
			if err := s.Delete(ctx, u.name); err != nil {
				return err
			}
		}
	}
	return nil
}

// relistUndone makes the parts of an inventory due that have blobs whose withdrawal was
// undone. It returns the names in the State that are obsolete after such a listing.
func (f *Filler) relistUndone(ctx context.Context, inv *inventory, due []bool) (obsolete []string, err error) {
	undone, err := undoneWithdrawals(ctx, f.State)
	if err != nil || len(undone) == 0 {
		return nil, err
	}
	withdrawn, err := LoadWithdrawn(ctx, f.State)
	if err != nil {
		return nil, err
	}
	for _, u := range undone {
		if withdrawn[u.digest] { // again, or not yet undone: it may still be removed
			continue
		}
		if d, ok := ParseDigest(u.digest); ok {
			due[partOf(d, inv.Digits)] = true
		}
		if f.now().Sub(u.at) > undoneFor {
			obsolete = append(obsolete, u.name)
		}
	}
	return obsolete, nil
}
