package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// corruptIndex: a corrupt index has no effect, an intact one is used as soon as
// it is there, and stays in use when a corrupt one replaces it.
func (f *faultTest) corruptIndex(ctx context.Context) (string, error) {
	t, err := f.indexedTestbed(ctx, time.Hour)
	if err != nil {
		return "", err
	}
	defer t.stop()
	intact, _, err := buildIndex(t.blobs)
	if err != nil {
		return "", err
	}
	corrupt := append([]byte{}, *intact...)
	corrupt[len(corrupt)-1] ^= 1

	t.index.Store(&corrupt)
	s := t.watchN(ctx, 20*time.Millisecond, 100)
	checks := int(t.near.heads.Load())
	observed := fmt.Sprintf("%d errors in 100, %s, %d checks of the mirror", s.failed, counted(s.reasons), checks)
	if s.failed > 0 || s.reasons["aws-region"] != 100 {
		return observed, fmt.Errorf("%d downloads failed: %v", s.failed, s.err)
	}
	if checks < len(t.blobs) {
		return observed, fmt.Errorf("%d checks of the mirror, want at least %d", checks, len(t.blobs))
	}
	if _, used := t.untilIndexUsed(ctx, 3*indexRefresh); used {
		return observed, fmt.Errorf("the corrupt index was used")
	}

	t.index.Store(intact)
	after, used := t.untilIndexUsed(ctx, 10*time.Second)
	observed += fmt.Sprintf("; an intact index is used after %s (refresh %s)", seconds(after), indexRefresh)
	if !used || after > indexRefresh+slack {
		return observed, fmt.Errorf("after %s, the intact index is used: %v", after, used)
	}

	t.index.Store(&corrupt)
	s = t.watchFor(ctx, 20*time.Millisecond, time.Now(), 3*indexRefresh)
	_, used = t.untilIndexUsed(ctx, time.Second)
	observed += fmt.Sprintf("; corrupt again, the intact one stays in use, %d errors", s.failed)
	if s.failed > 0 || !used {
		return observed, fmt.Errorf("%d downloads failed (%v), the intact index is used: %v", s.failed, s.err, used)
	}
	return observed, nil
}

// wrongClock: the clock that dated the index is wrong, which to the function is
// the same as a wrong clock of its own. The function's clock cannot be changed
// here: its binary is static, so no library can be preloaded. It does not read
// the Date of responses, which is wrong here too.
func (f *faultTest) wrongClock(ctx context.Context) (string, error) {
	t, err := f.indexedTestbed(ctx, time.Hour)
	if err != nil {
		return "", err
	}
	defer t.stop()
	for _, m := range t.allMirrors() {
		serve := *m.fault.Load()
		m.inject(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
			serve(w, r)
		})
	}
	var observed []string
	for _, c := range []struct {
		name   string
		offset time.Duration
		used   bool
	}{
		{"2h ahead", 2 * time.Hour, false},
		{"2h behind, 1h is allowed", -2 * time.Hour, false},
		{"3m ahead", 3 * time.Minute, true},
	} {
		index, err := buildIndexAt(time.Now().Add(c.offset), t.blobs)
		if err != nil {
			return strings.Join(observed, "; "), err
		}
		t.index.Store(index)
		s := t.watchN(ctx, 20*time.Millisecond, 30)
		_, used := t.untilIndexUsed(ctx, 3*indexRefresh)
		observed = append(observed, fmt.Sprintf("index %s: used %v, %d errors in 30", c.name, used, s.failed))
		if used != c.used || s.failed > 0 || s.reasons["aws-region"] != 30 {
			return strings.Join(observed, "; "), fmt.Errorf("index %s: used %v, want %v; %d downloads failed (%v)", c.name, used, c.used, s.failed, s.err)
		}
	}
	return strings.Join(observed, "; ") + "; the function's own clock cannot be changed", nil
}
