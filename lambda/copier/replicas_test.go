package copier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/registry"
)

// TestWithdrawWhileCopyingToReplicas tests that a blob that is withdrawn while it is copied to
// one of several replicas, which share the look at the list, is in no bucket afterwards.
func TestWithdrawWhileCopyingToReplicas(t *testing.T) {
	t.Parallel()
	for paused := 1; paused <= 4; paused++ {
		for _, after := range []bool{false, true} {
			for _, parallel := range []int{1, 8} {
				t.Run(fmt.Sprintf("%d/after-%v/parallel-%d", paused, after, parallel), func(t *testing.T) {
					t.Parallel()
					m := newMemory()
					var buckets []*Bucket
					for i := range 5 {
						buckets = append(buckets, m.bucket(fmt.Sprintf("mirror-%d", i), "us-east-1"))
					}
					p := newPause(m, "copy", after)
					places := slices.Clone(buckets)
					places[paused] = through(buckets[paused], p)
					data, _ := noise(1, 1000)
					_, o, plan, digest := oneBlob(t, data, places...)
					o.State, o.CheckExisting, o.Parallel = Folder(t.TempDir()), true, parallel
					var group errgroup.Group
					group.Go(func() error { return copyPlan(t.Context(), o, plan) })
					<-p.reached
					if r, err := Withdraw(t.Context(), o.State, buckets, digest); err != nil || len(r.Errors) != 0 {
						t.Errorf("%+v, %v", r, err)
					}
					close(p.release)
					if err := group.Wait(); err != nil {
						t.Error(err)
					}
					for _, b := range buckets {
						if content(t, b, digest) != nil {
							t.Errorf("%s has the blob", b.Name)
						}
					}
				})
			}
		}
	}
}

// lookFails fails one of the requests for a withdrawn digest.
type lookFails struct {
	State
	request int32
	n       *atomic.Int32
}

func (s lookFails) Get(ctx context.Context, name string) ([]byte, error) {
	if strings.HasPrefix(name, withdrawnPrefix) && s.n.Add(1) == s.request {
		return nil, errors.New("the state is unavailable")
	}
	return s.State.Get(ctx, name)
}

// TestReplicasLookAgain tests that a failed look at the list of withdrawn blobs, before or
// after copies, is tried again.
func TestReplicasLookAgain(t *testing.T) {
	t.Parallel()
	for request := int32(1); request <= 4; request++ {
		t.Run(fmt.Sprint(request), func(t *testing.T) {
			t.Parallel()
			m := newMemory()
			data, _ := noise(1, 1000)
			buckets := []*Bucket{m.bucket("primary", "us-east-1"), m.bucket("one", "us-east-1"), m.bucket("two", "us-east-1")}
			_, o, plan, digest := oneBlob(t, data, buckets...)
			n := &atomic.Int32{}
			o.State, o.CheckExisting = lookFails{Folder(t.TempDir()), request, n}, true
			result, err := Copy(t.Context(), o, plan)
			if err != nil || len(result.Errors) != 0 || result.Copied+result.Existed != 3 || n.Load() < 5 {
				t.Errorf("result %+v, error %v, %d looks", result, err, n.Load())
			}
			for _, b := range buckets {
				if !bytes.Equal(content(t, b, digest), data) {
					t.Errorf("%s does not have the blob", b.Name)
				}
			}
		})
	}
}

// TestByBlob tests that the buckets that a blob is missing from come together.
func TestByBlob(t *testing.T) {
	t.Parallel()
	blob := func(name string) MissingBlob {
		return MissingBlob{Blob: registry.Blob{Digest: name, Size: int64(len(name))}}
	}
	for _, tt := range []struct{ buckets, want string }{
		{"", ""},
		{"a", ""}, // the primary
		{"a;;", ""},
		{"a;a b;b", "a[1] b[1 2]"},
		{"a;b ccc;a b;a ccc", "a[2 3] b[1 2] ccc[1 3]"},
		{"a;ccc b;b ccc", "b[2] ccc[1 2] b[1]"}, // not in order: each once all the same
	} {
		lists := strings.Split(tt.buckets, ";")
		missing := func(bucket int) iter.Seq[MissingBlob] {
			return func(yield func(MissingBlob) bool) {
				for _, name := range strings.Fields(lists[bucket]) {
					if !yield(blob(name)) {
						return
					}
				}
			}
		}
		var got []string
		for b, buckets := range byBlob(missing, 1, len(lists)) {
			got = append(got, b.Digest+fmt.Sprint(buckets))
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%q: %q, want %q", tt.buckets, text, tt.want)
		}
		for range byBlob(missing, 1, len(lists)) {
			break
		}
	}
}
