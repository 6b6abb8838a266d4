package blobs

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fail makes an origin fail a number of times in a row where it always works.
func fail(o *Origin, times int) {
	for range times {
		o.failed(time.Now(), reference, true)
	}
}

// The breaker opens after five failures if what always works fails too.
func TestBreakerOpens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name        string
		reply, root reply // of blobs, and of what always works
		opens       int   // after so many requests, 0 for never
	}{
		{"refused", refuses, refuses, 5},
		{"hangs", hangs, hangs, 5},
		{"500", status(500), status(500), 5},
		{"503", status(503), status(503), 5},
		{"429", status(429), status(429), 5},
		{"500-and-hangs", status(500), hangs, 22},
		{"hangs-and-500", hangs, status(500), 5},
		{"429-and-refused", status(429), refuses, 5},
		{"path-refused", refuses, status(200), 0},
		{"path-hangs", hangs, status(200), 0},
		{"path-500", status(500), status(200), 0},
		{"path-500-root-401", status(500), status(401), 0},
		{"path-500-root-301", status(500), status(301), 0},
		{"path-429-root-404", status(429), status(404), 0},
		{"301", status(301), status(301), 0},
		{"400", status(400), status(400), 0},
		{"401", status(401), status(401), 0},
		{"404", status(404), status(500), 0},
		{"403", status(403), status(500), 0},
		{"200", status(200), status(500), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := stub(Options{})
				n.set("mirror", tt.reply)
				n.set(known, tt.root)
				const requests = 30
				for i := range requests {
					mirror.Has(t.Context(), new(Limit), fmt.Sprint(i))
					advance(referenceInterval)
				}
				if got := n.requests(); tt.opens > 0 && got > tt.opens || tt.opens == 0 && got != requests {
					t.Errorf("%d checks in %d requests, want the breaker to open after %d (0: never)", got, requests, tt.opens)
				}
				n.set("mirror", status(200))
				if tt.opens == 0 {
					has(t, mirror, "x", Present)
					return
				}
				took(t, 0, func() { has(t, mirror, "x", Unknown) })
				n.expect(t, "open", 0)
			})
		})
	}
}

// One failure of what always works is not enough: it may be by chance.
func TestBreakerNeedsTwoConfirmations(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		n.set("mirror", status(500))
		n.set(known, status(500))
		for i := range 20 {
			has(t, mirror, fmt.Sprint(i), Unknown)
		}
		synctest.Wait()
		n.set(known, status(200))
		advance(referenceInterval)
		n.expect(t, "within the interval", 20)
		has(t, mirror, "x", Unknown)
		synctest.Wait()
		if mirror.failures != 0 || mirror.confirmed != 0 || mirror.uncounted > 1 {
			t.Errorf("%+v, want the breaker of a healthy origin", mirror.breaker)
		}
	})
}

// The breaker opens even if each invocation ends with its response, before the check of
// what always works that accompanies it.
func TestBreakerOpensWithShortInvocations(t *testing.T) {
	t.Parallel()
	for _, pace := range []time.Duration{referenceInterval / 2, referenceInterval, time.Second} {
		t.Run(pace.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := stub(Options{})
				n.set("mirror", status(500))
				n.set(known, after(10*time.Millisecond, 500))
				for i := range 20 {
					invocation, cancel := context.WithCancel(t.Context())
					hasIn(invocation, t, mirror, fmt.Sprint(i), Unknown)
					cancel()
					advance(pace)
				}
				if got := n.requests(); got > 5 {
					t.Errorf("%d checks in 20 requests, want the breaker to open after 5", got)
				}
			})
		})
	}
}

// A request to an origin that hangs waits for one check, not for two.
func TestHangingOriginWithShortInvocations(t *testing.T) {
	t.Parallel()
	for _, pace := range []time.Duration{0, referenceInterval / 2, 10 * time.Second} {
		t.Run(pace.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := stub(Options{})
				n.set("mirror", hangs)
				for i := range 20 {
					invocation, cancel := context.WithCancel(t.Context())
					start := time.Now()
					hasIn(invocation, t, mirror, fmt.Sprint(i), Unknown)
					if took := time.Since(start); took > time.Second {
						t.Errorf("request %d took %v, want at most a second", i, took)
					}
					cancel()
					advance(pace)
				}
				if got := n.requests(); pace < time.Second && got > 5 {
					t.Errorf("%d checks in 20 requests, want the breaker to open after 5", got)
				}
			})
		})
	}
}

// Failing paths cause a bounded number of checks of what always works.
func TestReferenceChecksAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		n.set("mirror", status(500))
		inFlight, most := 0, 0
		n.set(known, func(r *http.Request) (int, error) {
			inFlight++
			most = max(most, inFlight)
			defer func() { inFlight-- }()
			return after(3*referenceInterval/2, 200)(r)
		})
		for i := range 10_000 {
			for j := range 3 {
				go mirror.Has(t.Context(), new(Limit), fmt.Sprint(i, j))
			}
			advance(time.Millisecond)
		}
		advance(time.Second)
		n.mu.Lock()
		got := n.known()
		n.mu.Unlock()
		if got > 68 || got < 30 || most != 1 {
			t.Errorf("%d checks of what always works in 10 s, %d at the same time; want at most 68, 1", got, most)
		}
		n.expect(t, "checks", 30_000)
	})
}

// While the breaker is open, cached answers do not count either: a client cannot
// reach the origin.
func TestOpen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{HealthInterval: time.Hour})
		n.set("mirror", status(200))
		has(t, mirror, "known", Present)
		n.requests()
		fail(mirror, 5)
		n.set("mirror", status(200))
		took(t, 0, func() {
			has(t, mirror, "known", Unknown)
			has(t, mirror, "x", Unknown)
		})
		advance(30*time.Second - 1)
		took(t, 0, func() {
			has(t, mirror, "known", Unknown)
			has(t, mirror, "x", Unknown)
		})
		n.expect(t, "open", 0)
		advance(1)
		n.set("mirror", refuses)
		has(t, mirror, "known", Unknown)
		n.expect(t, "half-open", 1)
		advance(30 * time.Second)
		n.set("mirror", status(200))
		has(t, mirror, "x", Present)
		n.expect(t, "half-open again", 1)
		has(t, mirror, "known", Present)
		n.expect(t, "cached", 0)
	})
}

func TestHalfOpen(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		reply  reply
		want   Answer
		closes bool
	}{
		{"present", after(500*time.Millisecond, 200), Present, true},
		{"absent", after(500*time.Millisecond, 404), Absent, true},
		{"error", after(500*time.Millisecond, 500), Unknown, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := stub(Options{})
				fail(mirror, 5)
				for range 3 { // it opens again like the first time
					n.set("mirror", status(200))
					advance(30*time.Second - 1)
					took(t, 0, func() { has(t, mirror, "x", Unknown) })
					n.expect(t, "open", 0)
					advance(1)
					n.set("mirror", tt.reply)
					go has(t, mirror, "trial", tt.want)
					synctest.Wait()
					took(t, 0, func() {
						has(t, mirror, "trial", Unknown)
						has(t, mirror, "x", Unknown)
					})
					advance(500 * time.Millisecond)
					n.expect(t, "half-open", 1)
					if tt.closes {
						break
					}
				}
				if !tt.closes {
					return
				}
				// Only five more failures would open it again.
				fail(mirror, 4)
				n.set("mirror", status(200))
				has(t, mirror, "x", Present)
				n.expect(t, "closed", 1)
			})
		})
	}
}

// A path that a client chose does not keep the breaker open.
func TestOddTrial(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		fail(mirror, 5)
		advance(30 * time.Second)
		n.set("mirror", status(500))
		n.set(known, after(500*time.Millisecond, 404))
		// The end of the first invocation interrupts the check of what always works.
		// The second request waits for it.
		for _, want := range []time.Duration{0, 500 * time.Millisecond} {
			invocation, cancel := context.WithCancel(t.Context())
			took(t, want, func() { hasIn(invocation, t, mirror, "odd", Unknown) })
			cancel()
			advance(time.Second)
			n.expect(t, "trial", 1)
		}
		if mirror.broken {
			t.Error("the breaker of a healthy origin is open")
		}
	})
}

// A request waits for what always works no longer than for its own check.
func TestReferenceWaitIsLimited(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		wait func(*testing.T, *Origin)
		want time.Duration
	}{
		{"limit", func(t *testing.T, o *Origin) {
			o.Has(t.Context(), &Limit{time.Now().Add(300 * time.Millisecond)}, "x")
		}, 300 * time.Millisecond},
		{"invocation", func(t *testing.T, o *Origin) {
			invocation, cancel := context.WithCancel(t.Context())
			time.AfterFunc(200*time.Millisecond, cancel)
			o.Has(invocation, new(Limit), "x")
		}, 200 * time.Millisecond},
		{"check", func(t *testing.T, o *Origin) { o.Has(t.Context(), new(Limit), "x") }, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := stub(Options{})
				n.set("mirror", status(500))
				n.set(known, hangs)
				invocation, cancel := context.WithCancel(t.Context())
				took(t, 0, func() { hasIn(invocation, t, mirror, "x", Unknown) })
				cancel()
				advance(referenceInterval)
				took(t, tt.want, func() { tt.wait(t, mirror) })
				advance(time.Second)
			})
		})
	}
}

// Concurrent requests make one trial, whatever objects they want.
func TestTrialIsSingle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		fail(mirror, 5)
		advance(30 * time.Second)
		n.set("mirror", hangs)
		took(t, time.Second, func() {
			var requests sync.WaitGroup
			for i := range 20 {
				requests.Go(func() { has(t, mirror, fmt.Sprint(i), Unknown) })
			}
			requests.Wait()
		})
		n.expect(t, "trial", 1)
		// Also if all of them saw it half-open before one was admitted.
		now := time.Now().Add(30 * time.Second)
		if !mirror.admit(now) || mirror.admit(now) {
			t.Error("admit does not admit exactly one")
		}
	})
}

// After an interrupted trial the next request makes one.
func TestInterruptedTrial(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		check    func(*testing.T, *Origin)
		requests int
	}{
		{"ended", func(t *testing.T, mirror *Origin) {
			invocation, cancel := context.WithCancel(t.Context())
			time.AfterFunc(300*time.Millisecond, cancel)
			hasIn(invocation, t, mirror, "x", Unknown)
		}, 1},
		{"shortened", func(t *testing.T, mirror *Origin) {
			mirror.Has(t.Context(), &Limit{time.Now().Add(300 * time.Millisecond)}, "x")
		}, 1},
		{"no-time", func(t *testing.T, mirror *Origin) {
			mirror.Has(t.Context(), &Limit{time.Now()}, "x")
		}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := stub(Options{})
				fail(mirror, 5)
				advance(30 * time.Second)
				n.set("mirror", hangs)
				for range 3 {
					tt.check(t, mirror)
					n.expect(t, "trial", tt.requests)
				}
				n.set("mirror", status(200))
				has(t, mirror, "y", Present)
			})
		})
	}
}

func TestFailuresInARow(t *testing.T) {
	t.Parallel()
	for _, code := range []int{200, 403, 404} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, mirror := stub(Options{})
				for i := range 3 {
					fail(mirror, 4)
					n.set("mirror", status(code))
					has(t, mirror, fmt.Sprint(i), Mirror(code))
					n.expect(t, "in between", 1)
				}
				// An interrupted check is not a success.
				fail(mirror, 4)
				n.set("mirror", hangs)
				invocation, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Millisecond, cancel)
				hasIn(invocation, t, mirror, "x", Unknown)
				n.requests()
				fail(mirror, 1)
				n.set("mirror", status(200))
				has(t, mirror, "x", Unknown)
				n.expect(t, "open", 0)
			})
		})
	}
}

// An interrupted check is not a failure.
func TestInterruptedCheckIsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		n.set("mirror", hangs)
		for i := range 10 {
			invocation, cancel := context.WithCancel(t.Context())
			time.AfterFunc(900*time.Millisecond, cancel)
			hasIn(invocation, t, mirror, fmt.Sprint(i), Unknown)
		}
		n.set("mirror", status(200))
		has(t, mirror, "x", Present)
		n.expect(t, "all", 11)
	})
}

func TestBreakersAreSeparate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		other := mirror.checker.Origin("mirror", "https://other/", Mirror)
		n.set("other", status(200))
		has(t, other, "known", Present)
		n.requests()
		fail(mirror, 5)
		has(t, other, "known", Present)
		n.expect(t, "cached", 0)
		has(t, other, "x", Present)
		n.expect(t, "other", 1)
		has(t, mirror, "x", Unknown) // the success of the other does not close it
		n.expect(t, "open", 0)
	})
}

// A request that waited for an interrupted check does not check again if the breaker
// has opened since.
func TestBreakerOpensWhileWaiting(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n, mirror := stub(Options{})
		n.set("mirror", hangs)
		invocation, cancel := context.WithCancel(t.Context())
		go hasIn(invocation, t, mirror, "x", Unknown)
		synctest.Wait()
		var waits sync.WaitGroup
		waits.Go(func() { has(t, mirror, "x", Unknown) })
		synctest.Wait()
		n.expect(t, "check", 1)
		fail(mirror, 5)
		cancel()
		took(t, 0, waits.Wait)
		n.expect(t, "open", 0)
	})
}
