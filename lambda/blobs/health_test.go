package blobs

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

const interval = 10 * time.Second

// living makes an origin that remembers "x" and "y" and was silent since for
// all of the interval.
func living(t *testing.T) (*network, *Origin) {
	n, mirror := stub(Options{HealthInterval: interval})
	n.set("mirror", status(200))
	has(t, mirror, "x", Present)
	has(t, mirror, "y", Present)
	pass(interval)
	n.requests()
	return n, mirror
}

func TestLifeIsChecked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{HealthInterval: interval})
		n.set("mirror", status(200))
		has(t, mirror, "x", Present)
		has(t, mirror, "y", Present)
		n.requests()
		pass(interval - 1)
		has(t, mirror, "x", Present)
		pass(0)
		n.expect(t, "within the interval", 0)
		pass(1)

		n.set("mirror", after(500*time.Millisecond, 200))
		took(t, 0, func() {
			for range 3 {
				has(t, mirror, "x", Present)
				has(t, mirror, "y", Present)
			}
		})
		pass(499 * time.Millisecond)
		took(t, 0, func() { has(t, mirror, "y", Present) })
		n.expect(t, "behind the interval", 1)
		pass(time.Millisecond)

		// It answered: from then on the interval counts.
		pass(interval - 1)
		has(t, mirror, "x", Present)
		pass(0)
		n.expect(t, "within the next interval", 0)
		pass(1)
		has(t, mirror, "x", Present)
		pass(0)
		n.expect(t, "behind the next interval", 1)
	})
}

// TestSignsOfLife: every answer is one, whatever is asked and why.
func TestSignsOfLife(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		lives  bool
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
				n, mirror := living(t)
				n.set("mirror", status(tt.status))
				has(t, mirror, "x", Present)
				pass(0)
				n.expect(t, "beside an answer", 1)
				want := Unknown
				if tt.lives {
					want = Present
				}
				has(t, mirror, "y", want)
				if tt.lives {
					n.expect(t, "from memory", 0)
				}

				n, mirror = living(t)
				n.set("mirror", status(tt.status))
				has(t, mirror, "z", Mirror(tt.status))
				n.expect(t, "another blob", 1)
				has(t, mirror, "x", want)
				pass(0)
				if tt.lives {
					n.expect(t, "from memory", 0)
				}
			})
		})
	}
}

func TestDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, mirror := living(t)
		n.set("mirror", hangs)
		took(t, 0, func() { has(t, mirror, "x", Present) })
		pass(time.Second - 1)
		has(t, mirror, "x", Present)
		n.expect(t, "beside an answer", 1)
		pass(1)
		// An interval and one check: that is all that clients may see.
		has(t, mirror, "x", Unknown)
		has(t, mirror, "y", Unknown)
		n.expect(t, "dead", 2)

		n.set("mirror", after(200*time.Millisecond, 404))
		took(t, 200*time.Millisecond, func() { has(t, mirror, "z", Absent) })
		n.expect(t, "alive again", 1)
		took(t, 0, func() {
			has(t, mirror, "x", Present)
			has(t, mirror, "y", Present)
		})
		n.expect(t, "from memory", 0)
	})
}

// TestOneFailure: an origin that just answered is believed to be alive.
func TestOneFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{HealthInterval: interval})
		n.set("mirror", status(200))
		has(t, mirror, "x", Present)
		pass(interval - 1)
		n.set("mirror", status(503))
		has(t, mirror, "z", Unknown)
		n.expect(t, "so far", 2)
		has(t, mirror, "x", Present)
		n.expect(t, "from memory", 0)
	})
}

// TestDeadAlone: the memory of another origin still counts.
func TestDeadAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, mirror := living(t)
		other := mirror.checker.Origin("other", "https://other/", Mirror)
		n.set("other", status(200))
		has(t, other, "x", Present)
		n.set("mirror", refuses)
		has(t, mirror, "x", Present)
		pass(0)
		has(t, mirror, "x", Unknown)
		n.requests()
		has(t, other, "x", Present)
		n.expect(t, "other", 0)
	})
}

// TestCutOff: the function is frozen when an invocation ends, so a check that
// ran beside its answer tells nothing; the next request waits for its own.
func TestCutOff(t *testing.T) {
	for _, tt := range []struct {
		name   string
		reply  reply
		want   Answer
		took   time.Duration
		after  Answer
		checks int // made for what comes after
	}{
		{"alive", after(200*time.Millisecond, 200), Present, 200 * time.Millisecond, Present, 0},
		{"gone", after(200*time.Millisecond, 404), Absent, 200 * time.Millisecond, Present, 0},
		{"error", after(200*time.Millisecond, 500), Unknown, 200 * time.Millisecond, Unknown, 1},
		{"dead", hangs, Unknown, time.Second, Unknown, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := living(t)
				n.set("mirror", hangs)
				invocation, cancel := context.WithCancel(t.Context())
				hasIn(invocation, t, mirror, "x", Present)
				synctest.Wait()
				n.expect(t, "beside an answer", 1)
				cancel()
				pass(0)
				if mirror.failures != 0 || mirror.suspect || mirror.answeredAt.Equal(time.Now()) {
					t.Errorf("%d failures, suspect %v, answered at %v", mirror.failures, mirror.suspect, mirror.answeredAt)
				}

				pass(5 * time.Second)
				n.set("mirror", tt.reply)
				took(t, tt.took, func() { has(t, mirror, "x", tt.want) })
				n.expect(t, "of its own", 1)
				has(t, mirror, "y", tt.after)
				n.expect(t, "thereafter", tt.checks)
				if tt.after == Present {
					// It is as if nothing had been cut off.
					pass(interval)
					took(t, 0, func() { has(t, mirror, "y", Present) })
					pass(time.Second)
					n.expect(t, "beside an answer", 1)
				}
			})
		})
	}
}

// TestCutOffAgain: if the check of its own comes to nothing too, it is the
// next request's turn to wait. Nobody would notice a dead origin otherwise.
func TestCutOffAgain(t *testing.T) {
	for _, tt := range []struct {
		name string
		ask  func(*testing.T, *Origin)
	}{
		{"ended", func(t *testing.T, mirror *Origin) {
			invocation, cancel := context.WithCancel(t.Context())
			time.AfterFunc(300*time.Millisecond, cancel)
			hasIn(invocation, t, mirror, "x", Unknown)
		}},
		{"hurried", func(t *testing.T, mirror *Origin) {
			invocation, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			hasIn(invocation, t, mirror, "x", Unknown)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := living(t)
				n.set("mirror", hangs)
				invocation, cancel := context.WithCancel(t.Context())
				hasIn(invocation, t, mirror, "x", Present)
				synctest.Wait()
				cancel()
				pass(time.Second)
				for range 2 * breakAfter {
					tt.ask(t, mirror)
				}
				n.expect(t, "so far", 1+2*breakAfter)
				if mirror.failures != 0 || mirror.suspect {
					t.Errorf("%d failures, suspect %v", mirror.failures, mirror.suspect)
				}
				n.set("mirror", after(200*time.Millisecond, 200))
				took(t, 200*time.Millisecond, func() { has(t, mirror, "x", Present) })
				took(t, 0, func() { has(t, mirror, "x", Present) })
				n.expect(t, "alive", 1)
			})
		})
	}
}

// TestEndedBehindTheCheck: an invocation that ends when the check beside its
// answer is through has cut off nothing.
func TestEndedBehindTheCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, mirror := living(t)
		invocation, cancel := context.WithCancel(t.Context())
		hasIn(invocation, t, mirror, "x", Present)
		synctest.Wait()
		cancel()
		pass(interval)
		n.set("mirror", after(200*time.Millisecond, 200))
		took(t, 0, func() { has(t, mirror, "x", Present) })
		pass(time.Second)
		n.expect(t, "one each", 2)
	})
}
