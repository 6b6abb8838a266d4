package blobs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"archeio/lambda/index"
)

// region is that of the mirror.
const region = "eu-west-1"

const otherDigest = "sha256:ffb0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// indexed is a mirror with an index, on a stub network. GET requests get the index;
// HEAD requests get the reply of the host "mirror".
type indexed struct {
	*network
	mirror *Origin
	events chan IndexEvent // of attempts

	mu     sync.Mutex
	status int
	data   []byte
	gets   int
	// contradicted and disabled are the numbers of comparisons with that outcome.
	contradicted, disabled int
}

func newIndexed(t *testing.T) *indexed {
	t.Helper()
	x := &indexed{network: &network{replies: map[string]reply{}}, events: make(chan IndexEvent, 16)}
	x.set("mirror", status(200))
	c := New(Options{
		Timeout: time.Second, HealthInterval: interval, Transport: x,
		Index: IndexOptions{
			URL: "https://index/index", Refresh: 5 * time.Minute, MaxAge: 24 * time.Hour,
			Observe: x.observe,
		},
	})
	x.mirror = c.Mirror("mirror", "https://mirror/", region)
	return x
}

func (x *indexed) observe(e IndexEvent) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case e.Mirror == "":
		x.events <- e
	case e.Mirror == "mirror" && e.Outcome == IndexContradicted:
		x.contradicted++
	case e.Mirror == "mirror" && e.Outcome == IndexDisabled:
		x.disabled++
	default:
		panic(fmt.Sprintf("event %+v", e))
	}
}

func (x *indexed) loader() *indexLoader { return x.mirror.checker.index }

func (x *indexed) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodHead {
		return x.network.RoundTrip(r)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.gets++
	etag := `"` + strconv.Itoa(len(x.data)) + `"`
	resp := &http.Response{StatusCode: x.status, Header: http.Header{"Etag": {etag}}, Body: io.NopCloser(bytes.NewReader(x.data)), ContentLength: int64(len(x.data)), Request: r}
	if x.status == http.StatusOK && r.Header.Get("If-None-Match") == etag {
		resp.StatusCode, resp.Body = http.StatusNotModified, http.NoBody
	}
	return resp, nil
}

// respond sets the response to requests for the index.
func (x *indexed) respond(status int, data []byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.status, x.data = status, data
}

// serve sets the response to an index of that age.
func (x *indexed) serve(t *testing.T, age time.Duration, digests ...string) {
	t.Helper()
	x.respond(http.StatusOK, encoded(t, time.Now().Add(-age), digests...))
}

func encoded(t *testing.T, listed time.Time, digests ...string) []byte {
	t.Helper()
	return encodedFor(t, listed, []string{region}, digests...)
}

// encodedFor returns an index that covers the mirrors in some regions.
func encodedFor(t *testing.T, listed time.Time, mirrors []string, digests ...string) []byte {
	t.Helper()
	var all []index.Digest
	for _, text := range digests {
		d, ok := index.ParseDigest(text)
		if !ok {
			t.Fatalf("%q cannot be in an index", text)
		}
		all = append(all, d)
	}
	data, err := index.Encode(listed, mirrors, slices.Values(all))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// load loads the index and returns the event.
func (x *indexed) load(t *testing.T, want string) IndexEvent {
	t.Helper()
	x.mirror.checker.Refresh()
	return x.await(t, want)
}

func (x *indexed) await(t *testing.T, want string) IndexEvent {
	t.Helper()
	e := <-x.events
	if e.Outcome != want {
		t.Fatalf("outcome %q (%v), want %q", e.Outcome, e.Err, want)
	}
	return e
}

// expectGets compares the number of requests for the index.
func (x *indexed) expectGets(t *testing.T, what string, want int) {
	t.Helper()
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.gets != want {
		t.Errorf("%s: %d requests for the index, want %d", what, x.gets, want)
	}
}

// used checks whether the index has digest.
func (x *indexed) used(t *testing.T, what string, want bool) {
	t.Helper()
	if got := x.mirror.indexed(time.Now(), digest); got != want {
		t.Errorf("%s: the index is used: %v, want %v", what, got, want)
	}
}

// A blob in the index needs no check, except for the background check of the
// mirror's health. Other blobs are checked as without an index.
func TestIndexHas(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newIndexed(t)
		x.serve(t, time.Hour, digest)
		if e := x.load(t, IndexLoaded); e.Age != time.Hour || e.Err != nil {
			t.Errorf("event %+v, want an age of an hour and no error", e)
		}
		took(t, 0, func() {
			for range 100 {
				has(t, x.mirror, digest, Present)
			}
		})
		synctest.Wait()
		x.expect(t, "background check", 1)
		has(t, x.mirror, otherDigest, Present)
		x.expect(t, "not in the index", 1)
		// The index does not cover the upstream.
		x.set("upstream", status(404))
		has(t, x.mirror.checker.Origin("upstream", "https://upstream/", Registry), digest, Absent)
	})
}

// The index of an unavailable mirror counts no longer than its cached answers.
func TestIndexOfUnavailableMirror(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newIndexed(t)
		x.serve(t, 0, digest)
		x.load(t, IndexLoaded)
		has(t, x.mirror, digest, Present)
		advance(0)
		x.set("mirror", status(500))
		advance(interval - 1)
		has(t, x.mirror, digest, Present)
		advance(1)
		has(t, x.mirror, digest, Present) // with a background check
		advance(0)
		has(t, x.mirror, digest, Unknown)
		advance(0)
		x.expect(t, "background checks, own check, witness", 4)
	})
}

func TestIndexRefresh(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newIndexed(t)
		x.serve(t, 0, digest)
		x.load(t, IndexLoaded)
		x.mirror.checker.Refresh()
		advance(5*time.Minute - 1)
		x.mirror.checker.Refresh()
		x.expectGets(t, "within the interval", 1)
		advance(1)
		if e := x.load(t, IndexUnchanged); e.Age != 5*time.Minute {
			t.Errorf("event %+v, want an age of 5m", e)
		}
		x.serve(t, 0, digest, otherDigest)
		advance(5 * time.Minute)
		x.load(t, IndexLoaded)
		took(t, 0, func() { has(t, x.mirror, otherDigest, Present) })
		synctest.Wait()
		x.expect(t, "background check", 1)
	})
}

// An invalid index is reported and not used.
func TestInvalidIndex(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		prepare func(x *indexed, whole []byte)
		listed  time.Duration // from now
		want    string
	}{
		{"missing", func(x *indexed, _ []byte) { x.respond(http.StatusNotFound, nil) }, 0, IndexMissing},
		{"forbidden", func(x *indexed, _ []byte) { x.respond(http.StatusForbidden, nil) }, 0, IndexMissing},
		{"server-error", func(x *indexed, _ []byte) { x.respond(http.StatusServiceUnavailable, nil) }, 0, IndexUnreachable},
		{"not-modified", func(x *indexed, _ []byte) { x.respond(http.StatusNotModified, nil) }, 0, IndexUnreachable},
		{"redirect", func(x *indexed, _ []byte) { x.respond(http.StatusMovedPermanently, nil) }, 0, IndexUnreachable},
		{"truncated", func(x *indexed, whole []byte) { x.respond(http.StatusOK, whole[:len(whole)-1]) }, 0, IndexCorrupt},
		{"empty", func(x *indexed, _ []byte) { x.respond(http.StatusOK, nil) }, 0, IndexCorrupt},
		{"html", func(x *indexed, _ []byte) {
			x.respond(http.StatusOK, []byte("<html>welcome to this hotel's network</html>"))
		}, 0, IndexCorrupt},
		{"from-the-future", func(*indexed, []byte) {}, index.Skew + time.Second, IndexCorrupt},
		{"stale", func(*indexed, []byte) {}, -25 * time.Hour, IndexStale},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newIndexed(t)
				whole := encoded(t, time.Now().Add(tt.listed), digest)
				x.respond(http.StatusOK, whole)
				tt.prepare(x, whole)
				var age time.Duration
				if tt.want == IndexStale {
					age = -tt.listed
				}
				if e := x.load(t, tt.want); e.Err == nil || e.Age != age {
					t.Errorf("event %+v, want an error and the age %s", e, age)
				}
				has(t, x.mirror, digest, Present)
				x.expect(t, "check", 1)
			})
		})
	}
}

// A loaded index stays in use if the next one is corrupt or unreachable, until it is
// too old. It does not if it was removed.
func TestLoadedIndexStays(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		want   string
		used   bool
	}{
		{"unreachable", http.StatusBadGateway, IndexUnreachable, true},
		{"corrupt", http.StatusOK, IndexCorrupt, true},
		{"removed", http.StatusNotFound, IndexMissing, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newIndexed(t)
				whole := encoded(t, time.Now(), digest)
				x.respond(http.StatusOK, whole)
				x.load(t, IndexLoaded)
				x.respond(tt.status, []byte("not an index"))
				advance(5 * time.Minute)
				x.load(t, tt.want)
				x.used(t, tt.name, tt.used)
				if !tt.used {
					return
				}
				x.respond(http.StatusBadGateway, nil)
				advance(24 * time.Hour)
				x.load(t, IndexUnreachable)
				x.used(t, "too old", false)
				want := 24*time.Hour + 5*time.Minute
				if e := x.await(t, IndexStale); e.Err == nil || e.Age != want {
					t.Errorf("event %+v, want an error and the age %s", e, want)
				}
				x.respond(http.StatusOK, whole)
				for range 2 {
					advance(5 * time.Minute)
					want += 5 * time.Minute
					if e := x.load(t, IndexStale); e.Err == nil || e.Age != want {
						t.Errorf("not modified since: event %+v, want an error and the age %s", e, want)
					}
					x.used(t, "not modified since", false)
				}
				x.serve(t, 0, digest, otherDigest)
				advance(5 * time.Minute)
				x.load(t, IndexLoaded)
				x.used(t, "modified", true)
			})
		})
	}
}

// An index becomes too old although nothing looks up a blob in it.
func TestUnusedIndexBecomesStale(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newIndexed(t)
		x.serve(t, 24*time.Hour-5*time.Minute, digest)
		x.load(t, IndexLoaded)
		advance(5 * time.Minute)
		x.load(t, IndexUnchanged)
		advance(5 * time.Minute)
		x.load(t, IndexStale)
		x.used(t, "too old", false) // and is not reported again
		advance(5 * time.Minute)
		x.load(t, IndexStale)
		x.expectGets(t, "each attempt", 4)
	})
}

// After a failure the next attempt is sooner.
func TestIndexRetry(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newIndexed(t)
		x.respond(http.StatusBadGateway, nil)
		x.load(t, IndexUnreachable)
		advance(indexRetry - 1)
		x.mirror.checker.Refresh()
		x.expectGets(t, "before the retry", 1)
		x.serve(t, 0, digest)
		advance(1)
		x.load(t, IndexLoaded)
	})
}

// A function that was frozen cannot know what was removed from the index since.
func TestIndexAfterFreeze(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newIndexed(t)
		x.serve(t, 0, digest)
		x.load(t, IndexLoaded)
		advance(10 * time.Minute)
		x.used(t, "after twice the interval", true)
		advance(1)
		x.used(t, "later", false)
		x.load(t, IndexUnchanged)
		x.used(t, "after the next attempt", true)
	})
}

func TestNoIndex(t *testing.T) {
	t.Parallel()
	n, mirror := stub(Options{})
	mirror.checker.Refresh()
	n.expect(t, "without an index", 0)
}

func TestIndexAllocatesNothing(t *testing.T) {
	x := newIndexed(t)
	x.serve(t, 0, digest)
	x.load(t, IndexLoaded)
	has(t, x.mirror, otherDigest, Present) // it is healthy now
	ctx := t.Context()
	if n := testing.AllocsPerRun(1000, func() {
		x.mirror.checker.Refresh()
		if x.mirror.Has(ctx, new(Limit), digest) != Present {
			t.Error(errors.New("Has is not present any more"))
		}
	}); n != 0 {
		t.Errorf("a blob in the index: %v allocations, want 0", n)
	}
}

// TestIndexOverHTTP loads and refreshes an index from a real server.
func TestIndexOverHTTP(t *testing.T) {
	t.Parallel()
	data := encoded(t, time.Now(), digest)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"a"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	}))
	defer server.Close()
	events := make(chan IndexEvent)
	var offset atomic.Int64
	c := New(Options{
		Timeout: time.Second, HealthInterval: time.Hour,
		Now:   func() time.Time { return time.Now().Add(time.Duration(offset.Load())) },
		Index: IndexOptions{URL: server.URL, Refresh: time.Minute, MaxAge: time.Hour, Observe: func(e IndexEvent) { events <- e }},
	})
	for _, want := range []string{IndexLoaded, IndexUnchanged} {
		c.Refresh()
		if e := <-events; e.Outcome != want || e.Err != nil {
			t.Errorf("outcome %q (%v), want %q", e.Outcome, e.Err, want)
		}
		offset.Add(int64(time.Minute))
	}
}
