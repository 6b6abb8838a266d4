package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"archeio/lambda/blobs"
)

// lostBehindIndex: nobody has asked for the blob, so only the index speaks of it.
func (f *atFront) lostBehindIndex(ctx context.Context) (string, error) {
	const refresh, age = time.Second, 6 * time.Second
	l, data, lost, err := f.indexed(ctx, refresh, age)
	if err != nil {
		return "", err
	}
	defer l.stop()
	all := l.blobs
	gone := all[len(all)-1]
	b, listed, err := makeIndex(all)
	if err != nil {
		return "", err
	}
	data.Store(b)
	l.blobs = all[:1]
	// The index is there when the blobs that nobody asked for need no question.
	l.watch(ctx, 20*time.Millisecond, 3*time.Second, func([]sample) bool { return time.Since(listed) > refresh+500*time.Millisecond })
	lost.Store(&gone)
	l.blobs = []string{gone}
	old := sum(l.watch(ctx, 50*time.Millisecond, age+5*time.Second, func(s []sample) bool { return s[len(s)-1].err == nil && time.Since(listed) > age }))
	stale := time.Duration(0)
	if old.bad > 0 {
		stale = old.lastBad.Sub(listed)
	}
	saw := fmt.Sprintf("MIRROR_INDEX_MAX_AGE=%s: 404 until the index is %s old, then %s", age, seconds(stale), amounts(old.reasons))
	if old.bad == 0 {
		return saw, fmt.Errorf("the index was not used")
	}
	if old.good == 0 || stale > age+slack {
		return saw, fmt.Errorf("the index was believed for %s", stale)
	}
	// A fresh index without the blob ends it sooner.
	lost.Store(nil)
	l2, data, lost, err := f.indexed(ctx, refresh, time.Hour)
	if err != nil {
		return saw, err
	}
	defer l2.stop()
	if b, listed, err = makeIndex(all); err != nil {
		return saw, err
	}
	data.Store(b)
	l2.blobs = all[:1]
	l2.watch(ctx, 20*time.Millisecond, 3*time.Second, func([]sample) bool { return time.Since(listed) > refresh+500*time.Millisecond })
	lost.Store(&gone)
	if b, _, err = makeIndex(all[:len(all)-1]); err != nil {
		return saw, err
	}
	began := time.Now()
	data.Store(b)
	l2.blobs = []string{gone, all[0]}
	soon := sum(l2.watch(ctx, 50*time.Millisecond, 10*time.Second, func(s []sample) bool { return time.Since(began) > 4*time.Second }))
	stale = 0
	if soon.bad > 0 {
		stale = soon.lastBad.Sub(began)
	}
	saw += fmt.Sprintf("; a new index without it ends that in %s (refresh %s)", seconds(stale), refresh)
	if stale > 2*refresh+slack {
		return saw, fmt.Errorf("the old index was believed for %s", stale)
	}
	return saw, nil
}

// lostBehindCache: the blob is asked for right behind another one of the same
// mirror, which is there. The checks of the mirror's life may find the loss, and
// have each time that this was tried; the time that present is remembered is the
// bound, not what is seen.
func (f *atFront) lostBehindCache(ctx context.Context) (string, error) {
	if !f.full {
		return "", fmt.Errorf("%w: it may take the 5 minutes that present is remembered; -full", errSkipped)
	}
	l, err := f.lab(ctx, 1, nil)
	if err != nil {
		return "", err
	}
	defer l.stop()
	alive, gone := l.blobs[0], l.blobs[1]
	l.blobs = []string{alive, gone}
	l.watch(ctx, time.Millisecond, time.Minute, times(4))
	lost := &atomic.Pointer[string]{}
	lost.Store(&gone)
	shelve(l.near, &atomic.Pointer[[]byte]{}, lost)
	began := time.Now()
	var samples []sample
	for ctx.Err() == nil && time.Since(began) < blobs.PresentFor+time.Minute {
		for range 2 {
			if s := l.get(ctx, alive); s.err != nil {
				return "", fmt.Errorf("the other blob: %w", s.err)
			}
		}
		s := l.get(ctx, gone)
		if samples = append(samples, s); s.err == nil {
			break
		}
		wait(ctx, 100*time.Millisecond)
	}
	s := sum(samples)
	stale := time.Duration(0)
	if s.bad > 0 {
		stale = s.lastBad.Sub(began)
	}
	saw := fmt.Sprintf("404 for %s (bound %s), then %s", seconds(stale), blobs.PresentFor, amounts(s.reasons))
	if s.good == 0 || s.bad == 0 || stale > blobs.PresentFor+slack {
		return saw, fmt.Errorf("believed for %s", stale)
	}
	return saw, nil
}
