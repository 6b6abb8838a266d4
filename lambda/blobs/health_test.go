package blobs

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

const interval = 10 * time.Second

// idle returns an origin with "x" and "y" in the cache that has not responded for the
// whole interval since.
func idle(t *testing.T) (*network, *Origin) {
	n, mirror := stub(Options{HealthInterval: interval})
	n.set("mirror", status(200))
	has(t, mirror, "x", Present)
	has(t, mirror, "y", Present)
	advance(interval)
	n.requests()
	return n, mirror
}

func TestBackgroundCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{HealthInterval: interval})
		n.set("mirror", status(200))
		has(t, mirror, "x", Present)
		has(t, mirror, "y", Present)
		n.requests()
		advance(interval - 1)
		has(t, mirror, "x", Present)
		advance(0)
		n.expect(t, "within the interval", 0)
		advance(1)

		n.set("mirror", after(500*time.Millisecond, 200))
		took(t, 0, func() {
			for range 3 {
				has(t, mirror, "x", Present)
				has(t, mirror, "y", Present)
			}
		})
		advance(499 * time.Millisecond)
		took(t, 0, func() { has(t, mirror, "y", Present) })
		n.expect(t, "after the interval", 1)
		advance(time.Millisecond)

		// The interval starts again with its response.
		advance(interval - 1)
		has(t, mirror, "x", Present)
		advance(0)
		n.expect(t, "within the next interval", 0)
		advance(1)
		has(t, mirror, "x", Present)
		advance(0)
		n.expect(t, "after the next interval", 1)
	})
}

// Every answer shows that an origin is healthy, whatever the check was for.
func TestHealthyResponses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status int
		health bool
	}{
		{"present", 200, true},
		{"forbidden", 403, true},
		{"missing", 404, true},
		{"error", 500, false},
		{"redirect", 301, false},
		{"too-many", 429, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := idle(t)
				n.set("mirror", status(tt.status))
				has(t, mirror, "x", Present)
				advance(0)
				n.expect(t, "background check", 1)
				want := Unknown
				if tt.health {
					want = Present
				}
				has(t, mirror, "y", want)
				if tt.health {
					n.expect(t, "cached", 0)
				}

				// That of another blob says nothing about these.
				n, mirror = idle(t)
				n.set("mirror", status(tt.status))
				has(t, mirror, "z", Mirror(tt.status))
				n.expect(t, "another blob", 1)
				mirror.Has(t.Context(), new(Limit), "x")
				advance(0)
				if tt.status != 200 {
					n.expect(t, "background check", 1)
				}
				has(t, mirror, "y", want)
			})
		})
	}
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := idle(t)
		n.set("mirror", hangs)
		took(t, 0, func() { has(t, mirror, "x", Present) })
		advance(time.Second - 1)
		has(t, mirror, "x", Present)
		n.expect(t, "background check", 1)
		advance(1)
		// Clients are affected for at most an interval and one check.
		has(t, mirror, "y", Unknown)
		n.expect(t, "unavailable", 1)

		n.set("mirror", after(200*time.Millisecond, 404))
		took(t, 200*time.Millisecond, func() { has(t, mirror, "z", Absent) })
		n.expect(t, "available again", 1)
		took(t, 0, func() {
			has(t, mirror, "x", Present)
			has(t, mirror, "y", Present)
		})
		n.expect(t, "cached", 0)
	})
}

// One failure within the interval does not make an origin unhealthy.
func TestOneFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{HealthInterval: interval})
		n.set("mirror", status(200))
		has(t, mirror, "x", Present)
		advance(interval - 1)
		n.set("mirror", status(503))
		has(t, mirror, "z", Unknown)
		n.expect(t, "checks", 2)
		has(t, mirror, "x", Present)
		n.expect(t, "cached", 0)
	})
}

// The cached answers of another origin still count.
func TestHealthIsSeparate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := idle(t)
		other := mirror.checker.Origin("other", "https://other/", Mirror)
		n.set("other", status(200))
		has(t, other, "x", Present)
		n.set("mirror", refuses)
		has(t, mirror, "x", Present)
		advance(0)
		has(t, mirror, "x", Unknown)
		n.requests()
		has(t, other, "x", Present)
		n.expect(t, "other", 0)
	})
}

// A background check that the end of its invocation interrupts has no result; the
// next request waits for its own check.
func TestInterruptedBackgroundCheck(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		reply  reply
		want   Answer
		took   time.Duration
		after  Answer
		checks int // for the request after it
	}{
		{"healthy", after(200*time.Millisecond, 200), Present, 200 * time.Millisecond, Present, 0},
		{"gone", after(200*time.Millisecond, 404), Absent, 200 * time.Millisecond, Present, 0},
		{"error", after(200*time.Millisecond, 500), Unknown, 200 * time.Millisecond, Unknown, 1},
		{"unavailable", hangs, Unknown, time.Second, Unknown, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := idle(t)
				n.set("mirror", hangs)
				invocation, cancel := context.WithCancel(t.Context())
				hasIn(invocation, t, mirror, "x", Present)
				synctest.Wait()
				n.expect(t, "background check", 1)
				cancel()
				advance(0)
				if mirror.failures != 0 || mirror.stale || mirror.respondedAt.Equal(time.Now()) {
					t.Errorf("%d failures, stale %v, last response at %v; want no change", mirror.failures, mirror.stale, mirror.respondedAt)
				}

				advance(5 * time.Second)
				n.set("mirror", tt.reply)
				took(t, tt.took, func() { has(t, mirror, "x", tt.want) })
				n.expect(t, "own check", 1)
				has(t, mirror, "y", tt.after)
				n.expect(t, "next request", tt.checks)
				if tt.after == Present {
					// The interrupted check has no effect any more.
					advance(interval)
					took(t, 0, func() { has(t, mirror, "y", Present) })
					advance(time.Second)
					n.expect(t, "background check", 1)
				}
			})
		})
	}
}

// If its own check is interrupted too, the next request waits, else an unavailable
// origin would stay unnoticed.
func TestInterruptedAgain(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		check func(*testing.T, *Origin)
	}{
		{"ended", func(t *testing.T, mirror *Origin) {
			invocation, cancel := context.WithCancel(t.Context())
			time.AfterFunc(300*time.Millisecond, cancel)
			hasIn(invocation, t, mirror, "x", Unknown)
		}},
		{"shortened", func(t *testing.T, mirror *Origin) {
			invocation, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			hasIn(invocation, t, mirror, "x", Unknown)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := idle(t)
				n.set("mirror", hangs)
				invocation, cancel := context.WithCancel(t.Context())
				hasIn(invocation, t, mirror, "x", Present)
				synctest.Wait()
				cancel()
				advance(time.Second)
				for range 2 * breakAfter {
					tt.check(t, mirror)
				}
				n.expect(t, "checks", 1+2*breakAfter)
				if mirror.failures != 0 || mirror.stale {
					t.Errorf("%d failures, stale %v; want 0, false", mirror.failures, mirror.stale)
				}
				n.set("mirror", after(200*time.Millisecond, 200))
				took(t, 200*time.Millisecond, func() { has(t, mirror, "x", Present) })
				took(t, 0, func() { has(t, mirror, "x", Present) })
				n.expect(t, "healthy", 1)
			})
		})
	}
}

// An invocation that ends after its background check interrupts nothing.
func TestInvocationEndsAfterBackgroundCheck(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := idle(t)
		invocation, cancel := context.WithCancel(t.Context())
		hasIn(invocation, t, mirror, "x", Present)
		synctest.Wait()
		cancel()
		advance(interval)
		n.set("mirror", after(200*time.Millisecond, 200))
		took(t, 0, func() { has(t, mirror, "x", Present) })
		advance(time.Second)
		n.expect(t, "background checks", 2)
	})
}
