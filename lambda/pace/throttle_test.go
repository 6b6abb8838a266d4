package pace

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestThrottle tests that a refusal halves the rate of all requests, once for
// those that were sent before, and that successful requests remove the limit.
func TestThrottle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := &Throttle{}
		send := func(n int) time.Duration {
			began := time.Now()
			var group sync.WaitGroup
			for range n {
				group.Go(func() {
					if err := th.Wait(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
			return time.Since(began)
		}
		if took := send(40); took != 0 || th.Limit() != 0 {
			t.Errorf("without a refusal 40 requests took %v, limit %v", took, th.Limit())
		}
		sent := time.Now()
		time.Sleep(time.Millisecond)
		for range 8 {
			th.Refused(sent, 0)
		}
		if th.Limit() != 20 {
			t.Errorf("limit %v after 40 requests a second were refused, want 20", th.Limit())
		}
		if took := send(41); took < 1900*time.Millisecond || took > 2100*time.Millisecond {
			t.Errorf("41 requests at 20 per second took %v", took)
		}
		th.Refused(time.Now(), 0)
		if th.Limit() != 10 {
			t.Errorf("limit %v after the second refusal, want 10", th.Limit())
		}
		for range 100 {
			time.Sleep(time.Second)
			th.Succeeded()
			th.Succeeded() // at most once a second
			if th.Limit() == 0 {
				break
			}
		}
		if took := send(40); took != 0 {
			t.Errorf("after success 40 requests took %v", took)
		}
		for range 20 {
			th.Refused(time.Now(), 0)
			time.Sleep(time.Second)
		}
		if th.Limit() != minRate {
			t.Errorf("limit %v after many refusals, want %v", th.Limit(), minRate)
		}
	})
}

// TestThrottlePause tests that all requests wait for as long as the host asks,
// and that the end of a context ends the wait.
func TestThrottlePause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		th := &Throttle{}
		began := time.Now()
		th.Refused(began, 5*time.Minute)
		th.Refused(began, time.Minute) // the longest one counts
		over := errors.New("over")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, over)
		defer cancel()
		if err := th.Wait(ctx); !errors.Is(err, over) || time.Since(began) != time.Second {
			t.Errorf("error %v after %v", err, time.Since(began))
		}
		if err := th.Wait(t.Context()); err != nil || time.Since(began) != 5*time.Minute {
			t.Errorf("error %v after %v, want 5m", err, time.Since(began))
		}
	})
}
