package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

const (
	// breakerTime is how long the circuit breaker of a mirror stays open.
	breakerTime = 30 * time.Second
	// mostChecks is after how many failed checks it opens at the latest: five of
	// blobs, and those of what always works. A trial is one of each.
	mostChecks  = 10
	trialChecks = 2
)

// circuitBreaker counts the checks of a mirror that returns 500: the breaker opens, one
// trial fails, and another one closes it when the mirror is back.
func (f *faultTest) circuitBreaker(ctx context.Context) (string, error) {
	t, err := f.testbed(ctx, nil)
	if err != nil {
		return "", err
	}
	defer t.stop()
	t.near.injectStatus(http.StatusInternalServerError)
	failed := 0
	// quiet downloads blobs until the mirror gets no more checks, and returns how many
	// it has got.
	quiet := func() int64 {
		for {
			before := t.near.heads.Load()
			s := t.watchN(ctx, 20*time.Millisecond, 30)
			failed += s.failed
			if n := t.near.heads.Load(); n == before || ctx.Err() != nil {
				return n
			}
		}
	}
	// trial downloads blobs until the mirror gets a check, and returns how long that
	// took.
	trial := func() (time.Duration, error) {
		began, before := time.Now(), t.near.heads.Load()
		s := summarize(t.watch(ctx, 50*time.Millisecond, breakerTime+5*time.Second, func([]sample) bool { return t.near.heads.Load() > before }))
		failed += s.failed
		if t.near.heads.Load() == before {
			return 0, fmt.Errorf("no check within %s", breakerTime+5*time.Second)
		}
		return time.Since(began), nil
	}
	checks := quiet()
	if checks > mostChecks {
		return "", fmt.Errorf("%d checks before the breaker opened, want at most %d", checks, mostChecks)
	}
	opened, err := trial()
	if err != nil {
		return "", err
	}
	if n := quiet() - checks; n > trialChecks {
		return "", fmt.Errorf("%d checks for a trial, want at most %d", n, trialChecks)
	}
	t.near.restore()
	closed, err := trial()
	if err != nil {
		return "", err
	}
	s := t.watchN(ctx, 10*time.Millisecond, 20)
	failed += s.failed
	observed := fmt.Sprintf("opens after %d failed checks; the trial after %s fails; the next one, %s later, closes it; then %s; %d errors",
		checks, seconds(opened), seconds(closed), counted(s.reasons), failed)
	if failed > 0 || s.reasons["aws-region"] != 20 || opened < breakerTime-2*time.Second {
		return observed, fmt.Errorf("a breaker that stays open for %s does something else", breakerTime)
	}
	return observed, nil
}
