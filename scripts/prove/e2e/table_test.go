package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		name   string
		err    error
		want   string
		failed bool
	}{
		{"ok", nil, "ok", false},
		{"skipped", fmt.Errorf("%w: no IPv6 here", errSkipped), "skipped: no IPv6 here", false},
		{"failed", errors.New("first\nlast"), "FAILED: last", true},
		{"failed-without-a-word", errors.New(""), "FAILED: ", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := verdict("faults", "x", distribution, "", time.Now(), tt.err)
			if c.Verdict != tt.want || failed(c.Verdict) != tt.failed || c.Saw != "-" {
				t.Errorf("%+v", c)
			}
			r := report{Checks: []check{c}, Clients: []row{{Verdict: c.Verdict}}}
			if n := r.skipped(); n != map[bool]int{true: 2, false: 0}[tt.name == "skipped"] {
				t.Errorf("%d are skipped", n)
			}
		})
	}
}

func TestTable(t *testing.T) {
	var out strings.Builder
	table(&out, true, []string{"A", "VERDICT"}, [][]string{{"long one", "ok"}, {"x", "FAILED: y"}, {"z", "skipped: why"}})
	want := "A         VERDICT\nlong one  ok\n\x1b[31mx         FAILED: y\x1b[0m\nz         skipped: why\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	table(&out, false, []string{"A", "VERDICT"}, [][]string{{"x", "FAILED"}})
	if strings.Contains(out.String(), "\x1b") {
		t.Errorf("coloured: %q", out.String())
	}
}

func TestAmounts(t *testing.T) {
	for want, m := range map[string]map[string]int{
		"-":             nil,
		"3 b, 2 a, 2 c": {"a": 2, "b": 3, "c": 2},
	} {
		if got := amounts(m); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
