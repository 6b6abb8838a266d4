package copier

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sync/errgroup"
)

// undoing is a deployment with parts that are too large for the replica to be listed in
// each run, and a blob of the source.
type undoing struct {
	*filled
	digest string
}

func newUndoing(t *testing.T) *undoing {
	t.Helper()
	x := newFilled(t, 2)
	strays := &generated{blobs: smallPart + 100}
	for _, b := range x.Buckets {
		b.pages = func(_, _ string, yield func(Digest, int64)) (last string, err error) {
			var all []Digest
			for i := range strays.blobs {
				all = append(all, strays.digest(i))
			}
			for digest := range x.memory.blobs(b) {
				d, _ := ParseDigest(digest)
				all = append(all, d)
			}
			slices.SortFunc(all, func(a, b Digest) int { return bytes.Compare(a[:], b[:]) })
			for _, d := range all {
				yield(d, 1)
			}
			return "", nil
		}
	}
	x.round(t)
	return &undoing{x, x.blobs[0]}
}

// round runs the planner and the workers. The index has no blob that a bucket does not have.
func (x *filled) round(t *testing.T) {
	t.Helper()
	for _, step := range []func(*testing.T){x.plan, x.hold, x.update} {
		step(t)
		x.onlyThere(t, x.blobs[0])
	}
}

// onlyThere checks that no index has a blob that a bucket does not have.
func (x *filled) onlyThere(t *testing.T, digest string) {
	t.Helper()
	for _, b := range x.Buckets {
		if there := content(t, b, digest) != nil; !there && x.isIndexed(t, digest) {
			t.Errorf("the index has %s, which is not in %s", digest, b.Name)
		}
	}
}

func (x *filled) isIndexed(t *testing.T, digest string) bool {
	t.Helper()
	return indexOf(t, x.Buckets[0]).Has(digest) || indexOf(t, x.Buckets[1]).Has(digest)
}

func (x *undoing) withdraw(t *testing.T) {
	t.Helper()
	if _, err := Withdraw(t.Context(), x.State, x.Buckets, x.digest); err != nil {
		t.Fatal(err)
	}
}

// mark withdraws the blob, which stays until the planner removes it.
func (x *undoing) mark(t *testing.T, until time.Time) {
	t.Helper()
	if _, err := MarkWithdrawn(t.Context(), x.State, x.Buckets, x.digest, until); err != nil {
		t.Fatal(err)
	}
}

func (x *undoing) remove(t *testing.T, b *Bucket) {
	t.Helper()
	if _, err := b.Remove(t.Context(), x.digest); err != nil {
		t.Fatal(err)
	}
}

func (x *undoing) undo(t *testing.T) {
	t.Helper()
	if listed, err := UndoWithdrawal(t.Context(), x.State, x.digest); err != nil || !listed {
		t.Fatalf("it was listed: %v, error %v", listed, err)
	}
}

// pass lets the time pass that a function may run.
func (x *undoing) pass(t *testing.T) {
	t.Helper()
	undone, err := undoneWithdrawals(t.Context(), x.State)
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range undone {
		older := undonePrefix + u.digest + "@" + u.at.Add(-2*undoneFor).Format(undoneLayout)
		if err := errors.Join(x.State.Delete(t.Context(), u.name), x.State.Put(t.Context(), older, nil)); err != nil {
			t.Fatal(err)
		}
	}
}

// during does something while a request of a kind to the replica is stopped.
func (x *undoing) during(t *testing.T, kind string, begin func(replica *Bucket) error, do func()) {
	t.Helper()
	p := newPause(x.memory, kind, false)
	var group errgroup.Group
	group.Go(func() error { return begin(through(x.Buckets[1], p)) })
	<-p.reached
	do()
	close(p.release)
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
	x.onlyThere(t, x.digest)
}

// behind runs rounds that cannot read all that workers have found, among it what was found
// before the blob was removed.
func (x *undoing) behind(t *testing.T, limits foundLimits) {
	t.Helper()
	var stale found
	stale.add(1, x.digest)
	for i := range 8 {
		var f found
		f.add(0, blobOf([]byte{byte(i)}).Digest)
		if _, err := f.save(t.Context(), x.State, x.bucketNames()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := stale.save(t.Context(), x.State, x.bucketNames()); err != nil {
		t.Fatal(err)
	}
	x.withdraw(t)
	x.undo(t)
	x.pass(t)
	x.limits = limits
	for range 3 {
		x.plan(t)
		x.onlyThere(t, x.digest)
	}
	if undone, err := undoneWithdrawals(t.Context(), x.State); err != nil || len(undone) == 0 {
		t.Errorf("undone withdrawals %v, error %v, want one until all is read", undone, err)
	}
	x.limits = foundLimits{}
}

// TestUndoneNotIndexedEarly tests that after an undone withdrawal the index has the blob
// only if all buckets have it, in whichever order that is done, and that it has it again
// after two rounds.
func TestUndoneNotIndexedEarly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, x *undoing)
	}{
		{"removed", func(t *testing.T, x *undoing) {
			x.withdraw(t)
			x.undo(t)
		}},
		{"removed-and-planned", func(t *testing.T, x *undoing) {
			x.withdraw(t)
			x.round(t)
			x.undo(t)
		}},
		{"not-removed", func(t *testing.T, x *undoing) {
			x.mark(t, time.Now().Add(time.Hour))
			x.undo(t)
		}},
		{"removed-from-the-primary-only", func(t *testing.T, x *undoing) {
			x.mark(t, time.Time{})
			x.remove(t, x.Buckets[0])
			x.undo(t)
		}},
		{"withdrawn-again", func(t *testing.T, x *undoing) {
			x.withdraw(t)
			x.undo(t)
			x.round(t)
			x.withdraw(t)
			x.pass(t)
			x.round(t)
			x.undo(t)
		}},
		{"killed-while-undoing", func(t *testing.T, x *undoing) {
			x.withdraw(t)
			if err := recordUndone(t.Context(), x.State, x.digest); err != nil {
				t.Fatal(err)
			}
			x.pass(t)
			x.round(t)
			x.undo(t)
		}},
		{"killed-while-undoing-before-the-removal", func(t *testing.T, x *undoing) {
			x.mark(t, time.Now().Add(time.Hour))
			if err := recordUndone(t.Context(), x.State, x.digest); err != nil {
				t.Fatal(err)
			}
			x.pass(t)
			x.round(t)
			x.withdraw(t)
			// The process that was undoing it goes on.
			if err := x.State.Delete(t.Context(), withdrawnPrefix+x.digest); err != nil {
				t.Fatal(err)
			}
		}},
		{"undone-twice-at-once", func(t *testing.T, x *undoing) {
			x.withdraw(t)
			var group errgroup.Group
			for range 2 {
				group.Go(func() error {
					_, err := UndoWithdrawal(t.Context(), x.State, x.digest)
					return err
				})
			}
			if err := group.Wait(); err != nil {
				t.Error(err)
			}
		}},
		{"undone-while-removing", func(t *testing.T, x *undoing) {
			x.during(t, "delete", func(replica *Bucket) error {
				_, err := Withdraw(t.Context(), x.State, []*Bucket{x.Buckets[0], replica}, x.digest)
				return err
			}, func() {
				x.undo(t)
				x.round(t)
			})
		}},
		{"listed-while-removing", func(t *testing.T, x *undoing) {
			x.during(t, "delete", func(replica *Bucket) error {
				_, err := Withdraw(t.Context(), x.State, []*Bucket{x.Buckets[0], replica}, x.digest)
				return err
			}, func() {
				x.undo(t)
				x.round(t)
				x.pass(t)
				x.round(t)
				if !x.isIndexed(t, x.digest) {
					t.Error("the index does not have it, so this shows nothing")
				}
			})
		}},
		{"listed-while-the-planner-removes", func(t *testing.T, x *undoing) {
			x.mark(t, time.Time{})
			x.during(t, "delete", func(replica *Bucket) error {
				_, err := RemoveWithdrawn(t.Context(), x.State, []*Bucket{x.Buckets[0], replica}, nil, time.Now())
				return err
			}, func() {
				x.undo(t)
				x.pass(t)
				x.round(t)
				x.round(t)
			})
		}},
		{"undone-while-a-copy-removes", func(t *testing.T, x *undoing) {
			x.during(t, "delete", func(replica *Bucket) error {
				err := unlessWithdrawn(t.Context(), x.State, replica, x.digest, func() error {
					_, err := MarkWithdrawn(t.Context(), x.State, x.Buckets, x.digest, time.Time{})
					return err
				})
				return ignore(err, ErrWithdrawn)
			}, func() {
				x.undo(t)
				x.pass(t)
			})
			if undone, err := undoneWithdrawals(t.Context(), x.State); err != nil || len(undone) != 2 {
				t.Errorf("undone withdrawals %v, error %v, want a second one by the end of the removal", undone, err)
			}
		}},
		{"found-before-the-removal", func(t *testing.T, x *undoing) {
			x.withdraw(t)
			x.undo(t)
			x.round(t)
			x.mark(t, time.Time{})
			x.remove(t, x.Buckets[1])
			x.undo(t)
			x.found(t, x.digest, 0, 1) // saved by a worker that has begun before
		}},
		{"found-too-many-to-list", func(t *testing.T, x *undoing) { x.behind(t, foundLimits{1, 1, 1 << 20}) }},
		{"found-too-much-to-read", func(t *testing.T, x *undoing) { x.behind(t, foundLimits{20, 1, 1}) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newUndoing(t)
			if !x.isIndexed(t, x.digest) {
				t.Fatal("the index does not have the blob before")
			}
			tt.do(t, x)
			x.onlyThere(t, x.digest)
			x.round(t)
			x.pass(t)
			x.round(t)
			x.round(t)
			for _, b := range x.Buckets {
				if there := content(t, b, x.digest) != nil; !there || !indexOf(t, b).Has(x.digest) {
					t.Errorf("%s has the blob: %v, its index: %v, want both\n%s", b.Name, there, indexOf(t, b).Has(x.digest), x.log)
				}
			}
			if left, err := x.State.Names(t.Context(), undonePrefix); err != nil || len(left) != 0 {
				t.Errorf("the state still has %q, error %v", left, err)
			}
		})
	}
}

// TestUndoneInListedIndex tests that the index of a shell, which lists all buckets, has a
// blob whose withdrawal was undone, unless that was after the listing began.
func TestUndoneInListedIndex(t *testing.T) {
	t.Parallel()
	m := newMemory()
	buckets := []*Bucket{m.bucket("primary", "us-east-1"), m.bucket("replica", "eu-central-1")}
	digest := putBlob(t, "blob", buckets...)
	putBlob(t, "other", buckets...)
	state := newMemoryState()
	if _, err := MarkWithdrawn(t.Context(), state, buckets, digest, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := UndoWithdrawal(t.Context(), state, digest); err != nil {
		t.Fatal(err)
	}
	list := func(want bool) {
		t.Helper()
		if _, err := ListIndex(t.Context(), state, IndexOptions{Buckets: buckets}); err != nil {
			t.Fatal(err)
		}
		if has := indexOf(t, buckets[1]).Has(digest); has != want {
			t.Errorf("the index has the blob: %v, want %v", has, want)
		}
	}
	list(true)
	buckets[0].pages = func(digits, after string, yield func(Digest, int64)) (string, error) {
		listed := *buckets[0]
		listed.pages = nil
		last, err := listed.page(t.Context(), digits, after, yield)
		return last, errors.Join(err, recordUndone(t.Context(), state, digest)) // another process removes it
	}
	list(false)
	buckets[0].pages = nil
	list(true)
}

// TestUndoneDropped tests that a state without a planner does not keep undone withdrawals.
func TestUndoneDropped(t *testing.T) {
	t.Parallel()
	state := newMemoryState()
	if err := errors.Join(recordUndone(t.Context(), state, a), state.Put(t.Context(), undonePrefix+b, nil)); err != nil {
		t.Fatal(err)
	}
	for after, want := range map[time.Duration]int{0: 1, recheckFor + time.Minute: 0} {
		t.Run(after.String(), func(t *testing.T) {
			copied := newMemoryState()
			for name, data := range state.values {
				copied.values[name] = data
			}
			if _, err := RemoveWithdrawn(t.Context(), copied, nil, nil, time.Now().Add(after)); err != nil {
				t.Fatal(err)
			}
			names, err := copied.Names(t.Context(), undonePrefix)
			if err != nil || len(names) != want || want > 0 && !strings.Contains(names[0], a) {
				t.Errorf("the state has %q, error %v, want %d names", names, err, want)
			}
		})
	}
}

// TestRecheckAfterUndo tests that a withdrawal that begins while the planner checks an
// undone one is checked again too.
func TestRecheckAfterUndo(t *testing.T) {
	t.Parallel()
	state := newMemoryState()
	if err := recordWithdrawal(t.Context(), state, Withdrawal{Digest: a, Since: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if _, err := UndoWithdrawal(t.Context(), state, a); err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{0, recheckFor + time.Minute} {
		if _, err := RemoveWithdrawn(t.Context(), state, nil, nil, time.Now().Add(after)); err != nil {
			t.Fatal(err)
		}
		if recent, err := recentlyWithdrawn(t.Context(), state); err != nil || recent[a] != (after == 0) {
			t.Errorf("after %v: recently withdrawn: %v, error %v", after, recent, err)
		}
	}
}

// TestKilledInIndex tests that a run that ends while it writes the index continues after
// the listing: what workers have found before is in the inventory and nowhere else.
func TestKilledInIndex(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const blobs = 70_000 // 16 parts
		f, all, state, _ := generate(2, blobs)
		if _, err := f.Plan(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.Queue.(*memoryQueue).waiting = nil
		added := all[0].digest(blobs - 1)
		added[keySize-1]++
		for i, b := range f.Buckets {
			b.pages = func(digits, after string, yield func(Digest, int64)) (string, error) {
				time.Sleep(saveInterval / 8)
				last, err := all[i].page(digits, after, yield)
				if digits == "f" && last == "" {
					yield(added, 1)
				}
				return last, err
			}
		}
		var x found
		x.add(1, added.String())
		if _, err := x.save(t.Context(), state, f.bucketNames()); err != nil {
			t.Fatal(err)
		}
		ctx, kill := context.WithCancel(t.Context())
		f.State = killing{state, ctx, kill}
		if _, err := f.Plan(ctx); err == nil {
			t.Fatal("the run was not killed")
		}
		f.State = state
		var j job
		if _, err := f.read(t.Context(), jobName(doPlan), &j); err != nil || j.Inventory == nil || j.Listed || j.Done {
			t.Fatalf("job %+v, error %v, want one that has begun to list", j, err)
		}
		if err := f.Work(t.Context(), `{"do":"plan","run":"`+j.Run+`"}`); err != nil {
			t.Fatal(err)
		}
		h, err := f.loadHoldings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := h.mask(added); got != 0b11 {
			t.Errorf("mask %b of what a worker has found, want 11", got)
		}
		if names, err := state.Names(t.Context(), foundPrefix); err != nil || len(names) > 0 {
			t.Errorf("%q are still there, error %v", names, err)
		}
	})
}

// killing is a State of a process that is killed once what was found is deleted.
type killing struct {
	State
	killed context.Context
	kill   func()
}

func (s killing) Delete(ctx context.Context, name string) error {
	err := s.State.Delete(ctx, name)
	if strings.HasPrefix(name, foundPrefix) {
		s.kill()
	}
	return err
}

func (s killing) Put(ctx context.Context, name string, data []byte) error {
	if killed := s.killed.Err(); killed != nil {
		return killed
	}
	return s.State.Put(ctx, name, data)
}
