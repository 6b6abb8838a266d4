package blobs

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestTimeout(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name          string
		timeout, want time.Duration
	}{
		{"short", 50 * time.Millisecond, 50 * time.Millisecond},
		{"default", time.Second, time.Second},
		{"largest", 1500 * time.Millisecond, 1500 * time.Millisecond},
		{"capped", time.Minute, 1500 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex
				var checks []time.Duration
				n, mirror := stub(Options{Timeout: tt.timeout, Observe: func(_, _ string, took time.Duration) {
					mu.Lock()
					defer mu.Unlock()
					if took > time.Nanosecond {
						checks = append(checks, took)
					}
				}})
				n.set(known, after(time.Nanosecond, 404))
				n.set("mirror", status(200))
				has(t, mirror, "old", Present)
				n.set("mirror", after(tt.want-time.Nanosecond, 200))
				has(t, mirror, "just-in-time", Present)
				n.set("mirror", hangs)
				took(t, tt.want, func() { has(t, mirror, "x", Unknown) })
				// A timeout is a failure, until the background check has a response.
				synctest.Wait()
				mirror.mu.Lock()
				if mirror.uncounted != 1 {
					t.Errorf("%d failures, want 1", mirror.uncounted)
				}
				mirror.mu.Unlock()
				// Background checks have the same deadline.
				advance(10 * time.Second)
				took(t, 0, func() { has(t, mirror, "old", Present) })
				advance(time.Minute)
				if got := checks[len(checks)-1]; len(checks) != 3 || got != tt.want {
					t.Errorf("checks took %v, want 3, the last one %v", checks, tt.want)
				}
			})
		})
	}
}

func TestLimitIsShared(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, first := stub(Options{})
		second := first.checker.Origin("second", "https://second/", Mirror)
		third := first.checker.Origin("third", "https://third/", Mirror)
		n.set("first", status(200))
		n.set("mirror", hangs)
		n.set("second", hangs)
		n.set("third", status(200))
		has(t, third, "known", Present)
		n.requests()

		var limit Limit
		// Neither cached answers nor the time before the first check count.
		third.Has(t.Context(), &limit, "known")
		advance(2 * time.Second)
		took(t, time.Second, func() { first.Has(t.Context(), &limit, "x") })
		took(t, 500*time.Millisecond, func() { second.Has(t.Context(), &limit, "x") })
		n.expect(t, "within the limit", 2)
		took(t, 0, func() {
			if got := third.Has(t.Context(), &limit, "x"); got != Unknown {
				t.Errorf("after the limit: Has is %v, want unknown", got)
			}
		})
		n.expect(t, "after the limit", 0)
		if got := third.Has(t.Context(), &limit, "known"); got != Present {
			t.Errorf("cached, after the limit: Has is %v, want present", got)
		}
		has(t, third, "x", Present) // another request has its own limit
	})
}

func TestAnswerWithinLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, first := stub(Options{})
		second := first.checker.Origin("second", "https://second/", Mirror)
		n.set("mirror", hangs)
		var limit Limit
		first.Has(t.Context(), &limit, "x")
		n.set("second", after(499*time.Millisecond, 200))
		if got := second.Has(t.Context(), &limit, "x"); got != Present {
			t.Errorf("just within the limit: Has is %v, want present", got)
		}
	})
}

// Checks leave some of an invocation's time for its response.
func TestResponseMargin(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		left, want time.Duration
		requests   int
	}{
		{"plenty", time.Minute, time.Second, 1},
		{"enough", time.Second + responseMargin, time.Second, 1},
		{"little", 400*time.Millisecond + responseMargin, 400 * time.Millisecond, 1},
		{"margin", responseMargin, 0, 0},
		{"nothing", time.Millisecond, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if responseMargin < 50*time.Millisecond {
					t.Errorf("responseMargin is %v, want at least 50ms", responseMargin)
				}
				observed := 0
				n, mirror := stub(Options{Observe: func(string, string, time.Duration) { observed++ }})
				n.set("mirror", hangs)
				invocation, cancel := context.WithTimeout(t.Context(), tt.left)
				defer cancel()
				took(t, tt.want, func() { hasIn(invocation, t, mirror, "x", Unknown) })
				n.expect(t, "check", tt.requests)
				if observed != tt.requests {
					t.Errorf("%d checks observed, want %d", observed, tt.requests)
				}
			})
		})
	}
}

// A check with less than its usual time that times out counts neither way.
func TestShortenedCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		left   time.Duration
		reply  reply
		counts bool
	}{
		{"no-time", 0, hangs, false},
		{"half", 500 * time.Millisecond, hangs, false},
		{"whole", time.Second, hangs, true},
		{"more", 1500 * time.Millisecond, hangs, true},
		{"half-refused", 500 * time.Millisecond, refuses, true},
		{"half-error", 500 * time.Millisecond, after(400*time.Millisecond, 500), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := stub(Options{HealthInterval: time.Millisecond})
				n.set("mirror", status(200))
				has(t, mirror, "old", Present)
				advance(time.Millisecond)
				n.set("mirror", tt.reply)
				for i := range 2 * breakAfter {
					mirror.Has(t.Context(), &Limit{time.Now().Add(tt.left)}, fmt.Sprint(i))
				}
				synctest.Wait()
				if mirror.failures+mirror.uncounted > 0 != tt.counts {
					t.Errorf("%d failures, want some: %v", mirror.failures+mirror.uncounted, tt.counts)
				}
			})
		})
	}
}

// A request that waits for a shortened check of another one still has its own time.
func TestShortenedSharedCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		n.set("mirror", after(400*time.Millisecond, 200))
		go mirror.Has(t.Context(), &Limit{time.Now().Add(300 * time.Millisecond)}, "x")
		synctest.Wait()
		took(t, 700*time.Millisecond, func() { has(t, mirror, "x", Present) })
		n.expect(t, "both", 2)
	})
}
