package copier

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestIndexUpdateStale tests that a message does nothing if the index was updated since it
// was sent.
func TestIndexUpdateStale(t *testing.T) {
	t.Parallel()
	x := newFilled(t, 2)
	x.log.Reset()
	updates := func(want int) {
		t.Helper()
		if got := strings.Count(x.log.String(), "blob index updated"); got != want {
			t.Errorf("%d updates, want %d\n%s", got, want, x.log)
		}
	}
	x.copyNew(t)
	stale := x.late[0]
	x.late = nil
	x.plan(t) // writes the index
	x.hold(t)
	x.deliver(t, stale)
	updates(0)
	digest := x.copyNew(t)
	x.deliver(t, stale)
	updates(0)
	if indexOf(t, x.Buckets[0]).Has(digest) {
		t.Error("a stale message has updated the index")
	}
	current := x.late[0]
	x.update(t)
	updates(1)
	x.deliver(t, current) // delivered twice
	updates(1)
	x.indexed(t, x.blobs...)
}

// TestIndexUpdateRetry tests that an update of the index that has failed is repeated, but
// not forever, and keeps what it had found.
func TestIndexUpdateRetry(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		kind     string // of the request that fails
		failures int
		messages int
		indexed  int // blobs in the end
	}{
		{"check", "head", 1, 2, 2},
		{"write", "put", 1, 2, 2},
		{"last-try", "head", maxIndexFailures - 1, maxIndexFailures, 2},
		{"check-always", "head", 100, maxIndexFailures, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newFilled(t, 2)
			blobs := []string{putBlob(t, "one", x.Buckets...), putBlob(t, "two", x.Buckets...)}
			slices.Sort(blobs) // the order of the checks
			for _, digest := range blobs {
				x.found(t, digest, 0)
			}
			failures := 0
			x.Buckets[1] = through(x.Buckets[1], wire(func(r *http.Request) (*http.Response, error) {
				if atBucket(r) == tt.kind && !strings.HasSuffix(r.URL.Path, blobs[0]) && failures < tt.failures {
					failures++
					return refuse(r, http.StatusBadRequest, "InvalidRequest")
				}
				return x.memory.Do(r)
			}))
			messages := 0
			for x.hold(t); len(x.late) > 0; x.hold(t) {
				x.update(t)
				if messages++; messages == 1 && tt.kind == "head" {
					x.indexed(t, x.blobs[0], blobs[0])
				}
			}
			if messages != tt.messages {
				t.Errorf("%d messages, want %d\n%s", messages, tt.messages, x.log)
			}
			x.indexed(t, append(x.blobs, blobs[:tt.indexed]...)...)
			if !strings.Contains(x.log.String(), "updating the blob index failed") {
				t.Error("the error is not logged")
			}
		})
	}
}
