package copier

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// failing is a State that cannot be written.
type failing struct{ State }

func (failing) Put(context.Context, string, []byte) error { return errFull }

func (failing) Create(context.Context, string, []byte) (bool, error) { return false, errFull }

var errFull = errors.New("the disk is full")

// TestWithdraw tests that a digest is recorded first, deleted from all buckets with
// all versions, and not copied again.
func TestWithdraw(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.fill(t)
	for _, b := range s.buckets {
		if _, err := b.client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &b.Name,
			VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled}}); err != nil {
			t.Fatal(err)
		}
	}
	o := s.options(t, nil)
	_, result := planAndCopy(t.Context(), t, o)
	if len(result.Errors) != 0 {
		t.Fatal(result.Errors)
	}
	digest := anyOf(s.blobs)
	put(t, s.buckets[1], digest, []byte("another version"))
	state := Folder(t.TempDir())

	if _, err := Withdraw(t.Context(), failing{state}, s.buckets, digest); err == nil || content(t, s.buckets[0], digest) == nil {
		t.Errorf("it was deleted although it was not recorded, error %v", err)
	}
	for name, wrong := range map[string]string{"tag": "latest", "short": "sha256:abc", "key": *key(digest)} {
		if _, err := Withdraw(t.Context(), state, s.buckets, wrong); err == nil {
			t.Errorf("a %s is accepted as a digest", name)
		} else {
			oneLineOf(t, err, "want sha256: and 64")
		}
	}

	// One bucket denies access; the others are done.
	refusing := withLogin(s.buckets[0], aws.AnonymousCredentials{})
	r, err := Withdraw(t.Context(), state, []*Bucket{refusing, s.buckets[1]}, digest)
	if err != nil || !slices.Equal(r.Versions, []int{0, 2}) || !slices.Equal(r.Removed, []bool{false, true}) || len(r.Errors) == 0 {
		t.Fatalf("%+v, error %v", r, err)
	}
	for _, err := range r.Errors {
		oneLineOf(t, err, refusing.Name, "access denied")
	}
	if content(t, s.buckets[0], digest) == nil || content(t, s.buckets[1], digest) != nil {
		t.Error("it was deleted from the wrong bucket")
	}
	before, err := FindWithdrawal(t.Context(), state, digest)
	if err != nil || before == nil {
		t.Fatal(before, err)
	}
	if r, err = Withdraw(t.Context(), state, s.buckets, digest); err != nil || !slices.Equal(r.Versions, []int{1, 0}) || len(r.Errors) != 0 {
		t.Errorf("%+v, error %v", r, err)
	}
	withdrawn, err := LoadWithdrawn(t.Context(), state)
	if err != nil || !slices.Equal(slices.Sorted(maps.Keys(withdrawn)), []string{digest}) {
		t.Errorf("withdrawn are %v, error %v", withdrawn, err)
	}
	if all, err := Withdrawals(t.Context(), state); err != nil || !slices.Equal(all, []Withdrawal{*before}) {
		t.Errorf("withdrawals are %v, error %v, want %v", all, err, before)
	}

	o.Withdrawn = withdrawn
	plan, result := planAndCopy(t.Context(), t, o)
	if plan.Withdrawn != 1 || result.Copied != 0 || content(t, s.buckets[0], digest) != nil || content(t, s.buckets[1], digest) != nil {
		t.Errorf("plan %+v, result %+v", plan, result)
	}
	delete(s.blobs, digest)
	s.allWhole(t)
}

// TestWithdrawOldList tests that the list of an earlier version is replaced, and that
// nothing is deleted if it is unreadable.
func TestWithdrawOldList(t *testing.T) {
	t.Parallel()
	m := newMemory()
	x := m.bucket("primary", "us-east-1")
	put(t, x, a, []byte("1"))
	state := Folder(t.TempDir())
	for _, text := range []string{"", "null", "[]", `{"sha256:a"`, `{"sha256:a":"yesterday"}`} {
		if err := state.Put(t.Context(), oldWithdrawnName, []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, err := LoadWithdrawn(t.Context(), state)
		oneLineOf(t, err, oldWithdrawnName)
		_, err = Withdraw(t.Context(), state, []*Bucket{x}, a)
		oneLineOf(t, err, oldWithdrawnName)
	}
	if content(t, x, a) == nil {
		t.Error("it was deleted")
	}
	if err := state.Put(t.Context(), oldWithdrawnName, []byte(`{"`+a+`":"2026-01-02T03:04:05Z"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := Withdraw(t.Context(), state, []*Bucket{x}, b); err != nil {
		t.Fatal(err)
	}
	all, err := Withdrawals(t.Context(), state)
	if err != nil || len(all) != 2 || all[0].Digest != a || all[0].Since.Year() != 2026 || all[1].Digest != b {
		t.Errorf("withdrawals are %v, error %v", all, err)
	}
	if left, err := state.Get(t.Context(), oldWithdrawnName); left != nil || err != nil {
		t.Errorf("the old list is still there: %s, %v", left, err)
	}
}

// TestWithdrawalDamaged tests that a digest is withdrawn although its entry is damaged.
func TestWithdrawalDamaged(t *testing.T) {
	t.Parallel()
	state := Folder(t.TempDir())
	if err := state.Put(t.Context(), withdrawnPrefix+a, []byte("{")); err != nil {
		t.Fatal(err)
	}
	w, err := FindWithdrawal(t.Context(), state, a)
	if err != nil || w == nil || *w != (Withdrawal{Digest: a}) {
		t.Errorf("withdrawal %v, error %v", w, err)
	}
}

// states are a State of each kind.
func states(t *testing.T) map[string]State {
	bucket := newMemory().bucket("state", "us-east-1")
	return map[string]State{"folder": Folder(t.TempDir()), "bucket": StateBucket{Name: bucket.Name, Client: bucket.client}}
}

// TestWithdrawAtOnce tests that withdrawals at the same time lose nothing, and that of
// several of the same digest one is the first.
func TestWithdrawAtOnce(t *testing.T) {
	t.Parallel()
	for name, state := range states(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			buckets := []*Bucket{newMemory().bucket("primary", "us-east-1")}
			var group errgroup.Group
			for i := range 40 {
				group.Go(func() error {
					_, err := Withdraw(t.Context(), state, buckets, blobOf([]byte{byte(i / 2)}).Digest)
					return err
				})
			}
			if err := group.Wait(); err != nil {
				t.Fatal(err)
			}
			if w, err := LoadWithdrawn(t.Context(), state); err != nil || len(w) != 20 {
				t.Errorf("%d digests are withdrawn, error %v, want 20", len(w), err)
			}
		})
	}
}

// TestCreate tests that a name of a State is created once.
func TestCreate(t *testing.T) {
	t.Parallel()
	for name, state := range states(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var created atomic.Int64
			var group errgroup.Group
			for i := range 20 {
				group.Go(func() error {
					first, err := state.Create(t.Context(), "below/name", []byte{byte(i)})
					if first {
						created.Add(1)
					}
					return err
				})
			}
			if err := group.Wait(); err != nil || created.Load() != 1 {
				t.Errorf("created %d times, error %v", created.Load(), err)
			}
			if names, err := state.Names(t.Context(), ""); err != nil || len(names) != 1 {
				t.Errorf("names %q, error %v", names, err)
			}
		})
	}
}

// TestUndoWithdrawal tests that a blob is copied again after its withdrawal was undone.
func TestUndoWithdrawal(t *testing.T) {
	t.Parallel()
	for name, state := range states(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := UndoWithdrawal(t.Context(), state, "latest"); err == nil {
				t.Error("a tag is accepted as a digest")
			}
			if _, err := Withdraw(t.Context(), state, nil, a); err != nil {
				t.Fatal(err)
			}
			for digest, want := range map[string]bool{a: true, b: false} {
				if listed, err := UndoWithdrawal(t.Context(), state, digest); listed != want || err != nil {
					t.Errorf("%s was listed: %v, error %v", digest, listed, err)
				}
			}
			if w, err := LoadWithdrawn(t.Context(), state); err != nil || len(w) != 0 {
				t.Errorf("withdrawn are still %v, error %v", w, err)
			}
		})
	}
}
