package main

import (
	"errors"
	"testing"
	"time"
)

func TestSummarize(t *testing.T) {
	t.Parallel()
	began := time.Unix(1_800_000_000, 0)
	failure := errors.New("reset")
	s := summarize([]sample{
		{at: began, reason: "a", latency: 2},
		{at: began.Add(time.Second), reason: "b", latency: 5, err: failure},
		{at: began.Add(3 * time.Second), reason: "a", latency: 1},
	})
	if s.ok != 2 || s.failed != 1 || s.slowest != 5 || s.reasons["a"] != 2 || s.reasons["b"] != 0 || s.err != failure || s.last.latency != 1 {
		t.Errorf("%+v", s)
	}
	if got := s.failedFor(began); got != time.Second {
		t.Errorf("downloads failed for %s, want 1s", got)
	}
	if got := summarize(nil).failedFor(began); got != 0 {
		t.Errorf("no download failed for %s", got)
	}
}

func TestMostly(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		failed  int
		reasons map[string]int
		want    bool
	}{
		{"all", 0, map[string]int{"a": 20}, true},
		{"nine-of-ten", 0, map[string]int{"a": 18, "mirror-unavailable": 2}, true},
		{"fewer", 0, map[string]int{"a": 17, "mirror-unavailable": 3}, false},
		{"another-reason", 0, map[string]int{"a": 19, "b": 1}, false},
		{"an-error", 1, map[string]int{"a": 19}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := summary{ok: 20 - tt.failed, failed: tt.failed, reasons: tt.reasons}
			if got := s.mostly("a", 20); got != tt.want || (s.want("a", 20) == nil) != tt.want {
				t.Errorf("mostly: %v, error %v, want %v", got, s.want("a", 20), tt.want)
			}
		})
	}
}
