package copier

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"archeio/lambda/config"
	"archeio/scripts/lab/system"
)

// TestStateBucket tests a State in a bucket.
func TestStateBucket(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	servers := start(t)
	b := servers.bucket(t, system.Regions[0])
	s := StateBucket{b.Name, b.client}
	if data, err := s.Get(ctx, "x/y"); data != nil || err != nil {
		t.Errorf("a missing name has %q, %v", data, err)
	}
	if names, err := s.Names(ctx, ""); len(names) != 0 || err != nil {
		t.Errorf("names %q, %v", names, err)
	}
	long := bytes.Repeat([]byte("long"), 100_000)
	if err := errors.Join(s.Delete(ctx, "x/y"), s.Put(ctx, "x/y", []byte("1")), s.Put(ctx, "x/y", long), s.Put(ctx, "x/z", nil), s.Put(ctx, "w", nil)); err != nil {
		t.Fatal(err)
	}
	if data, err := s.Get(ctx, "x/y"); !bytes.Equal(data, long) || err != nil {
		t.Errorf("%d bytes, %v", len(data), err)
	}
	// An empty value exists.
	if data, err := s.Get(ctx, "x/z"); data == nil || len(data) != 0 || err != nil {
		t.Errorf("%v, %v", data, err)
	}
	if names, err := s.Names(ctx, "x/"); !slices.Equal(names, []string{"x/y", "x/z"}) || err != nil {
		t.Errorf("names %q, %v", names, err)
	}
	if err := s.Delete(ctx, "x/y"); err != nil {
		t.Error(err)
	}
	if data, err := s.Get(ctx, "x/y"); data != nil || err != nil {
		t.Errorf("a deleted name has %q, %v", data, err)
	}
	large := largeBucket(t, servers)
	if names, err := (StateBucket{large.Name, large.client}).Names(ctx, config.BlobPrefix); len(names) < moreThanAPage || err != nil {
		t.Errorf("%d names, %v", len(names), err)
	}
}

// TestStateBucketErrors tests that errors are one line with the operation.
func TestStateBucketErrors(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	b := start(t).bucket(t, system.Regions[0])
	for _, tt := range []struct {
		name  string
		state StateBucket
		wrong string
	}{
		{"missing", StateBucket{"does-not-exist", b.client}, "the bucket does not exist"},
		{"not-ours", StateBucket{b.Name, withLogin(b, aws.AnonymousCredentials{}).client}, "access denied"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, got := tt.state.Get(ctx, "x")
			_, names := tt.state.Names(ctx, "")
			for does, err := range map[string]error{"reading x": got, "listing": names, "writing x": tt.state.Put(ctx, "x", nil), "deleting x": tt.state.Delete(ctx, "x")} {
				oneLineOf(t, err, "state: ", fmt.Sprintf("bucket %q: %s", tt.state.Name, does), tt.wrong)
			}
		})
	}
}
