package blobs

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"
)

func TestCached(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		reply  reply
		answer Answer
		keep   time.Duration
	}{
		{"present", status(200), Present, 5 * time.Minute},
		{"absent-404", status(404), Absent, time.Minute},
		{"absent-403", status(403), Absent, time.Minute},
		{"unknown-500", status(500), Unknown, 0},
		{"unknown-301", status(301), Unknown, 0},
		{"unknown-refused", refuses, Unknown, 0},
		{"unknown-hangs", hangs, Unknown, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := stub(Options{HealthInterval: time.Hour})
				n.set("mirror", tt.reply)
				has(t, mirror, "x", tt.answer)
				n.expect(t, "first request", 1)
				if tt.keep > 0 {
					has(t, mirror, "x", tt.answer)
					advance(tt.keep - time.Nanosecond)
					has(t, mirror, "x", tt.answer)
					n.expect(t, "while cached", 0)
					advance(time.Nanosecond)
				}
				has(t, mirror, "x", tt.answer)
				n.expect(t, "when expired", 1)
			})
		})
	}
}

// A newer answer replaces a cached one, with its own expiry.
func TestCacheUpdate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{HealthInterval: time.Hour})
		n.set("mirror", status(404))
		has(t, mirror, "x", Absent)
		advance(time.Minute)
		n.set("mirror", status(200))
		has(t, mirror, "x", Present)
		advance(5*time.Minute - 1)
		has(t, mirror, "x", Present)
		n.expect(t, "present", 2)
		advance(1)
		n.set("mirror", refuses)
		has(t, mirror, "x", Unknown)
	})
}

func TestCacheIsByOriginAndPath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		other := mirror.checker.Origin("mirror", "https://other/", Mirror)
		n.set("mirror", status(200))
		n.set("other", status(404))
		for range 2 {
			has(t, mirror, "x", Present)
			has(t, other, "x", Absent)
		}
		n.set("mirror", status(404))
		has(t, mirror, "y", Absent)
		n.expect(t, "two origins, two blobs", 3)
	})
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const all = entriesPerSet*sets + 1000
		n, mirror := stub(Options{HealthInterval: time.Hour})
		n.set("mirror", status(200))
		for i := range all {
			has(t, mirror, fmt.Sprint(i), Present)
			advance(time.Millisecond)
		}
		n.expect(t, "new", all)
		if got := len(mirror.checker.cache.sets); got != sets {
			t.Errorf("%d sets, want %d", got, sets)
		}
		if got := len(mirror.checker.flights); got != 0 {
			t.Errorf("%d flights, want 0", got)
		}
		for i := range 100 {
			has(t, mirror, fmt.Sprint(all-1-i), Present)
		}
		n.expect(t, "newest", 0)
	})
}

// In a full set, the entry that expires first is replaced.
func TestCacheEviction(t *testing.T) {
	t.Parallel()
	start := time.Unix(1_800_000_000, 0)
	c := cache{start: start}
	// All keys are in one set.
	for i, minutes := range []time.Duration{5, 3, 4, 6} {
		c.store(uint64(i+1)*sets, Present, start.Add(minutes*time.Minute))
	}
	c.store(3*sets, Absent, start.Add(2*time.Minute)) // now it expires first
	c.store(9*sets, Absent, start.Add(time.Minute))
	for key, want := range map[uint64]Answer{1: Present, 2: Present, 3: Unknown, 4: Present, 9: Absent} {
		if got := c.get(key*sets, start); got != want {
			t.Errorf("key %d is %v, want %v", key, got, want)
		}
	}
}

// The cache holds most of 32,768 entries, in 1 MB.
func TestCacheCapacity(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	o := c.Origin("mirror", "https://mirror/", Mirror)
	now := time.Now()
	const n = 32768
	for i := range n {
		c.cache.store(o.key(fmt.Sprint(i)), Present, now.Add(time.Minute))
	}
	lost := 0
	for i := range n {
		if c.cache.get(o.key(fmt.Sprint(i)), now) != Present {
			lost++
		}
	}
	if lost > n/20 {
		t.Errorf("%d of %d entries were replaced, want at most 5%%", lost, n)
	}
	if size := unsafe.Sizeof(set{}) * sets; size > 1<<20 {
		t.Errorf("the cache has %d bytes, want at most %d", size, 1<<20)
	}
}

func TestConcurrentChecksAreShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		n.set(known, hangs)
		for _, tt := range []struct {
			path  string
			reply reply
			want  Answer
		}{
			{"present", after(500*time.Millisecond, 200), Present},
			{"absent", after(500*time.Millisecond, 404), Absent},
			{"unknown", after(500*time.Millisecond, 500), Unknown},
		} {
			n.set("mirror", tt.reply)
			took(t, 500*time.Millisecond, func() {
				var requests sync.WaitGroup
				for range 20 {
					requests.Go(func() { has(t, mirror, tt.path, tt.want) })
				}
				requests.Wait()
			})
			n.expect(t, tt.path, 1)
		}
		synctest.Wait()
		if mirror.uncounted != 1 {
			t.Errorf("%d failures, want 1", mirror.uncounted)
		}
	})
}

// Requests that wait for an interrupted check of another invocation share a new one.
func TestInterruptedSharedCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		n.set("mirror", hangs)
		invocation, cancel := context.WithCancel(t.Context())
		go hasIn(invocation, t, mirror, "x", Unknown)
		synctest.Wait()
		var requests sync.WaitGroup
		for range 5 {
			requests.Go(func() { has(t, mirror, "x", Present) })
		}
		advance(300 * time.Millisecond)
		n.expect(t, "first check", 1)
		n.set("mirror", after(200*time.Millisecond, 200))
		cancel()
		took(t, 200*time.Millisecond, requests.Wait)
		n.expect(t, "second check", 1)
	})
}

// A request waits for the check of another one no longer than for its own.
func TestSharedCheckDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		n.set("mirror", hangs)
		go has(t, mirror, "x", Unknown)
		synctest.Wait()
		took(t, 100*time.Millisecond, func() {
			invocation, cancel := context.WithCancel(t.Context())
			time.AfterFunc(100*time.Millisecond, cancel)
			hasIn(invocation, t, mirror, "x", Unknown)
		})
		took(t, 200*time.Millisecond, func() {
			invocation, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond+responseMargin)
			defer cancel()
			hasIn(invocation, t, mirror, "x", Unknown)
		})
		took(t, 300*time.Millisecond, func() {
			mirror.Has(t.Context(), &Limit{time.Now().Add(300 * time.Millisecond)}, "x")
		})
		n.expect(t, "all", 1)
	})
}
