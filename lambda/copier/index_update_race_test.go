package copier

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestIndexUpdateRaces tests that nothing is lost, and nothing returns, if the planner or
// an update of the index is interrupted by another writer at any moment.
func TestIndexUpdateRaces(t *testing.T) {
	t.Parallel()
	plan := func(t *testing.T, f *Filler) error { _, err := f.Plan(t.Context()); return err }
	update := func(t *testing.T, f *Filler) error { f.updateIndex(t.Context(), Message{}); return nil }
	for _, tt := range []struct {
		name   string
		paused func(t *testing.T, f *Filler) error
		kinds  []string // of the request to a bucket at which it is interrupted
		other  func(t *testing.T, x *filled) error
	}{
		{"planner-by-update", plan, []string{"list", "get", "put"}, func(t *testing.T, x *filled) error { x.findMore(t); return update(t, x.Filler) }},
		{"update-by-planner", update, []string{"get", "put"}, func(t *testing.T, x *filled) error { x.findMore(t); return plan(t, x.Filler) }},
		{"planner-by-withdrawal", plan, []string{"get", "put"}, withdrawFirst},
		{"update-by-withdrawal", update, []string{"get", "put"}, withdrawFirst},
		{"planner-by-withdrawal-of-the-new-blob", plan, []string{"get", "put"}, withdrawNew},
		{"update-by-withdrawal-of-the-new-blob", update, []string{"get", "put"}, withdrawNew},
	} {
		for _, kind := range tt.kinds {
			for bucket := range 2 {
				t.Run(fmt.Sprintf("%s/%s/%d", tt.name, kind, bucket), func(t *testing.T) {
					t.Parallel()
					for _, after := range []bool{false, true} {
						x := newFilled(t, 2)
						x.copyNew(t)
						x.late = nil // lost
						p := newPause(x.memory, kind, after)
						paused := &Filler{Source: x.Source, State: x.State, Queue: x.Queue, Buckets: slices.Clone(x.Buckets), Regions: x.Regions, Log: x.Log, Metrics: x.metrics}
						paused.Buckets[bucket] = through(x.Buckets[bucket], p)
						var group errgroup.Group
						group.Go(func() error { return tt.paused(t, paused) })
						<-p.reached
						err := tt.other(t, x)
						close(p.release)
						if err := errors.Join(err, group.Wait()); err != nil {
							t.Fatal(err)
						}
						x.hold(t)
						x.update(t)
						x.indexed(t, x.blobs...)
						if log := x.log.String(); strings.Contains(log, "level=ERROR") {
							t.Error(log)
						}
					}
				})
			}
		}
	}
}

// findMore adds a blob that is in all buckets, and that a worker has found.
func (x *filled) findMore(t *testing.T) {
	t.Helper()
	digest := putBlob(t, "more", x.Buckets...)
	x.found(t, digest, 0, 1)
	x.blobs = append(x.blobs, digest)
}

// withdrawFirst withdraws the first blob.
func withdrawFirst(t *testing.T, x *filled) error {
	digest := x.blobs[0]
	x.blobs = x.blobs[1:]
	return withdraw(t, x, digest)
}

// withdrawNew withdraws the blob that the index does not have yet.
func withdrawNew(t *testing.T, x *filled) error {
	digest := x.blobs[1]
	x.blobs = x.blobs[:1]
	return withdraw(t, x, digest)
}

func withdraw(t *testing.T, x *filled, digest string) error {
	r, err := Withdraw(t.Context(), x.State, x.Buckets, digest)
	if err != nil {
		return err
	}
	return errors.Join(r.Errors...)
}
