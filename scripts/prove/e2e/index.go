package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"archeio/lambda/index"
)

// shelve has a server hand out an index, and lose one blob.
func shelve(s *server, data *atomic.Pointer[[]byte], lost *atomic.Pointer[string]) {
	s.fail(func(w http.ResponseWriter, r *http.Request) {
		if d := lost.Load(); d != nil && strings.HasSuffix(r.URL.Path, *d) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if b := data.Load(); b != nil && strings.HasSuffix(r.URL.Path, "/"+index.Name) {
			w.Write(*b)
			return
		}
		s.handler.ServeHTTP(w, r)
	})
}

func makeIndex(digests []string) (*[]byte, time.Time, error) {
	var prefixes []uint64
	for _, d := range digests {
		if p, ok := index.Prefix(d); ok {
			prefixes = append(prefixes, p)
		}
	}
	now := time.Now()
	b, err := index.Make(now, prefixes)
	return &b, now, err
}

// indexed is a lab whose mirrors hand out an index.
func (f *atFront) indexed(ctx context.Context, refresh, age time.Duration) (l *lab, data *atomic.Pointer[[]byte], lost *atomic.Pointer[string], err error) {
	l, err = f.lab(ctx, 1, map[string]string{"MIRROR_INDEX_REFRESH": refresh.String(), "MIRROR_INDEX_MAX_AGE": age.String()})
	if err != nil {
		return nil, nil, nil, err
	}
	data, lost = &atomic.Pointer[[]byte]{}, &atomic.Pointer[string]{}
	for _, s := range []*server{l.near, l.far, l.check} {
		shelve(s, data, lost)
	}
	return l, data, lost, nil
}

// phantom is a blob that no mirror has: where the index lists it, the answer
// shows whether the index is used.
var phantom = digestOf([]byte("phantom"))

// believed asks until the index is used or until limit, and answers how long
// that took.
func (l *lab) believed(ctx context.Context, limit time.Duration) (after time.Duration, used bool) {
	began := time.Now()
	for ctx.Err() == nil && time.Since(began) < limit {
		if l.get(ctx, phantom).reason == "aws-region" {
			return time.Since(began), true
		}
		wait(ctx, 20*time.Millisecond)
	}
	return time.Since(began), false
}

// wait is a pause between two requests.
func wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// damagedIndex: a broken index is none, a good one counts as soon as it is
// there, and does so when it is damaged later.
func (f *atFront) damagedIndex(ctx context.Context) (string, error) {
	const refresh = time.Second
	l, data, _, err := f.indexed(ctx, refresh, time.Hour)
	if err != nil {
		return "", err
	}
	defer l.stop()
	whole, _, err := makeIndex(append(l.blobs, phantom))
	if err != nil {
		return "", err
	}
	torn := append([]byte{}, *whole...)
	torn[len(torn)-1] ^= 1
	data.Store(&torn)
	s := sum(l.watch(ctx, 20*time.Millisecond, time.Minute, times(100)))
	asked := l.near.heads.Load()
	saw := fmt.Sprintf("%d errors in 100, %s, %d questions to the mirror", s.bad, amounts(s.reasons), asked)
	if s.bad > 0 || s.reasons["aws-region"] != 100 || int(asked) < len(l.blobs) {
		return saw, fmt.Errorf("%d failed: %v", s.bad, s.err)
	}
	if _, used := l.believed(ctx, 3*refresh); used {
		return saw, fmt.Errorf("the damaged index was used")
	}
	data.Store(whole)
	after, used := l.believed(ctx, 10*time.Second)
	saw += fmt.Sprintf("; a whole index is used after %s (refresh %s)", seconds(after), refresh)
	if !used || after > refresh+slack {
		return saw, fmt.Errorf("it was used after %s: %v", after, used)
	}
	data.Store(&torn)
	s = sum(l.watch(ctx, 20*time.Millisecond, time.Minute, func(s []sample) bool { return time.Since(s[0].at) > 3*refresh }))
	_, used = l.believed(ctx, time.Second)
	saw += fmt.Sprintf("; damaged again, the old one counts on, %d errors", s.bad)
	if s.bad > 0 || !used {
		return saw, fmt.Errorf("%d failed (%v), the old index is used: %v", s.bad, s.err, used)
	}
	return saw, nil
}

// wrongClock: the clock of the one who wrote the index is wrong, or that of the
// function, which is the same to it. The function's own is not moved: its
// binary is static, and asks the kernel without any library. What servers say
// in Date it does not read; they say a wrong one here.
func (f *atFront) wrongClock(ctx context.Context) (string, error) {
	const refresh = time.Second
	l, data, _, err := f.indexed(ctx, refresh, time.Hour)
	if err != nil {
		return "", err
	}
	defer l.stop()
	var prefixes []uint64
	for _, d := range append(l.blobs, phantom) {
		p, _ := index.Prefix(d)
		prefixes = append(prefixes, p)
	}
	for _, s := range []*server{l.near, l.far, l.check} {
		passed := *s.fault.Load()
		s.fail(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
			passed(w, r)
		})
	}
	saw, bad := "", 0
	for _, c := range []struct {
		name string
		off  time.Duration
		used bool
	}{
		{"2 h ahead", 2 * time.Hour, false},
		{"2 h behind, an hour is allowed", -2 * time.Hour, false},
		{"3 min ahead", 3 * time.Minute, true},
	} {
		b, err := index.Make(time.Now().Add(c.off), prefixes)
		if err != nil {
			return saw, err
		}
		data.Store(&b)
		s := sum(l.watch(ctx, 20*time.Millisecond, time.Minute, times(30)))
		bad += s.bad
		_, used := l.believed(ctx, 3*refresh)
		saw += fmt.Sprintf("index %s: used %v, %d errors in 30; ", c.name, used, s.bad)
		if used != c.used || s.bad > 0 || s.reasons["aws-region"] != 30 {
			return saw, fmt.Errorf("it is used: %v, it must be: %v; %d failed (%v)", used, c.used, s.bad, s.err)
		}
	}
	return saw + "the function's own clock cannot be moved here", nil
}
