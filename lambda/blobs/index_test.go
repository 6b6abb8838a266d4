package blobs

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"archeio/lambda/index"
)

// indexed is a checker with an index that a real server serves, and a mirror
// that is asked by HEAD.
type indexed struct {
	*Checker
	mirror *Origin

	mu      sync.Mutex
	clock   time.Time
	data    []byte
	status  int
	heads   atomic.Int64
	gets    atomic.Int64
	dead    atomic.Bool
	events  chan IndexEvent
	largest string // Content-Length to lie about
}

func newIndexed(t *testing.T) *indexed {
	x := &indexed{clock: time.Unix(1_800_000_000, 0), status: http.StatusOK, events: make(chan IndexEvent, 16)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead {
			x.heads.Add(1)
			if x.dead.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return
		}
		x.gets.Add(1)
		x.mu.Lock()
		defer x.mu.Unlock()
		etag := `"` + strconv.Itoa(len(x.data)) + `"`
		w.Header().Set("ETag", etag)
		if x.largest != "" {
			w.Header().Set("Content-Length", x.largest)
		}
		switch {
		case x.status != http.StatusOK:
			w.WriteHeader(x.status)
		case r.Header.Get("If-None-Match") == etag:
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Write(x.data)
		}
	}))
	t.Cleanup(server.Close)
	x.Checker = New(Options{
		Timeout: time.Second, HealthInterval: 10 * time.Second, Now: x.now,
		Index: IndexOptions{URL: server.URL + "/index", Refresh: 5 * time.Minute, MaxAge: 24 * time.Hour,
			Observe: func(e IndexEvent) { x.events <- e }},
	})
	x.mirror = x.Checker.Mirror("mirror", server.URL+"/")
	return x
}

func (x *indexed) now() time.Time {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.clock
}

func (x *indexed) pass(d time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.clock = x.clock.Add(d)
}

// serve has the server serve an index of some digests, or something else.
func (x *indexed) serve(t *testing.T, age time.Duration, digests ...string) {
	t.Helper()
	var prefixes []uint64
	for _, d := range digests {
		p, ok := index.Prefix(d)
		if !ok {
			t.Fatal(d)
		}
		prefixes = append(prefixes, p)
	}
	data, err := index.Make(x.now().Add(-age), prefixes)
	if err != nil {
		t.Fatal(err)
	}
	x.answer(http.StatusOK, data)
}

func (x *indexed) answer(status int, data []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.status, x.data = status, data
}

// load has the index loaded and waits for how that ends.
func (x *indexed) load(t *testing.T, want string) IndexEvent {
	t.Helper()
	x.Refresh()
	return x.await(t, want)
}

func (x *indexed) await(t *testing.T, want string) IndexEvent {
	t.Helper()
	select {
	case e := <-x.events:
		if e.Outcome != want {
			t.Fatalf("the index is %q (%v), want %q", e.Outcome, e.Err, want)
		}
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("nothing becomes of the index")
	}
	panic("unreachable")
}

const other = "sha256:ffb0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// The index answers without a question on the way: only the mirror's life is
// watched beside. What is not in it is asked for as before.
func TestIndexAnswers(t *testing.T) {
	x := newIndexed(t)
	x.serve(t, time.Hour, digest)
	if e := x.load(t, IndexLoaded); e.Age != time.Hour || e.Err != nil {
		t.Errorf("event %+v", e)
	}
	if got := x.mirror.Has(t.Context(), new(Limit), digest); got != Present {
		t.Errorf("%v", got)
	}
	for range 100 {
		if got := x.mirror.Has(t.Context(), new(Limit), digest); got != Present {
			t.Errorf("%v", got)
		}
	}
	for end := time.Now().Add(10 * time.Second); x.heads.Load() == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // the check beside is under way
	}
	if n := x.heads.Load(); n != 1 {
		t.Errorf("the mirror was asked %d times, want once beside the first answer", n)
	}
	before := x.heads.Load()
	x.mirror.Has(t.Context(), new(Limit), other)
	if x.heads.Load() != before+1 {
		t.Error("what is not in the index was not asked for")
	}
	// The upstream has another memory.
	if got := x.Checker.Origin("upstream", "http://127.0.0.1:1/", Registry).Has(t.Context(), new(Limit), digest); got != Unknown {
		t.Errorf("the index answers for the upstream: %v", got)
	}
}

// A dead mirror leaves the index's answers as quickly as those from memory.
func TestIndexOfADeadMirror(t *testing.T) {
	x := newIndexed(t)
	x.serve(t, 0, digest)
	x.load(t, IndexLoaded)
	x.mirror.Has(t.Context(), new(Limit), other) // it lives
	x.dead.Store(true)
	if got := x.mirror.Has(t.Context(), new(Limit), digest); got != Present {
		t.Errorf("within the interval: %v", got)
	}
	x.pass(11 * time.Second)
	before := x.heads.Load()
	x.mirror.Has(t.Context(), new(Limit), digest) // with a check beside
	for x.heads.Load() == before {
		time.Sleep(time.Millisecond)
	}
	for x.mirror.Has(t.Context(), new(Limit), digest) != Unknown {
		if x.heads.Load() > before+20 {
			t.Fatal("a dead mirror's index still counts")
		}
	}
}

func TestIndexRefreshes(t *testing.T) {
	x := newIndexed(t)
	x.serve(t, 0, digest)
	x.load(t, IndexLoaded)
	x.Refresh()
	x.pass(5*time.Minute - time.Second)
	x.Refresh()
	if n := x.gets.Load(); n != 1 {
		t.Errorf("it was asked for %d times within the interval", n)
	}
	x.pass(time.Second)
	if e := x.load(t, IndexUnchanged); e.Age != 5*time.Minute {
		t.Errorf("event %+v", e)
	}
	x.serve(t, 0, digest, other)
	x.pass(5 * time.Minute)
	x.load(t, IndexLoaded)
	before := x.heads.Load()
	if x.mirror.Has(t.Context(), new(Limit), other) != Present || x.heads.Load() > before+1 {
		t.Error("the new index is not used")
	}
}

// What is wrong with an index is told, and the index is not used.
func TestIndexTrouble(t *testing.T) {
	whole, err := index.Make(time.Unix(1_800_000_000, 0), []uint64{1})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name    string
		prepare func(*indexed)
		want    string
	}{
		{"missing", func(x *indexed) { x.answer(http.StatusNotFound, nil) }, IndexMissing},
		{"not-readable", func(x *indexed) { x.answer(http.StatusForbidden, nil) }, IndexMissing},
		{"server-error", func(x *indexed) { x.answer(http.StatusServiceUnavailable, nil) }, IndexUnreachable},
		{"redirect", func(x *indexed) { x.answer(http.StatusMovedPermanently, nil) }, IndexUnreachable},
		{"cut-off", func(x *indexed) { x.answer(http.StatusOK, whole[:len(whole)-1]) }, IndexDamaged},
		{"empty", func(x *indexed) { x.answer(http.StatusOK, nil) }, IndexDamaged},
		{"html", func(x *indexed) { x.answer(http.StatusOK, []byte("<html>a page that says that all is well</html>")) }, IndexDamaged},
		{"too-large", func(x *indexed) { x.largest = strconv.Itoa(index.Largest + 1); x.answer(http.StatusOK, whole) }, IndexDamaged},
		{"shorter-than-promised", func(x *indexed) { x.largest = "1000"; x.answer(http.StatusOK, whole) }, IndexUnreachable},
		{"of-the-future", func(x *indexed) { x.pass(-10 * time.Minute); x.answer(http.StatusOK, whole) }, IndexDamaged},
		{"stale", func(x *indexed) { x.pass(25 * time.Hour); x.answer(http.StatusOK, whole) }, IndexStale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newIndexed(t)
			tt.prepare(x)
			if e := x.load(t, tt.want); e.Err == nil || e.Age != 0 {
				t.Errorf("event %+v", e)
			}
			before := x.heads.Load()
			x.mirror.Has(t.Context(), new(Limit), "sha256:0000000000000001")
			if x.heads.Load() != before+1 {
				t.Error("it is used all the same")
			}
		})
	}
}

// What is in use stays in use when the next one is damaged or cannot be had,
// until it is too old; and goes when it is taken away.
func TestIndexInUse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		want   string
		used   bool
	}{
		{"unreachable", http.StatusBadGateway, IndexUnreachable, true},
		{"damaged", http.StatusOK, IndexDamaged, true},
		{"taken-away", http.StatusNotFound, IndexMissing, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			x := newIndexed(t)
			x.serve(t, 0, digest)
			x.load(t, IndexLoaded)
			x.answer(tt.status, []byte("nonsense"))
			x.pass(5 * time.Minute)
			x.load(t, tt.want)
			if used := x.shelf.has(x.now(), digest); used != tt.used {
				t.Errorf("used %v, want %v", used, tt.used)
			}
			if tt.used {
				x.answer(http.StatusBadGateway, nil)
				x.pass(24 * time.Hour)
				x.load(t, IndexUnreachable)
				if x.shelf.has(x.now(), digest) {
					t.Error("it is used although it is too old")
				}
				if e := x.await(t, IndexStale); e.Err == nil {
					t.Errorf("event %+v", e)
				}
			}
		})
	}
}

// After a failure the next attempt is made sooner.
func TestIndexRetries(t *testing.T) {
	x := newIndexed(t)
	x.answer(http.StatusBadGateway, nil)
	x.load(t, IndexUnreachable)
	x.pass(indexRetry - time.Second)
	x.Refresh()
	if n := x.gets.Load(); n != 1 {
		t.Errorf("it was asked for %d times", n)
	}
	x.serve(t, 0, digest)
	x.pass(time.Second)
	x.load(t, IndexLoaded)
}

// A function that was frozen does not know what has left the index since.
func TestIndexAfterAFreeze(t *testing.T) {
	x := newIndexed(t)
	x.serve(t, 0, digest)
	x.load(t, IndexLoaded)
	x.pass(10 * time.Minute)
	if !x.shelf.has(x.now(), digest) {
		t.Error("after twice the interval it is not used")
	}
	x.pass(time.Second)
	if x.shelf.has(x.now(), digest) {
		t.Error("it is used although nobody knows what has left it")
	}
	x.load(t, IndexUnchanged)
	if !x.shelf.has(x.now(), digest) {
		t.Error("loaded anew it is not used")
	}
}

func TestNoIndex(t *testing.T) {
	n, mirror := stub(Options{})
	mirror.checker.Refresh()
	n.expect(t, "without an index", 0)
}

func TestIndexAllocatesNothing(t *testing.T) {
	x := newIndexed(t)
	x.serve(t, 0, digest)
	x.load(t, IndexLoaded)
	x.mirror.Has(t.Context(), new(Limit), other) // it lives
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		x.Refresh()
		if x.mirror.Has(ctx, new(Limit), digest) != Present {
			t.Error(errors.New("lost"))
		}
	}); n != 0 {
		t.Errorf("an answer from the index allocates %v times", n)
	}
}
