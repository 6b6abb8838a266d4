package blobs

import (
	"context"
	"fmt"
	"strings"
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
		const more = 100
		n, mirror := stub(Options{HealthInterval: time.Hour})
		n.set("mirror", status(200))
		for i := range remembered + more {
			has(t, mirror, fmt.Sprint(i), Present)
		}
		n.expect(t, "new", remembered+more)
		if got := mirror.checker.memory.Len(); got != remembered {
			t.Errorf("%d entries, want %d", got, remembered)
		}
		if got := len(mirror.checker.flights); got != 0 {
			t.Errorf("%d flights left", got)
		}
		for i := range more {
			has(t, mirror, fmt.Sprint(remembered+i), Present)
		}
		n.expect(t, "newest", 0)
		has(t, mirror, "0", Present)
		n.expect(t, "oldest", 1)
	})
}

// TestMemoryHoldsNoEvent: a path is cut out of an event that would live as
// long as the entry.
func TestMemoryHoldsNoEvent(t *testing.T) {
	event := strings.Repeat("e", 1<<20)
	inEvent := func(s string) bool {
		start, p := uintptr(unsafe.Pointer(unsafe.StringData(event))), uintptr(unsafe.Pointer(unsafe.StringData(s)))
		return start <= p && p < start+uintptr(len(event))
	}
	if !inEvent(event[10:20]) {
		t.Fatal("a part of the event is not found in it")
	}
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		c := mirror.checker
		n.set("mirror", after(time.Millisecond, 200))
		expect := func(what string) {
			t.Helper()
			keys := c.memory.Keys()
			if len(keys) != 1 || inEvent(keys[0].path) {
				t.Errorf("%s: an entry holds the event, or there is none: %d", what, len(keys))
			}
		}
		has(t, mirror, event[10:20], Present)
		expect("a check of its own")
		pass(10 * time.Second)
		has(t, mirror, event[10:20], Present)
		c.memory.Purge() // an entry that is replaced keeps its key
		pass(time.Second)
		expect("a check beside an answer")
	})
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
