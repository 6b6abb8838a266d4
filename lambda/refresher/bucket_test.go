package refresher

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/scripts/lab/system"
)

// TestBucket runs against an S3 server: what replaces an object that another run has
// changed is refused, and of refreshers that run at once one publishes.
func TestBucket(t *testing.T) {
	t.Parallel()
	servers, err := system.Start(t.Context(), system.Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	defer servers.Stop()
	region := system.Regions[0]
	bucket := func(name string) Bucket {
		b := Bucket{name, servers.S3(region)}
		if _, err := b.Client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := bucket("refresher")
	put := func(key, data, replaces string, want error) string {
		t.Helper()
		etag, err := b.Put(t.Context(), key, []byte(data), replaces)
		if !errors.Is(err, want) {
			t.Fatalf("Put(%s, replacing %q): error %v, want %v", key, replaces, err, want)
		}
		return etag
	}
	if data, etag, err := b.Get(t.Context(), "a/x"); data != nil || etag != "" || err != nil {
		t.Fatalf("Get of a missing object: %q, %q, %v; want nothing", data, etag, err)
	}
	first := put("a/x", "1", "", nil)
	put("a/x", "2", "", ErrChanged)
	second := put("a/x", "2", first, nil)
	put("a/x", "3", first, ErrChanged)
	if data, etag, err := b.Get(t.Context(), "a/x"); string(data) != "2" || etag != second || err != nil {
		t.Errorf("Get: %q, %q, %v; want 2 with the tag of the last Put, %q", data, etag, err, second)
	}
	put("a/y", "1", first, ErrChanged)
	put("b", "1", "", nil)
	if keys, err := b.Keys(t.Context(), "a/"); err != nil || !slices.Equal(keys, []string{"a/x"}) {
		t.Errorf("Keys: %q, %v; want a/x", keys, err)
	}
	if err := errors.Join(b.Delete(t.Context(), "a/x"), b.Delete(t.Context(), "a/x")); err != nil {
		t.Error(err)
	}
	put("a/x", "1", second, ErrChanged)

	w := newWorld(t)
	state, mirror := bucket("state"), bucket("mirror")
	for key, data := range w.state.objects {
		if _, err := state.Put(t.Context(), key, data, ""); err != nil {
			t.Fatal(err)
		}
	}
	w.add("eu-west-3")
	w.State, w.Mirrors = state, map[string]Store{region: mirror}
	w.Mail, w.Log, w.Metrics = nil, slog.New(slog.DiscardHandler), io.Discard
	outcomes := make([]string, 3)
	var group sync.WaitGroup
	for i := range outcomes {
		group.Go(func() {
			result, err := w.Run(t.Context(), nil)
			outcomes[i] = result.Outcome
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	slices.Sort(outcomes)
	if want := []string{Published, Unchanged, Unchanged}; !slices.Equal(outcomes, want) {
		t.Errorf("outcomes %q, want %q", outcomes, want)
	}
	w.near.objects[tableKey], _, err = mirror.Get(t.Context(), tableKey)
	if got := regionIn(t, w.near); err != nil || got != "eu-west-3" {
		t.Errorf("region %q, error %v; want eu-west-3", got, err)
	}
}
