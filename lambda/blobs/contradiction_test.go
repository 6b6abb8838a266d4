package blobs

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// blob returns a digest. Those of 0 to 63 are all over the key space.
func blob(i int) string { return fmt.Sprintf("sha256:%02x%014x%048x", i%64*4, i, 1) }

// forged returns a digest that begins like that of a blob.
func forged(i, tail int) string { return blob(i)[:len("sha256:")+16] + fmt.Sprintf("%048x", 1000+tail) }

// newContradicted returns a mirror with a loaded index of blobs 0 to 63, all of which it
// has, and no others.
func newContradicted(t *testing.T) *indexed {
	t.Helper()
	x := newIndexed(t)
	x.events = make(chan IndexEvent, 1000)
	x.set("mirror", status(404))
	var all []string
	for i := range 64 {
		all = append(all, blob(i))
		x.set("mirror/"+blob(i), status(200))
	}
	x.serve(t, 0, all...)
	x.load(t, IndexLoaded)
	return x
}

// respondTo sets the status of every blob.
func (x *indexed) respondTo(code int) {
	x.network.mu.Lock()
	defer x.network.mu.Unlock()
	x.replies = map[string]reply{"mirror": status(code)}
}

// paths returns the checks since the last call.
func (x *indexed) paths() []string {
	x.network.mu.Lock()
	defer x.network.mu.Unlock()
	sent := x.sent
	x.sent = nil
	for i := range sent {
		sent[i] = strings.TrimPrefix(sent[i], "mirror/")
	}
	return sent
}

// comparisons returns how often the mirror contradicted the index, and how often the
// index was reported as disabled, since the last call.
func (x *indexed) comparisons() (contradicted, disabled int) {
	synctest.Wait()
	x.mu.Lock()
	defer x.mu.Unlock()
	contradicted, disabled = x.contradicted, x.disabled
	x.contradicted, x.disabled = 0, 0
	return contradicted, disabled
}

// An index counts for the mirrors that it names.
func TestIndexCoverage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, region string
		covered      bool
	}{
		{"covered", region, true},
		{"another-region", "us-east-1", false},
		{"no-region", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newContradicted(t)
				other := x.mirror.checker.Mirror("other", "https://other/", tt.region)
				x.set("other", after(100*time.Millisecond, 403))
				x.serve(t, 0, blob(1), blob(2))
				advance(5 * time.Minute)
				x.load(t, IndexLoaded)
				if tt.covered {
					took(t, 0, func() { has(t, other, blob(1), Present) })
				} else {
					took(t, 100*time.Millisecond, func() { has(t, other, blob(1), Absent) })
				}
				took(t, 0, func() { has(t, x.mirror, blob(1), Present) })
			})
		})
	}
}

// A mirror that is closed or emptied after the index was loaded contradicts it within
// one interval and one check. Then the index does not count, nor what is cached.
func TestIndexOfClosedMirror(t *testing.T) {
	t.Parallel()
	for _, code := range []int{403, 404} {
		for _, age := range []time.Duration{0, interval / 2, 10 * interval} {
			t.Run(fmt.Sprint(code, "-after-", age), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					x := newContradicted(t)
					x.set("mirror/"+blob(100), status(200))
					for range 20 { // in use for longer than an interval
						has(t, x.mirror, blob(1), Present)
						has(t, x.mirror, blob(100), Present)
						advance(interval / 10)
					}
					advance(age)
					x.respondTo(code)
					closed := time.Now()
					for i := range 200 {
						for _, d := range []string{blob(i % 64), blob(100)} {
							if x.mirror.Has(t.Context(), new(Limit), d) == Present && time.Since(closed) > interval {
								t.Fatalf("%v after it was closed, the mirror has %s", time.Since(closed), d)
							}
						}
						advance(100 * time.Millisecond)
					}
					if contradicted, disabled := x.comparisons(); contradicted == 0 || disabled != 1 {
						t.Errorf("contradicted %d times, disabled %d times; want some, 1", contradicted, disabled)
					}
				})
			})
		}
	}
}

// The truth of the index is watched even if other blobs are checked all the time: S3
// responds 403 for a missing blob and for a closed bucket.
func TestIndexOfClosedBusyMirror(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newContradicted(t)
		has(t, x.mirror, blob(1), Present)
		synctest.Wait()
		x.respondTo(403)
		present := 0
		for i := range 1000 {
			has(t, x.mirror, blob(1000+i), Absent)
			if x.mirror.Has(t.Context(), new(Limit), blob(1)) == Present {
				present++
			}
			advance(100 * time.Millisecond)
		}
		// At most an interval, and the request that the check accompanies.
		if want := int(interval/(100*time.Millisecond)) + 1; present > want {
			t.Errorf("the closed mirror had a blob %d times, want at most %d", present, want)
		}
	})
}

// A missing blob is absent at once, and stays so until a later index is loaded. The
// index still counts for the others.
func TestMissingBlob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newContradicted(t)
		missing := blob(13)
		x.set("mirror/"+missing, status(404))
		for range 2 { // a check of a witness, and one of the blob
			has(t, x.mirror, missing, Present)
			advance(interval)
		}
		for range 10 {
			x.paths()
			took(t, 0, func() { has(t, x.mirror, missing, Absent) })
			for i := range 64 {
				if i != 13 {
					has(t, x.mirror, blob(i), Present)
				}
			}
			advance(absentFor)
		}
		if contradicted, disabled := x.comparisons(); contradicted != 1 || disabled != 0 {
			t.Errorf("contradicted %d times, disabled %d times; want 1, 0", contradicted, disabled)
		}
		// The mirror gets it again.
		x.set("mirror/"+missing, after(100*time.Millisecond, 200))
		advance(absentFor)
		has(t, x.mirror, missing, Present)
		x.load(t, IndexUnchanged)
		advance(PresentFor)
		took(t, 0, func() { has(t, x.mirror, missing, Present) })
	})
}

// An answer of the mirror that is still cached outvotes an index that is loaded later.
func TestCachedAbsentOutvotesIndex(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newContradicted(t)
		has(t, x.mirror, blob(100), Absent)
		x.serve(t, 0, blob(100), blob(1))
		advance(5*time.Minute - absentFor/2)
		has(t, x.mirror, blob(100), Absent)
		advance(absentFor / 2)
		x.load(t, IndexLoaded)
		x.paths()
		has(t, x.mirror, blob(100), Absent)
		has(t, x.mirror, blob(1), Present)
	})
}

// Clients that ask for digests that begin like those of indexed blobs change nothing
// for others.
func TestForgedDigests(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		missing int // witness that was withdrawn
	}{{"intact", -1}, {"withdrawn-witness", 8}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				x := newContradicted(t)
				if tt.missing >= 0 {
					x.set("mirror/"+blob(tt.missing), status(404))
				}
				for i := range 10_000 {
					advance(interval / 250)
					x.mirror.Has(t.Context(), new(Limit), forged(i%64, i))
					advance(interval / 250)
					took(t, 0, func() { has(t, x.mirror, blob(1), Present) })
					x.mirror.checker.Refresh()
				}
				contradicted, disabled := x.comparisons()
				if contradicted == 0 || disabled != 0 {
					t.Errorf("contradicted %d times, disabled %d times; want some, 0", contradicted, disabled)
				}
				if n := len(x.mirror.denied); n > maxDenied {
					t.Errorf("%d blobs are checked although they are indexed, want at most %d", n, maxDenied)
				}
			})
		})
	}
}

func TestDeniedIsBounded(t *testing.T) {
	t.Parallel()
	o := &Origin{}
	for i := range uint64(10 * maxDenied) {
		if !o.deny(i) || o.deny(i) {
			t.Fatalf("deny(%d) is not new exactly once", i)
		}
	}
	if len(o.denied) != maxDenied {
		t.Errorf("%d are denied, want %d", len(o.denied), maxDenied)
	}
}

// After an index was disabled, only a later one counts, once the mirror has one of its
// witnesses.
func TestLaterIndex(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newContradicted(t)
		healthy := x.replies
		has(t, x.mirror, blob(1), Present)
		synctest.Wait()
		x.respondTo(403)
		advance(interval)
		for range 3 {
			x.mirror.Has(t.Context(), new(Limit), blob(1))
			advance(interval)
		}
		if _, disabled := x.comparisons(); disabled != 1 {
			t.Fatalf("disabled %d times, want 1", disabled)
		}

		// The same index does not count, even if the mirror is open again.
		x.network.mu.Lock()
		x.replies = healthy
		x.network.mu.Unlock()
		advance(5 * time.Minute)
		x.load(t, IndexUnchanged)
		if _, disabled := x.comparisons(); disabled != 1 {
			t.Errorf("after another attempt: reported %d times, want 1", disabled)
		}
		for i := range 64 {
			x.paths()
			has(t, x.mirror, blob(i), Present)
			if got := x.paths(); !slices.Equal(got, []string{blob(i)}) {
				t.Errorf("checks %q, want one of the blob", got)
			}
		}

		// A later one does not count while the witnesses are missing.
		x.respondTo(403)
		x.serve(t, 0, blob(1), blob(2), blob(20), blob(40))
		advance(5 * time.Minute)
		x.load(t, IndexLoaded)
		for range 3 {
			advance(absentFor)
			took(t, 0, func() { has(t, x.mirror, blob(2), Absent) })
			synctest.Wait()
		}

		x.set("mirror", status(200))
		advance(absentFor)
		has(t, x.mirror, blob(20), Present)
		synctest.Wait()
		x.paths()
		has(t, x.mirror, blob(1), Present)
		if got := x.paths(); len(got) > 0 {
			t.Errorf("checks %q, want none for a blob in the index", got)
		}
		x.comparisons()
		advance(5 * time.Minute)
		x.mirror.checker.Refresh()
		if _, disabled := x.comparisons(); disabled != 0 {
			t.Errorf("an enabled index is reported as disabled %d times", disabled)
		}
	})
}

// A region that the index covers no longer is checked; the index of a mirror that was
// never in use is confirmed in the same way.
func TestIndexWithoutMirror(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newContradicted(t)
		has(t, x.mirror, blob(1), Present)
		x.respond(http.StatusOK, encodedFor(t, time.Now(), []string{"us-east-1"}, blob(1)))
		advance(5 * time.Minute)
		x.load(t, IndexLoaded)
		x.respondTo(403)
		has(t, x.mirror, blob(1), Absent)
		if contradicted, disabled := x.comparisons(); contradicted != 0 || disabled != 0 {
			t.Errorf("contradicted %d times, disabled %d times; want 0, 0", contradicted, disabled)
		}
	})
}

// The background check is of a witness and of the blob that was requested, in turn, and
// all witnesses have their turn.
func TestTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newContradicted(t)
		requested := blob(33) // not a witness
		seen := map[string]int{}
		for range 64 {
			x.paths()
			has(t, x.mirror, requested, Present)
			has(t, x.mirror, requested, Present)
			synctest.Wait()
			got := x.paths()
			if len(got) != 1 {
				t.Fatalf("checks %q, want one", got)
			}
			seen[got[0]]++
			advance(interval)
			if x.loader().next.Load() <= time.Now().UnixNano() {
				x.load(t, IndexUnchanged)
			}
		}
		if seen[requested] != 32 || len(seen) != 33 {
			t.Errorf("%d checks of the blob, %d different ones; want 32, and each of the 32 witnesses", seen[requested], len(seen)-1)
		}
	})
}

// A check of a witness that the end of its invocation interrupts has no result: then
// requests wait for their own checks, which are right.
func TestInterruptedWitness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newContradicted(t)
		has(t, x.mirror, blob(1), Present)
		synctest.Wait()
		x.respondTo(403)
		x.set("mirror", after(50*time.Millisecond, 403))
		advance(interval)
		wrong := 0
		for i := range 100 {
			// Each invocation ends with its response.
			invocation, cancel := context.WithCancel(t.Context())
			if x.mirror.Has(invocation, new(Limit), blob(i%64)) == Present {
				wrong++
			}
			cancel()
			advance(time.Second)
		}
		if wrong > 1 {
			t.Errorf("the closed mirror had a blob %d times, want once", wrong)
		}
		// One that does not end so early finds out why.
		has(t, x.mirror, blob(70), Absent)
		advance(time.Second)
		if _, disabled := x.comparisons(); disabled != 1 {
			t.Errorf("disabled %d times, want 1", disabled)
		}
	})
}

// With a mirror so far away that a check of a witness takes longer than the request that
// it accompanies, and an invocation that ends with each response.
func TestDistantMirror(t *testing.T) {
	t.Parallel()
	const distance = 80 * time.Millisecond
	invoke := func(t *testing.T, x *indexed, path string) (Answer, time.Duration) {
		invocation, cancel := context.WithCancel(t.Context())
		defer cancel()
		start := time.Now()
		return x.mirror.Has(invocation, new(Limit), path), time.Since(start)
	}
	start := func(t *testing.T, witness, other reply) *indexed {
		x := newContradicted(t)
		for _, w := range x.loader().current.Load().Witnesses {
			x.set("mirror/"+w, witness)
		}
		for i := 1; i < 64; i += 2 { // not witnesses
			x.set("mirror/"+blob(i), other)
		}
		x.set("mirror", after(distance, 404))
		return x
	}
	t.Run("forged", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := start(t, after(2*distance, 200), after(distance, 200))
			waited := 0
			for i := range 3000 {
				invoke(t, x, forged(i%64, i))
				invoke(t, x, forged((i+1)%64, i+10_000))
				advance(interval / 200)
				a, took := invoke(t, x, blob(33))
				if a != Present || took > distance {
					t.Fatalf("the mirror has the blob: %v after %v, want present after %v at most", a, took, distance)
				}
				if took > 0 {
					waited++
				}
				advance(interval / 200)
				x.mirror.checker.Refresh()
			}
			// After each background check that was interrupted.
			if limit := 30; waited > limit {
				t.Errorf("%d of 3000 requests waited, want at most %d", waited, limit)
			}
			if _, disabled := x.comparisons(); disabled != 0 {
				t.Errorf("disabled %d times, want 0", disabled)
			}
		})
	})
	t.Run("only-forged", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := start(t, after(2*distance, 200), after(distance, 200))
			for i := range 10 {
				invoke(t, x, forged(i, i))
				advance(interval / 100)
			}
			if a, took := invoke(t, x, blob(33)); a != Present || took != 0 {
				t.Errorf("the mirror has the blob: %v after %v, want present at once", a, took)
			}
		})
	})
	t.Run("closed", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := start(t, after(2*distance, 403), after(distance, 403))
			wrong := 0
			for i := range 20 {
				if a, _ := invoke(t, x, blob(i%64)); a == Present {
					wrong++
				}
				advance(time.Second)
			}
			if _, disabled := x.comparisons(); disabled != 1 || wrong > 1 {
				t.Errorf("disabled %d times, %d wrong answers; want 1, at most 1", disabled, wrong)
			}
		})
	})
}

// While a witness is checked, requests are answered as before. The request that found a
// blob missing does not wait for it.
func TestWitnessIsCheckedInBackground(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newContradicted(t)
		has(t, x.mirror, blob(1), Present)
		advance(referenceInterval)
		x.mirror.mu.Lock()
		x.mirror.stale = true // so that requests have their own checks
		x.mirror.mu.Unlock()
		for i := range 64 {
			x.set("mirror/"+blob(i), after(300*time.Millisecond, 200))
		}
		took(t, 0, func() { has(t, x.mirror, forged(1, 1), Absent) })
		took(t, 0, func() { has(t, x.mirror, blob(1), Present) })
		advance(time.Second)
		if contradicted, disabled := x.comparisons(); contradicted != 1 || disabled != 0 {
			t.Errorf("contradicted %d times, disabled %d times; want 1, 0", contradicted, disabled)
		}
	})
}

// An index with so few blobs that it has one witness.
func TestOnlyWitness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		x := newContradicted(t)
		x.serve(t, 0, blob(1))
		advance(5 * time.Minute)
		x.load(t, IndexLoaded)
		x.respondTo(404)
		has(t, x.mirror, blob(1), Present)
		synctest.Wait()
		has(t, x.mirror, blob(1), Absent)
		if _, disabled := x.comparisons(); disabled != 1 {
			t.Errorf("disabled %d times, want 1", disabled)
		}
	})
}

// TestConcurrentContradictions is for the race detector.
func TestConcurrentContradictions(t *testing.T) {
	t.Parallel()
	x := newContradicted(t)
	x.mirror.checker.options.HealthInterval = time.Millisecond
	go func() {
		for {
			select {
			case <-x.events:
			case <-t.Context().Done():
				return
			}
		}
	}()
	var all sync.WaitGroup
	for worker := range 8 {
		all.Go(func() {
			for i := range 300 {
				switch {
				case worker == 0 && i%50 == 0:
					x.respondTo([]int{403, 200, 500}[i/50%3])
				case worker == 1 && i%60 == 0:
					x.loader().next.Store(0)
					x.serve(t, 0, blob(i%64), blob(1))
				}
				x.mirror.Has(t.Context(), new(Limit), blob(i%64))
				x.mirror.Has(t.Context(), new(Limit), forged(i%64, i))
			}
		})
	}
	all.Wait()
}
