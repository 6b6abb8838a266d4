package copier

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"archeio/lambda/index"
	"archeio/lambda/registry"
)

// run is a run with -delete after some time.
func (p *pruning) run(t *testing.T, after time.Duration) *PruneResult {
	t.Helper()
	p.now = p.now.Add(after)
	p.options.Delete, p.options.Manifests = true, &ManifestCache{}
	r, err := Prune(t.Context(), p.options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// writeIndex writes an index of a listing from before, which has both blobs, and reports
// whether it has the one that is pruned, by the time at which it is written.
func (p *pruning) writeIndex(t *testing.T) (has bool, warnings []string) {
	t.Helper()
	var all []Digest
	for _, b := range []registry.Blob{p.kept, p.gone} {
		d, _ := ParseDigest(b.Digest)
		all = append(all, d)
	}
	o := IndexOptions{Buckets: p.options.Buckets, Warn: func(text string) { warnings = append(warnings, text) }, now: func() time.Time { return p.now }}
	p.listings++
	if _, err := WriteIndex(t.Context(), p.options.State, o, time.Now().Add(time.Duration(p.listings)*time.Second), func(yield func(Digest)) error {
		for _, d := range all {
			yield(d)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return p.indexed(t), warnings
}

// indexed reports whether the index in the primary has the blob that is pruned.
func (p *pruning) indexed(t *testing.T) bool {
	t.Helper()
	data, _, err := p.options.Buckets[0].indexThere(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	x, err := index.Parse(data)
	if err != nil || !x.Has(p.kept.Digest) {
		t.Fatalf("the index does not have what is kept, error %v", err)
	}
	return x.Has(p.gone.Digest)
}

// entry returns the entry of the blob that is pruned.
func (p *pruning) entry(t *testing.T) (e pruneEntry, known bool) {
	t.Helper()
	d, _ := ParseDigest(p.gone.Digest)
	r, err := loadPruneRecord(t.Context(), p.options.State, int(d[0]>>4))
	if err != nil {
		t.Fatal(err)
	}
	for e := range r.all {
		if e.digest == d {
			return e, true
		}
	}
	return e, false
}

// TestPruneDeleted tests that an index that is written from an inventory from before the
// deletion of a blob does not have it, also if the blob is there again in some mirrors.
func TestPruneDeleted(t *testing.T) {
	t.Parallel()
	refer := func(t *testing.T, p *pruning) {
		p.blob(t, "app", []byte("gone"))
		p.manifest(t, "app", "v2", ociManifest, manifestOf(p.kept, p.gone))
	}
	into := func(buckets ...int) func(*testing.T, *pruning) {
		return func(t *testing.T, p *pruning) {
			for _, i := range buckets {
				put(t, p.options.Buckets[i], p.gone.Digest, []byte("gone"))
			}
		}
	}
	for _, tt := range []struct {
		name    string
		change  []func(*testing.T, *pruning) // after the deletion
		after   time.Duration                // to the next run
		indexed bool                         // after it
		recent  int
	}{
		{"gone", nil, time.Hour, false, 0},
		{"long-gone", nil, minDeletedFor + time.Second, true, 0}, // no inventory is that old
		{"unreferenced-again", []func(*testing.T, *pruning){into(0, 1)}, time.Hour, false, 1},
		{"referred-to-again-in-one", []func(*testing.T, *pruning){refer, into(0)}, time.Hour, false, 0},
		{"referred-to-again-in-all", []func(*testing.T, *pruning){refer, into(0, 1)}, time.Hour, true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startPruning(t)
			p.run(t, 0)
			p.run(t, 49*time.Hour)
			if r := p.run(t, 25*time.Hour); r.Deleted != (Blobs{1, 4}) {
				t.Fatalf("%+v, want a blob deleted", r)
			}
			if has, _ := p.writeIndex(t); has {
				t.Error("an index of a listing before the deletion has the blob")
			}
			for _, change := range tt.change {
				change(t, p)
			}
			r := p.run(t, tt.after)
			if r.Recent.Count != tt.recent || r.Due.Count != 0 {
				t.Errorf("%+v, want %d recently unreferenced", r, tt.recent)
			}
			if has, _ := p.writeIndex(t); has != tt.indexed {
				t.Errorf("the next index has the blob: %v, want %v", has, tt.indexed)
			}
		})
	}
}

// TestPruneNotOutOfIndex tests that a blob is not deleted if a run before did not take it
// out of every index, because it failed or was killed, or if that was too long ago.
func TestPruneNotOutOfIndex(t *testing.T) {
	t.Parallel()
	refused := func(p *pruning) {
		p.options.Buckets[1] = through(p.options.Buckets[1], wire(func(r *http.Request) (*http.Response, error) {
			if r.Method == http.MethodPut {
				return refuse(r, http.StatusForbidden, "AccessDenied")
			}
			return p.memory.Do(r)
		}))
	}
	for _, tt := range []struct {
		name  string
		fail  func(t *testing.T, p *pruning)
		after time.Duration
	}{
		{"failed", func(t *testing.T, p *pruning) {
			whole := p.options.Buckets[1]
			refused(p)
			if r := p.run(t, 49*time.Hour); r.Waiting.Count != 0 || len(r.Errors) != 1 {
				t.Errorf("%+v, want an error and none waiting", r)
			}
			p.options.Buckets[1] = whole
		}, 25 * time.Hour},
		{"killed", func(t *testing.T, p *pruning) {
			p.now = p.now.Add(49 * time.Hour)
			e, _ := p.entry(t)
			e.until = p.now.Add(p.options.IndexFor + maxOutOfIndex).Unix()
			savePruned(t, p.options.State, e)
		}, 25 * time.Hour},
		{"too-long-ago", func(t *testing.T, p *pruning) { p.run(t, 49*time.Hour) }, maxOutOfIndex},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startPruning(t)
			p.run(t, 0)
			tt.fail(t, p)
			if r := p.run(t, tt.after); r.Waiting.Count != 1 || r.Deleted.Count != 0 || r.Until.Sub(p.now.Add(p.options.IndexFor)).Abs() > time.Second {
				t.Errorf("%+v, want one waiting for %s", r, p.options.IndexFor)
			}
			if p.indexed(t) {
				t.Error("the index has the blob")
			}
			if r := p.run(t, 25*time.Hour); r.Deleted.Count != 1 || len(r.Errors) > 0 {
				t.Errorf("%+v, want one deleted", r)
			}
		})
	}
}

// TestPruneDamagedRecord tests that a damaged piece of the record is reported and rebuilt,
// and that no index has blobs of which it is not known whether they were deleted.
func TestPruneDamagedRecord(t *testing.T) {
	t.Parallel()
	p := startPruning(t)
	p.run(t, 0)
	p.run(t, 49*time.Hour)
	d, _ := ParseDigest(p.gone.Digest)
	name := pruneName(int(d[0] >> 4))
	for _, tt := range []struct {
		name   string
		damage func(data []byte) []byte
	}{
		{"bit", func(data []byte) []byte { data[20] ^= 1; return data }},
		{"end", func(data []byte) []byte { return data[:len(data)-1] }},
		{"empty", func([]byte) []byte { return []byte{} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, err := p.options.State.Get(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.options.State.Put(t.Context(), name, tt.damage(bytes.Clone(data))); err != nil {
				t.Fatal(err)
			}
			if has, warnings := p.writeIndex(t); has || len(warnings) != 1 || !strings.Contains(warnings[0], fmt.Sprintf("state %q is damaged", name)) {
				t.Errorf("the index has the blob: %v, warnings %q", has, warnings)
			}
			r := p.run(t, time.Hour)
			if r.Recent.Count != 1 || len(r.Warnings) != 1 || !strings.Contains(r.Warnings[0], name) {
				t.Errorf("%+v, want a recent blob and a warning", r)
			}
			if has, warnings := p.writeIndex(t); has || len(warnings) != 0 {
				t.Errorf("the index has the blob: %v, warnings %q", has, warnings)
			}
			if r := p.run(t, 25*time.Hour); r.Recent.Count != 1 || len(r.Warnings) != 0 {
				t.Errorf("%+v, want it recorded again", r)
			}
			if has, _ := p.writeIndex(t); !has {
				t.Error("the index does not have the blob after a day")
			}
		})
	}
}

// TestPruneDeleting tests that deleting stops after many errors, that the progress is
// shown, and that a run that is interrupted has recorded what it deleted.
func TestPruneDeleting(t *testing.T) {
	t.Parallel()
	const blobs = 150
	for _, tt := range []struct {
		name    string
		refuse  bool // deletions in the replica
		after   int  // deletions that end the run
		deleted int  // at least
		want    []string
	}{
		{"all", false, 0, blobs, nil},
		{"refused", true, 0, 0, []string{"access denied", "deleting stopped after 1", "blobs are left: run prune again"}},
		{"interrupted", false, 40, 30, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := startPruning(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var deletes atomic.Int64
			p.options.Buckets = slices.Clone(p.mirrors)
			for i, b := range p.mirrors {
				for n := range blobs - 1 {
					data := fmt.Append(nil, n)
					put(t, b, blobOf(data).Digest, data)
				}
				p.options.Buckets[i] = through(b, wire(func(r *http.Request) (*http.Response, error) {
					if r.Method == http.MethodDelete {
						if i == 1 && tt.refuse {
							return refuse(r, http.StatusForbidden, "AccessDenied")
						}
						if deletes.Add(1) == int64(2*tt.after) {
							cancel()
						}
					}
					return p.memory.Do(r)
				}))
			}
			p.run(t, 0)
			p.run(t, 49*time.Hour)
			var phases []Progress
			p.options.Progress = func(x Progress) {
				if n := len(phases); n > 0 && phases[n-1].Phase == x.Phase {
					phases = phases[:n-1]
				}
				phases = append(phases, x)
			}
			p.now = p.now.Add(25 * time.Hour)
			r, err := Prune(ctx, p.options)
			if (err != nil) != (tt.after > 0) {
				t.Fatal(err)
			}
			if r.Deleted.Count < tt.deleted || r.Due.Count != blobs {
				t.Errorf("%+v, want %d deleted", r, tt.deleted)
			}
			text := errors.Join(r.Errors...)
			for _, want := range tt.want {
				if text == nil || !strings.Contains(text.Error(), want) {
					t.Errorf("errors %v, want %q", text, want)
				}
			}
			if n := len(r.Errors); n > maxPruneErrors+p.options.Parallel+8 || n > 0 != (len(tt.want) > 0) {
				t.Errorf("%d errors", n)
			}
			if last := phases[len(phases)-1]; last.Phase != "deleting blobs" || last.Total != blobs || last.Done < tt.deleted || tt.want == nil && last.Done > r.Deleted.Count+8 {
				t.Errorf("the last progress is %+v", last)
			}
			p.options.Progress, p.options.Buckets = nil, p.mirrors
			left := p.memory.blobs(p.mirrors[0])
			maps.Copy(left, p.memory.blobs(p.mirrors[1]))
			n := len(left) - 1 // one is kept
			if n > blobs-r.Deleted.Count || tt.after > 0 && n == 0 {
				t.Errorf("%d of %d blobs are left after %d were deleted", n, blobs, r.Deleted.Count)
			}
			// What is left is deleted by the next run, without waiting again.
			if r := p.run(t, time.Hour); r.Due.Count != n || r.Deleted.Count != n || len(r.Errors) > 0 {
				t.Errorf("%+v, want %d deleted", r, n)
			}
		})
	}
}

// TestPruneUnchanged tests that a record that has not changed is not written again, that
// one of nothing is deleted, and that of an earlier version too.
func TestPruneUnchanged(t *testing.T) {
	t.Parallel()
	p := startPruning(t)
	state := newMemoryState()
	p.options.State = state
	state.values[oldPruneName] = []byte("{}")
	p.run(t, 0)
	if written := state.takeWritten(); len(written) != 1 || state.values[oldPruneName] != nil {
		t.Errorf("%q were written, want one piece instead of the old record", written)
	}
	p.run(t, time.Hour)
	if written := state.takeWritten(); len(written) != 0 {
		t.Errorf("%q were written again", written)
	}
	for _, b := range p.options.Buckets {
		if _, err := b.Remove(t.Context(), p.gone.Digest); err != nil {
			t.Fatal(err)
		}
	}
	p.run(t, time.Hour)
	if names, _ := state.Names(t.Context(), "prune"); len(names) != 0 {
		t.Errorf("%q are left of nothing", names)
	}
}

// TestPruneMemory tests that a run needs few bytes of memory for each unreferenced blob in
// addition to the listing, also while it records them, and so does the set of those that no
// index may have.
func TestPruneMemory(t *testing.T) {
	const blobs = 100_000
	f, all, state, _ := generate(2, blobs)
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	stored := func() (n int64) { // the state is not the memory of the run
		for _, data := range state.values {
			n += int64(cap(data))
		}
		return n
	}
	o := Options{Buckets: f.Buckets, State: state, TempDir: t.TempDir()}
	o.fill()
	l, err := listBuckets(t.Context(), &o)
	if err != nil {
		t.Fatal(err)
	}
	r := newReferences(l)
	now := time.Now()
	run := func(at time.Time) *prune {
		p := &prune{o: PruneOptions{Options: o, Delete: true}, now: at, doomed: spill{dir: o.TempDir}, result: &PruneResult{}}
		p.until = at.Add(maxOutOfIndex).Unix()
		before, most := heap()-stored(), int64(0)
		p.o.Progress = func(x Progress) { // before a piece is written
			if x.Done%4 == 0 {
				most = max(most, heap()-stored()-before)
			}
		}
		if err := p.record(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		used := heap() - stored() - before
		t.Logf("%.1f bytes per blob, at most %.1f", float64(used)/blobs, float64(most)/blobs)
		if used > 16*blobs || most > 40*blobs {
			t.Errorf("%d bytes, at most %d, want 16 and 40 for each of %d blobs", used, most, blobs)
		}
		return p
	}
	p := run(now) // to be taken out of the index
	if p.taking.Count != blobs {
		t.Errorf("%d blobs to take out, want %d", p.taking.Count, blobs)
	}
	before := heap()
	gone, err := beingPruned(t.Context(), state, now)
	if err != nil || len(gone.entries) != blobs || !slices.IsSorted(gone.entries) {
		t.Fatalf("%d entries, error %v", len(gone.entries), err)
	}
	if used := heap() - before; used > 12*blobs {
		t.Errorf("%d bytes for %d entries", used, len(gone.entries))
	}
	for digit := range p.taken {
		if err := p.update(t.Context(), digit, func(e pruneEntry) pruneEntry { e.out = now.Unix(); return e }); err != nil {
			t.Fatal(err)
		}
	}
	p = run(now.Add(time.Hour))
	n := 0
	for _, removes := range p.removes {
		n += removes
	}
	doomed := make([]byte, blobs*placedSize) // some of it in the file
	if err := p.doomed.read(0, doomed); err != nil || n != blobs {
		t.Fatalf("%d blobs to delete, want %d, error %v", n, blobs, err)
	}
	for i := range blobs {
		if b, want := decodePlaced(doomed[i*placedSize:]), (placedBlob{all[0].digest(i), 0b11, 1}); b != want {
			t.Fatalf("blob %d to delete is %+v, want %+v", i, b, want)
		}
	}
	runtime.KeepAlive(r)
	runtime.KeepAlive(gone)
}

// TestPlaced tests that a blob to delete is read from the file as it was written.
func TestPlaced(t *testing.T) {
	t.Parallel()
	for i := range 3 {
		b := placedBlob{sha256.Sum256([]byte{byte(i)}), 1<<62 | uint64(i), int64(i) << 40}
		if got := decodePlaced(b.encode()); got != b || len(b.encode()) != placedSize {
			t.Errorf("%+v, want %+v", got, b)
		}
	}
}
