package main

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// breakerTime is how long the circuit breaker of a mirror stays open, and
// breakerFailures is after how many failed checks it opens, of blobs and of what always
// works. A trial is one of each.
const (
	breakerTime     = 30 * time.Second
	breakerFailures = 5
	trialChecks     = 2
)

// circuitBreaker counts the checks of a mirror that returns 500: the breaker
// opens, one trial fails, and another one closes it when the mirror is back.
func (f *faultTest) circuitBreaker(ctx context.Context) (string, error) {
	t, err := f.testbed(ctx, nil)
	if err != nil {
		return "", err
	}
	defer t.stop()
	t.near.injectStatus(http.StatusInternalServerError)
	failed := 0
	// until downloads blobs until the mirror has got so many checks, and returns
	// how long that took.
	until := func(checks int64, limit time.Duration) (time.Duration, error) {
		began := time.Now()
		s := summarize(t.watch(ctx, 50*time.Millisecond, limit, func([]sample) bool { return t.near.heads.Load() >= checks }))
		failed += s.failed
		if n := t.near.heads.Load(); n < checks {
			return 0, fmt.Errorf("%d checks within %s, want %d", n, limit, checks)
		}
		return time.Since(began), nil
	}
	if _, err := until(breakerFailures, 10*time.Second); err != nil {
		return "", err
	}
	opened, err := until(breakerFailures+trialChecks, breakerTime+5*time.Second)
	if err != nil {
		return "", err
	}
	if s := t.watchN(ctx, 20*time.Millisecond, 50); s.failed > 0 || t.near.heads.Load() != breakerFailures+trialChecks {
		return "", fmt.Errorf("after the failed trial, %d more checks and %d errors", t.near.heads.Load()-breakerFailures-trialChecks, s.failed)
	}
	t.near.restore()
	closed, err := until(breakerFailures+trialChecks+1, breakerTime+5*time.Second)
	if err != nil {
		return "", err
	}
	s := t.watchN(ctx, 10*time.Millisecond, 20)
	failed += s.failed
	observed := fmt.Sprintf("opens after %d failed checks; the trial after %s fails; the next one, %s later, closes it; then %s; %d errors",
		breakerFailures, seconds(opened), seconds(closed), counted(s.reasons), failed)
	if failed > 0 || s.reasons["aws-region"] != 20 || opened < breakerTime-slack {
		return observed, fmt.Errorf("a breaker that stays open for %s does something else", breakerTime)
	}
	return observed, nil
}
