package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"archeio/lambda/blobs"
)

// broken are the ways in which a mirror fails.
type broken struct {
	name  string
	apply func(*server)
	// reasons that a cold function may then give; back is how long at most
	// until the mirror is used again.
	reason string
	back   time.Duration
	// harmless: clients see nothing of it, and the mirror goes on serving.
	harmless bool
}

func answer(status int) func(*server) {
	return func(s *server) {
		s.fail(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
	}
}

// breakerTime is how long a breaker stays open.
const breakerTime = 30 * time.Second

func mirrorFaults() []broken {
	return []broken{
		{name: "mirror down", apply: (*server).down, reason: "default-mirror", back: breakerTime},
		{name: "mirror hangs", apply: func(s *server) {
			s.fail(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, reason: "default-mirror", back: breakerTime},
		{name: "mirror resets", apply: func(s *server) {
			s.fail(func(w http.ResponseWriter, r *http.Request) { reset(w) })
		}, reason: "default-mirror", back: breakerTime},
		{name: "mirror answers 500", apply: answer(500), reason: "default-mirror", back: breakerTime},
		{name: "endless body to the check", apply: func(s *server) {
			s.fail(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					endless(w)
					return
				}
				s.handler.ServeHTTP(w, r)
			})
		}, reason: "aws-region", harmless: true},
	}
}

// endless answers 200 and then sends without an end, until nobody listens, 64
// MiB at most.
func endless(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	out := bufio.NewWriter(c)
	fmt.Fprint(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := "1000\r\n" + strings.Repeat("x", 0x1000) + "\r\n"
	for range 64 << 20 / 0x1000 {
		if _, err := out.WriteString(chunk); err != nil {
			return
		}
	}
}

// mirrorFault has a mirror fail before a function has asked it anything, and
// then behind a warm cache, and measures until clients see nothing of it, and
// until the mirror is used again after its end.
func (f *atFront) mirrorFault(ctx context.Context, b broken) (string, error) {
	cold, err := f.lab(ctx, 1, nil)
	if err != nil {
		return "", err
	}
	b.apply(cold.near)
	first := sum(cold.watch(ctx, time.Millisecond, time.Minute, times(20)))
	cold.stop()
	if first.bad > 0 {
		return "", fmt.Errorf("cold, %d of 20 failed: %v", first.bad, first.err)
	}
	if !first.mostly(b.reason, 20) {
		return "", fmt.Errorf("cold, the reasons are %s, not %s", amounts(first.reasons), b.reason)
	}
	saw := fmt.Sprintf("cold: no error, slowest answer %dms", first.slowest.Milliseconds())
	if limit := labCheck + slack; first.slowest > limit {
		return saw, fmt.Errorf("an answer took %s, %s at most", first.slowest, limit)
	}

	l, err := f.lab(ctx, 1, nil)
	if err != nil {
		return saw, err
	}
	defer l.stop()
	if warm := sum(l.watch(ctx, time.Millisecond, time.Minute, times(3*len(l.blobs)))); warm.bad > 0 || warm.reasons["aws-region"] != warm.good {
		return saw, fmt.Errorf("before the fault, %d failed (%v), the reasons are %s", warm.bad, warm.err, amounts(warm.reasons))
	}
	if b.name == "mirror hangs" { // a client has more patience; what it would wait for does not come
		l.patience = 500 * time.Millisecond
	}
	began := time.Now()
	b.apply(l.near)
	limit := labInterval + labCheck
	quiet := limit + slack + time.Second
	seen := sum(l.watch(ctx, 25*time.Millisecond, quiet+time.Second, func(s []sample) bool {
		return time.Since(began) > quiet
	}))
	errorsFor := time.Duration(0)
	if seen.bad > 0 {
		errorsFor = seen.lastBad.Sub(began)
	}
	saw += fmt.Sprintf("; warm: %d errors in the first %s (bound %s), then %s", seen.bad, seconds(errorsFor), seconds(limit), amounts(without(seen.reasons, "aws-region", !b.harmless)))
	if errorsFor > limit+slack {
		return saw, fmt.Errorf("clients saw errors for %s: %v", errorsFor, seen.err)
	}
	if b.harmless {
		if seen.bad > 0 {
			return saw, fmt.Errorf("%d failed: %v", seen.bad, seen.err)
		}
		return saw, nil
	}
	began, l.patience = time.Now(), 5*time.Second
	l.near.fail(nil)
	if b.name == "mirror down" {
		if err := l.near.up(); err != nil {
			return saw, err
		}
	}
	samples := l.watch(ctx, 100*time.Millisecond, b.back+10*time.Second, func(s []sample) bool {
		return s[len(s)-1].reason == "aws-region"
	})
	end := sum(samples)
	if end.bad > 0 || end.reasons["aws-region"] == 0 {
		return saw, fmt.Errorf("after its end, %d failed (%v), the reasons are %s", end.bad, end.err, amounts(end.reasons))
	}
	back := last(samples).at.Sub(began)
	saw += fmt.Sprintf("; used again after %s", seconds(back))
	if back > b.back+slack+time.Second {
		return saw, fmt.Errorf("the mirror was used again only after %s", back)
	}
	return saw, nil
}

func without(m map[string]int, name string, drop bool) map[string]int {
	if drop {
		delete(m, name)
	}
	return m
}

// breaker counts the questions to a mirror that answers 500.
func (f *atFront) breaker(ctx context.Context) (string, error) {
	l, err := f.lab(ctx, 1, nil)
	if err != nil {
		return "", err
	}
	defer l.stop()
	answer(500)(l.near)
	bad := 0
	phase := func(heads int64, limit time.Duration) error {
		s := sum(l.watch(ctx, 50*time.Millisecond, limit, func([]sample) bool { return l.near.heads.Load() >= heads }))
		bad += s.bad
		if l.near.heads.Load() != heads {
			return fmt.Errorf("%d questions, not %d, within %s", l.near.heads.Load(), heads, limit)
		}
		return nil
	}
	if err := phase(5, 10*time.Second); err != nil {
		return "", err
	}
	opened := time.Now()
	if err := phase(6, breakerTime+5*time.Second); err != nil {
		return "", err
	}
	half := time.Since(opened)
	// It failed, so the breaker stays open.
	if s := sum(l.watch(ctx, 20*time.Millisecond, time.Minute, times(50))); s.bad > 0 || l.near.heads.Load() != 6 {
		return "", fmt.Errorf("after the trial that failed, %d questions and %d errors", l.near.heads.Load()-6, s.bad)
	}
	again := time.Now()
	l.near.fail(nil)
	if err := phase(7, breakerTime+5*time.Second); err != nil {
		return "", err
	}
	closed := time.Since(again)
	s := sum(l.watch(ctx, 10*time.Millisecond, time.Minute, times(20)))
	saw := fmt.Sprintf("opens after 5 questions; one trial after %s, which fails; the next one closes it, %s later; then %s; %d errors", seconds(half), seconds(closed), amounts(s.reasons), bad+s.bad)
	if bad+s.bad > 0 || s.reasons["aws-region"] != 20 || half < breakerTime-slack {
		return saw, fmt.Errorf("not what a breaker of %s does", breakerTime)
	}
	return saw, nil
}

// forbidden: S3 says so of what is not there, so it is no fault to a function
// that asks.
func (f *atFront) forbidden(ctx context.Context) (string, error) {
	l, err := f.lab(ctx, 1, nil)
	if err != nil {
		return "", err
	}
	defer l.stop()
	answer(403)(l.near)
	s := sum(l.watch(ctx, time.Millisecond, time.Minute, times(30)))
	saw := fmt.Sprintf("%d errors, slowest answer %dms, %s", s.bad, s.slowest.Milliseconds(), amounts(s.reasons))
	if !s.mostly("default-mirror", 30) {
		return saw, fmt.Errorf("%d failed: %v", s.bad, s.err)
	}
	return saw, nil
}

// forbiddenWarm: a mirror refuses what it is remembered to have. The check of
// its life asks for the blob that is asked for then, and so finds out.
func (f *atFront) forbiddenWarm(ctx context.Context) (string, error) {
	l, err := f.lab(ctx, 1, nil)
	if err != nil {
		return "", err
	}
	defer l.stop()
	l.blobs = l.blobs[:1]
	if warm := sum(l.watch(ctx, time.Millisecond, time.Minute, times(3))); warm.bad > 0 || warm.reasons["aws-region"] != 3 {
		return "", fmt.Errorf("before the fault, %d failed (%v), the reasons are %s", warm.bad, warm.err, amounts(warm.reasons))
	}
	began := time.Now()
	answer(403)(l.near)
	limit := labInterval + labCheck
	s := sum(l.watch(ctx, 25*time.Millisecond, limit+5*time.Second, func([]sample) bool { return time.Since(began) > limit+slack+time.Second }))
	errorsFor := time.Duration(0)
	if s.bad > 0 {
		errorsFor = s.lastBad.Sub(began)
	}
	saw := fmt.Sprintf("%d errors in the first %s (bound %s; a blob that no check asks for: %s), then %s",
		s.bad, seconds(errorsFor), seconds(limit), blobs.PresentFor, amounts(without(s.reasons, "aws-region", true)))
	if errorsFor > limit+slack || s.reasons["default-mirror"] == 0 {
		return saw, fmt.Errorf("clients saw errors for %s: %v", errorsFor, s.err)
	}
	began = time.Now()
	l.near.fail(nil)
	samples := l.watch(ctx, 50*time.Millisecond, time.Minute+5*time.Second, func(s []sample) bool { return s[len(s)-1].reason == "aws-region" })
	end := sum(samples)
	if end.bad > 0 || end.reasons["aws-region"] == 0 {
		return saw, fmt.Errorf("after its end, %d failed (%v), the reasons are %s", end.bad, end.err, amounts(end.reasons))
	}
	back := last(samples).at.Sub(began)
	saw += fmt.Sprintf("; used again after %s", seconds(back))
	if back > 2*labInterval+labCheck+slack { // as it is no fault, no breaker opens
		return saw, fmt.Errorf("the mirror was used again only after %s", back)
	}
	return saw, nil
}
