package pace

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Throttle paces the requests to one host. It has no limit until the host
// refuses a request for its rate. Then all requests slow down together: the rate
// is halved once per refusal, and grows again with each second of successful
// requests until the limit is gone (additive increase, multiplicative decrease).
// The zero value is ready to use. It is safe for concurrent use.
type Throttle struct {
	mu      sync.Mutex
	limiter *rate.Limiter // nil is no limit
	// refusedAt is the rate in requests per second of the first refusal.
	refusedAt float64
	cut       time.Time // of the last decrease
	raised    time.Time // of the last increase
	pause     time.Time // until when no request is sent
	// second is when the count of requests began, last the count before.
	second      time.Time
	count, last int
}

// minRate in requests per second is the lowest rate of a Throttle.
const minRate = 0.5

// Wait waits until the next request may be sent, or until ctx ends.
func (t *Throttle) Wait(ctx context.Context) error {
	for {
		t.mu.Lock()
		pause, limiter := time.Until(t.pause), t.limiter
		t.mu.Unlock()
		if pause > 0 {
			if err := Sleep(ctx, pause); err != nil {
				return err
			}
			continue
		}
		if limiter != nil {
			if err := Wait(ctx, limiter, 1); err != nil {
				return err
			}
		}
		t.mu.Lock()
		paused := time.Until(t.pause) > 0
		if !paused {
			t.add()
		}
		t.mu.Unlock()
		if !paused {
			return nil
		}
	}
}

// add counts a request.
func (t *Throttle) add() {
	if now := time.Now(); now.Sub(t.second) >= time.Second {
		t.last = t.count
		if now.Sub(t.second) >= 2*time.Second {
			t.last = 0
		}
		t.second, t.count = now, 0
	}
	t.count++
}

// Refused slows down after a request that was sent at a time and refused for its
// rate. after is how long the host has asked to wait, 0 if it has not.
func (t *Throttle) Refused(sent time.Time, after time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if until := now.Add(after); after > 0 && until.After(t.pause) {
		t.pause = until
	}
	if !t.cut.IsZero() && !sent.After(t.cut) {
		return // its rate has been cut since
	}
	if t.limiter == nil {
		t.refusedAt = float64(max(t.count, t.last, 1))
		t.limiter = rate.NewLimiter(rate.Limit(t.refusedAt), 1)
	}
	t.limiter.SetLimit(rate.Limit(max(float64(t.limiter.Limit())/2, minRate)))
	t.cut, t.raised = now, now
}

// Succeeded speeds up after a request that was not refused, at most once a
// second.
func (t *Throttle) Succeeded() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.limiter == nil || time.Since(t.raised) < time.Second {
		return
	}
	t.raised = time.Now()
	limit := float64(t.limiter.Limit()) + max(t.refusedAt/20, minRate)
	if limit > 2*t.refusedAt {
		t.limiter = nil
		return
	}
	t.limiter.SetLimit(rate.Limit(limit))
}

// Limit returns the limit in requests per second, 0 if there is none.
func (t *Throttle) Limit() float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.limiter == nil {
		return 0
	}
	return float64(t.limiter.Limit())
}
