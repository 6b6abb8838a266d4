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

// failing is a State that keeps nothing.
type failing struct{ State }

func (failing) Put(context.Context, string, []byte) error { return errors.New("the disk is full") }

// What is withdrawn is listed first, goes from everywhere with all its versions,
// and is not copied again.
func TestWithdraw(t *testing.T) {
	s := start(t)
	s.fill(t)
	for _, b := range s.buckets {
		if _, err := b.client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: &b.Name,
			VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled}}); err != nil {
			t.Fatal(err)
		}
	}
	o := s.options(t, nil)
	_, result := makeAndCopy(t.Context(), t, o)
	if len(result.Errors) != 0 {
		t.Fatal(result.Errors)
	}
	digest := anyOf(s.blobs)
	put(t, s.buckets[1], digest, []byte("another version"))
	state := Folder(t.TempDir())

	if _, err := Withdraw(t.Context(), failing{state}, s.buckets, digest); err == nil || content(t, s.buckets[0], digest) == nil {
		t.Errorf("it was removed although it could not be listed, error %v", err)
	}
	for name, wrong := range map[string]string{"tag": "latest", "short": "sha256:abc", "key": *key(digest)} {
		if _, err := Withdraw(t.Context(), state, s.buckets, wrong); err == nil {
			t.Errorf("a %s is taken for a digest", name)
		} else {
			oneLineOf(t, err, "takes a digest")
		}
	}

	// One bucket refuses; the others are done.
	refusing := withLogin(s.buckets[0], aws.AnonymousCredentials{})
	r, err := Withdraw(t.Context(), state, []*Bucket{refusing, s.buckets[1]}, digest)
	if err != nil || !slices.Equal(r.Versions, []int{0, 2}) || len(r.Errors) == 0 {
		t.Fatalf("%+v, error %v", r, err)
	}
	for _, err := range r.Errors {
		oneLineOf(t, err, refusing.Name, "these credentials may not")
	}
	if content(t, s.buckets[0], digest) == nil || content(t, s.buckets[1], digest) != nil {
		t.Error("it was removed from the wrong bucket")
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
	plan, result := makeAndCopy(t.Context(), t, o)
	if plan.Withdrawn != 1 || result.Copied != 0 || content(t, s.buckets[0], digest) != nil || content(t, s.buckets[1], digest) != nil {
		t.Errorf("plan %+v, result %+v", plan, result)
	}
	delete(s.blobs, digest)
	s.allWhole(t)
}

// Nothing is done where the list cannot be read.
func TestWithdrawDamaged(t *testing.T) {
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
		t.Error("it was removed")
	}
}
