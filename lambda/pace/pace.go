// Package pace limits rates, and waits between attempts.
package pace

import (
	"context"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"
)

// Limiter returns a limiter of a rate per second; 0 is no limit.
func Limiter(perSecond float64, burst int) *rate.Limiter {
	if perSecond <= 0 {
		return rate.NewLimiter(rate.Inf, burst)
	}
	return rate.NewLimiter(rate.Limit(perSecond), burst)
}

// Wait waits until a limiter admits n. If ctx has an earlier deadline, it
// waits for that one, so that the caller sees a timeout and not a failure.
func Wait(ctx context.Context, limiter *rate.Limiter, n int) error {
	err := limiter.WaitN(ctx, n)
	if _, ends := ctx.Deadline(); err != nil && ends {
		<-ctx.Done()
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Backoff returns the wait before the next attempt: exponential with jitter.
func Backoff(attempt int) time.Duration {
	longest := 250 * time.Millisecond << min(attempt, 6)
	return longest/2 + rand.N(longest/2)
}

// Sleep waits for a time, or until ctx ends, and returns the cause of that.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
