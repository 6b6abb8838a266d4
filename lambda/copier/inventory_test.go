package copier

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"archeio/lambda/config"
	"archeio/lambda/index"
)

// memoryState is a State in memory that counts what is written.
type memoryState struct {
	mu      sync.Mutex
	values  map[string][]byte
	written []string
	onPut   func(name string) // may be nil
}

func newMemoryState() *memoryState { return &memoryState{values: map[string][]byte{}} }

func (s *memoryState) Get(_ context.Context, name string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[name], nil
}

func (s *memoryState) Put(ctx context.Context, name string, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	s.values[name] = append([]byte{}, data...)
	s.written = append(s.written, name)
	s.mu.Unlock()
	if s.onPut != nil {
		s.onPut(name)
	}
	return nil
}

func (s *memoryState) Create(ctx context.Context, name string, data []byte) (bool, error) {
	if old, _ := s.Get(ctx, name); old != nil {
		return false, nil
	}
	return true, s.Put(ctx, name, data)
}

func (s *memoryState) Delete(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.values, name)
	return nil
}

func (s *memoryState) Names(_ context.Context, prefix string) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.values)), func(name string) bool { return !strings.HasPrefix(name, prefix) }), nil
}

// takeWritten returns the names that were written since the last call.
func (s *memoryState) takeWritten() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	written := s.written
	s.written = nil
	return written
}

// generated is a bucket of a number of blobs that are generated page by page. The
// digests are those that are missing.
type generated struct {
	blobs   int
	missing map[Digest]bool
	pages   atomic.Int64
}

// digest returns one of the digests, which are spread evenly.
func (g *generated) digest(i int) (d Digest) {
	binary.BigEndian.PutUint64(d[:], uint64(i)*(math.MaxUint64/uint64(g.blobs)))
	return d
}

// at returns the position of the first digest from one on.
func (g *generated) at(d Digest) int {
	step := math.MaxUint64 / uint64(g.blobs)
	at := binary.BigEndian.Uint64(d[:])
	return int(at/step + min(at%step, 1))
}

func (g *generated) page(digits, after string, yield func(Digest, int64)) (last string, err error) {
	g.pages.Add(1)
	first, _ := ParseDigest("sha256:" + digits + strings.Repeat("0", 64-len(digits)))
	end, _ := ParseDigest("sha256:" + digits + strings.Repeat("f", 64-len(digits)))
	from, to := g.at(first), min(g.at(end), g.blobs)
	if d, ok := ParseDigest(after); ok {
		from = g.at(d) + 1
	}
	if to > from+1000 {
		to = from + 1000
		last = g.digest(to - 1).String()
	}
	for i := from; i < to; i++ {
		if d := g.digest(i); len(g.missing) == 0 || !g.missing[d] {
			yield(d, 1)
		}
	}
	return last, nil
}

// generate returns a Filler with generated buckets.
func generate(buckets, blobs int) (*Filler, []*generated, *memoryState, *memory) {
	state, s3 := newMemoryState(), newMemory()
	f := &Filler{State: state, Queue: &memoryQueue{}, Filter: Filter{Repositories: []string{"app"}}, Log: slog.New(slog.DiscardHandler), Metrics: io.Discard}
	var all []*generated
	for i := range buckets {
		g := &generated{blobs: blobs}
		region := fmt.Sprintf("us-east-%d", i+1)
		b := s3.bucket(fmt.Sprintf("mirror-%d", i), region)
		b.pages = g.page
		all, f.Buckets, f.Regions = append(all, g), append(f.Buckets, b), append(f.Regions, region)
	}
	return f, all, state, s3
}

func headerOf(t *testing.T, b *Bucket) index.Header {
	t.Helper()
	data, _, err := b.indexThere(t.Context(), true)
	if err != nil {
		t.Fatal(err)
	}
	h, err := index.ParseHeader(data)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// liveHeap returns the bytes of the heap in use, without what is allocated while they are
// measured.
func liveHeap() int64 {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	runtime.GC()
	metrics.Read(live)
	return int64(live[0].Value.Uint64())
}

// TestMemory tests that a run does not need more memory with more buckets: at most that of
// a few parts of an inventory while it lists, and 18 bytes per blob while it plans.
func TestMemory(t *testing.T) {
	const buckets, blobs = 31, 100_000
	f, all, state, _ := generate(buckets, blobs)
	all[30].missing = map[Digest]bool{all[30].digest(5): true}
	before := liveHeap()
	var most int64
	stored := func() (n int64) { // the state is not the planner's memory
		for _, data := range state.values {
			n += int64(len(data))
		}
		return n
	}
	var mu sync.Mutex
	state.onPut = func(name string) {
		if mu.Lock(); strings.HasPrefix(name, piecePrefix) {
			state.mu.Lock()
			used := liveHeap() - before - stored()
			state.mu.Unlock()
			most = max(most, used)
		}
		mu.Unlock()
	}
	if r, err := f.Plan(t.Context()); err != nil || !r.Done || r.Messages != 1 {
		t.Fatalf("%+v, error %v", r, err)
	}
	// 16 parts: some of them, each with its entries twice and those of some buckets, which
	// may be in the middle of growing.
	if limit := int64(partsAtOnce*(2*bucketsAtOnce+2)*blobs/16*entrySize + 8<<20); most > limit {
		t.Errorf("%d bytes while listing, want at most %d", most, limit)
	}
	if h := headerOf(t, f.Buckets[7]); h.Entries != blobs-1 || len(h.Mirrors) != buckets {
		t.Errorf("the index has %d blobs of %d mirrors", h.Entries, len(h.Mirrors))
	}
	before = liveHeap()
	h, err := f.loadHoldings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if used := liveHeap() - before; used > 25*blobs {
		t.Errorf("%d bytes to know what the buckets have, want about %d", used, 18*blobs)
	}
	for i := range blobs {
		want := uint64(1)<<buckets - 1
		if i == 5 {
			want >>= 1
		}
		if got := h.mask(all[0].digest(i)); got != want {
			t.Fatalf("blob %d: mask %b, want %b", i, got, want)
		}
	}
	t.Logf("at most %d kB while listing", most>>10)
}

// reading is a State that calls onRead before it returns a piece of the inventory.
type reading struct {
	*memoryState
	onRead func()
}

func (s *reading) Get(ctx context.Context, name string) ([]byte, error) {
	if strings.HasPrefix(name, piecePrefix) {
		s.onRead()
	}
	return s.memoryState.Get(ctx, name)
}

// TestMemoryOfChangedParts tests that a process that holds an inventory already does not
// hold its parts twice when all of them have changed.
func TestMemoryOfChangedParts(t *testing.T) {
	const blobs = 300_000
	f, all, state, _ := generate(1, blobs)
	var mu sync.Mutex
	var most int64
	f.State = &reading{state, func() {
		mu.Lock()
		most = max(most, liveHeap())
		mu.Unlock()
	}}
	load := func(hour int) int64 {
		t.Helper()
		all[0].missing = map[Digest]bool{}
		for i := range 256 {
			all[0].missing[all[0].digest(i*blobs/256+hour)] = true
		}
		if r, err := f.Plan(t.Context()); err != nil || !r.Done {
			t.Fatalf("%+v, error %v", r, err)
		}
		before := liveHeap()
		most = 0
		if _, err := f.loadHoldings(t.Context()); err != nil {
			t.Fatal(err)
		}
		return most - before
	}
	// The second time, the memory of what was held is free again.
	if first, again := load(0), load(1); again > first-18*blobs/2 {
		t.Errorf("at most %d bytes more to read all parts again, want about %d", again, first-18*blobs)
	}
}

// TestSlowListing tests that a run goes on after it has saved its progress in the middle
// of the listing.
func TestSlowListing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, all, state, _ := generate(2, 70_000) // 16 parts
		for i, b := range f.Buckets {
			b.pages = func(digits, after string, yield func(Digest, int64)) (string, error) {
				time.Sleep(saveInterval / 8)
				return all[i].page(digits, after, yield)
			}
		}
		if r, err := f.Plan(t.Context()); err != nil || !r.Done {
			t.Fatalf("%+v, error %v", r, err)
		}
		saved := slices.Index(state.takeWritten(), jobName(doPlan))
		if pieces, _ := state.Names(t.Context(), piecePrefix); saved < partsAtOnce || saved >= len(pieces) {
			t.Errorf("the progress was saved after %d of %d pieces, want in the middle", saved, len(pieces))
		}
	})
}

// TestTurns tests that the replicas are listed in turns within the maximum age of the
// index, that the index is never older, and that what has changed is noticed.
func TestTurns(t *testing.T) {
	t.Parallel()
	const blobs = 70_000
	f, all, state, _ := generate(3, blobs)
	queue := f.Queue.(*memoryQueue)
	now := time.Now().Add(-60 * time.Hour).Truncate(time.Second)
	f.Now = func() time.Time { return now }
	var listings []int64 // pages of a replica, by run
	const runs = 48
	for run := range runs {
		if run > 0 {
			if age := now.Sub(headerOf(t, f.Buckets[2]).Listed); age >= config.IndexMaxAge {
				t.Errorf("run %d: the index is %v old before it", run, age)
			}
		}
		before, primary := all[1].pages.Load(), all[0].pages.Load()
		if r, err := f.Plan(t.Context()); err != nil || !r.Done {
			t.Fatalf("run %d: %+v, error %v", run, r, err)
		}
		queue.waiting = nil
		listings = append(listings, all[1].pages.Load()-before-1) // one to count
		if n := all[0].pages.Load() - primary; n < blobs/1000 {
			t.Errorf("run %d: %d pages of the primary", run, n)
		}
		if age := now.Sub(headerOf(t, f.Buckets[2]).Listed); age >= maxPartAge {
			t.Errorf("run %d: the index is %v old after it", run, age)
		}
		now = now.Add(time.Hour)
	}
	var turnsWith int
	var total int64
	for _, n := range listings[runs-24:] {
		if n > 0 {
			turnsWith++
		}
		if total += n; n > 30 {
			t.Errorf("%d pages in one run, want a fourth of 80: %d", n, listings)
		}
	}
	if turnsWith < 8 || turnsWith > 9 || total > 80*24/11+30 {
		t.Errorf("%d of 24 runs list replicas, %d pages, want 8 or 9 and about %d: %d", turnsWith, total, 80*24/11, listings)
	}

	// A blob that a replica has lost is noticed within the time, a new one of all at once
	// if a worker has found it.
	gone := all[1].digest(69_000)
	all[1].missing = map[Digest]bool{gone: true}
	fresh := generated{blobs: 70_001}
	added := fresh.digest(35_000)
	x := &found{}
	x.add(1, added.String())
	if _, err := x.save(t.Context(), state, f.bucketNames()); err != nil {
		t.Fatal(err)
	}
	for hours := 0; ; hours++ {
		now = now.Add(time.Hour)
		if _, err := f.Plan(t.Context()); err != nil {
			t.Fatal(err)
		}
		queue.waiting = nil
		h, err := f.loadHoldings(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if hours == 0 && h.mask(added) != 1<<1 {
			t.Errorf("mask %b of what a worker has found, want %b", h.mask(added), 1<<1)
		}
		if h.mask(gone) == 0b101 {
			break
		}
		if hours > 12 {
			t.Fatal("a lost blob is not noticed")
		}
	}
	if names, err := state.Names(t.Context(), foundPrefix); err != nil || len(names) > 0 {
		t.Errorf("%q are still there, error %v", names, err)
	}
}

// TestDamagedPiece tests that a damaged part of the inventory is listed again, and that
// pieces that nothing refers to are deleted.
func TestDamagedPiece(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	f, all, state, _ := generate(2, 5000)
	f.Log = slog.New(slog.NewTextHandler(&log, nil))
	plan := func() {
		t.Helper()
		if _, err := f.Plan(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.Queue.(*memoryQueue).waiting = nil
	}
	plan()
	names, _ := state.Names(t.Context(), piecePrefix)
	if len(names) != 1 {
		t.Fatalf("pieces %q, want one", names)
	}
	state.values[names[0]][7] ^= 1
	before := all[1].pages.Load()
	plan()
	if got := all[1].pages.Load() - before; got < 5 || !strings.Contains(log.String(), "missing or damaged") {
		t.Errorf("%d pages of the replica, log %s", got, &log)
	}
	for i := range 3 { // each run has another content
		all[0].missing = map[Digest]bool{all[0].digest(i): true}
		plan()
	}
	if names, _ := state.Names(t.Context(), piecePrefix); len(names) != 2 {
		t.Errorf("pieces %q, want the last and the one before", names)
	}
}
