package copier

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// failing is a State that cannot be written.
type failing struct{ State }

func (failing) Put(context.Context, string, []byte) error { return errors.New("the disk is full") }

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
	before, err := LoadWithdrawn(t.Context(), state)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = Withdraw(t.Context(), state, s.buckets, digest); err != nil || !slices.Equal(r.Versions, []int{1, 0}) || len(r.Errors) != 0 {
		t.Errorf("%+v, error %v", r, err)
	}
	withdrawn, err := LoadWithdrawn(t.Context(), state)
	if err != nil || !slices.Equal(slices.Sorted(maps.Keys(withdrawn)), []string{digest}) || !withdrawn[digest].Equal(before[digest]) {
		t.Errorf("withdrawn are %v, error %v", withdrawn, err)
	}

	o.Withdrawn = withdrawn
	plan, result := planAndCopy(t.Context(), t, o)
	if plan.Withdrawn != 1 || result.Copied != 0 || content(t, s.buckets[0], digest) != nil || content(t, s.buckets[1], digest) != nil {
		t.Errorf("plan %+v, result %+v", plan, result)
	}
	delete(s.blobs, digest)
	s.allWhole(t)
}

// TestWithdrawDamaged tests that nothing is deleted if the list is unreadable.
func TestWithdrawDamaged(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.buckets[0]
	put(t, b, a, []byte("1"))
	state := Folder(t.TempDir())
	for _, text := range []string{"", "null", "[]", `{"sha256:a"`, `{"sha256:a":"yesterday"}`} {
		if err := state.Put(t.Context(), withdrawnName, []byte(text)); err != nil {
			t.Fatal(err)
		}
		_, err := LoadWithdrawn(t.Context(), state)
		oneLineOf(t, err, withdrawnName)
		_, err = Withdraw(t.Context(), state, s.buckets, a)
		oneLineOf(t, err, withdrawnName)
	}
	if content(t, b, a) == nil {
		t.Error("it was deleted")
	}
}
