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

func TestRemembered(t *testing.T) {
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
				n.expect(t, "first question", 1)
				if tt.keep > 0 {
					has(t, mirror, "x", tt.answer)
					pass(tt.keep - time.Nanosecond)
					has(t, mirror, "x", tt.answer)
					n.expect(t, "while remembered", 0)
					pass(time.Nanosecond)
				}
				has(t, mirror, "x", tt.answer)
				n.expect(t, "when forgotten", 1)
			})
		})
	}
}

// TestRememberedAnew: what is found out later replaces what was known before,
// and is kept for its own time.
func TestRememberedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{HealthInterval: time.Hour})
		n.set("mirror", status(404))
		has(t, mirror, "x", Absent)
		pass(time.Minute)
		n.set("mirror", status(200))
		has(t, mirror, "x", Present)
		pass(5*time.Minute - 1)
		has(t, mirror, "x", Present)
		n.expect(t, "present", 2)
		pass(1)
		n.set("mirror", refuses)
		has(t, mirror, "x", Unknown)
	})
}

func TestRememberedApart(t *testing.T) {
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

func TestMemoryIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const all = facts*sets + 1000
		n, mirror := stub(Options{HealthInterval: time.Hour})
		n.set("mirror", status(200))
		for i := range all {
			has(t, mirror, fmt.Sprint(i), Present)
			pass(time.Millisecond)
		}
		n.expect(t, "new", all)
		if got := len(mirror.checker.memory.sets); got != sets {
			t.Errorf("%d sets, want %d", got, sets)
		}
		if got := len(mirror.checker.flights); got != 0 {
			t.Errorf("%d flights left", got)
		}
		for i := range 100 {
			has(t, mirror, fmt.Sprint(all-1-i), Present)
		}
		n.expect(t, "newest", 0)
	})
}

// TestMemoryForgetsWhatEndsFirst: in a set that is full.
func TestMemoryForgetsWhatEndsFirst(t *testing.T) {
	began := time.Unix(1_800_000_000, 0)
	m := memory{began: began}
	// The keys fall into one set.
	for i, minutes := range []time.Duration{5, 3, 4, 6} {
		m.learn(uint64(i+1)*sets, Present, began.Add(minutes*time.Minute))
	}
	m.learn(3*sets, Absent, began.Add(2*time.Minute)) // now it ends first
	m.learn(9*sets, Absent, began.Add(time.Minute))
	for key, want := range map[uint64]Answer{1: Present, 2: Present, 3: Unknown, 4: Present, 9: Absent} {
		if got := m.answer(key*sets, began); got != want {
			t.Errorf("answer to %d is %v, want %v", key, got, want)
		}
	}
}

// TestMemoryHoldsMost: of 32,768 facts, in a megabyte.
func TestMemoryHoldsMost(t *testing.T) {
	c := New(Options{})
	o := c.Origin("mirror", "https://mirror/", Mirror)
	now := time.Now()
	const n = 32768
	for i := range n {
		c.memory.learn(o.key(fmt.Sprint(i)), Present, now.Add(time.Minute))
	}
	lost := 0
	for i := range n {
		if c.memory.answer(o.key(fmt.Sprint(i)), now) != Present {
			lost++
		}
	}
	if lost > n/20 {
		t.Errorf("%d of %d facts are lost", lost, n)
	}
	if size := unsafe.Sizeof(set{}) * sets; size > 1<<20 {
		t.Errorf("it takes %d bytes, the budget is %d", size, 1<<20)
	}
}

func TestAskedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
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
				var questions sync.WaitGroup
				for range 20 {
					questions.Go(func() { has(t, mirror, tt.path, tt.want) })
				}
				questions.Wait()
			})
			n.expect(t, tt.path, 1)
		}
		if mirror.failures != 1 {
			t.Errorf("%d failures, want 1", mirror.failures)
		}
	})
}

// TestAskedAgain: whoever waits for a check of another invocation, which is
// cut off, makes one of its own; and all of them together only one.
func TestAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		n.set("mirror", hangs)
		invocation, cancel := context.WithCancel(t.Context())
		go hasIn(invocation, t, mirror, "x", Unknown)
		synctest.Wait()
		var questions sync.WaitGroup
		for range 5 {
			questions.Go(func() { has(t, mirror, "x", Present) })
		}
		pass(300 * time.Millisecond)
		n.expect(t, "first check", 1)
		n.set("mirror", after(200*time.Millisecond, 200))
		cancel()
		took(t, 200*time.Millisecond, questions.Wait)
		n.expect(t, "second check", 1)
	})
}

// TestWaitingEnds: who waits for another's check waits no longer than for one
// of its own.
func TestWaitingEnds(t *testing.T) {
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
			invocation, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond+answerMargin)
			defer cancel()
			hasIn(invocation, t, mirror, "x", Unknown)
		})
		took(t, 300*time.Millisecond, func() {
			mirror.Has(t.Context(), &Limit{time.Now().Add(300 * time.Millisecond)}, "x")
		})
		n.expect(t, "all", 1)
	})
}
