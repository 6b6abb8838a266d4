package cli

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"strings"
	"testing"
)

func TestExitCode(t *testing.T) {
	t.Parallel()
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		err    error
		code   int
		stderr string
	}{
		{"ok", t.Context(), nil, 0, ""},
		{"help", t.Context(), flag.ErrHelp, 0, ""},
		{"failed", t.Context(), errors.New("2 of 3 checks failed"), 1, "x: 2 of 3 checks failed\n"},
		{"usage", t.Context(), fmt.Errorf("flags: %w", Usagef("unexpected argument %q", "a")), 2, "x: flags: unexpected argument \"a\"; see -h\n"},
		{"interrupted", cancelled, context.Canceled, 130, "x: interrupted\n"},
		{"interrupted-after-the-end", cancelled, nil, 0, ""},
		{"usage-before-the-interrupt", cancelled, Usagef("bad"), 2, "x: bad; see -h\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var stderr bytes.Buffer
			if code := exitCode(tt.ctx, "x", tt.err, &stderr); code != tt.code || stderr.String() != tt.stderr {
				t.Errorf("exit code %d, stderr %q; want %d, %q", code, &stderr, tt.code, tt.stderr)
			}
		})
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, args string
		code       int
		err        string
	}{
		{"none", "", 0, ""},
		{"set", "-rounds 3", 0, ""},
		{"unknown", "-round 3", 2, "flag provided but not defined: -round"},
		{"invalid", "-rounds x", 2, `invalid value "x" for flag -rounds: parse error`},
		{"argument", "lookup", 2, `unexpected argument "lookup"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			flags := flag.NewFlagSet("x", flag.ContinueOnError)
			flags.Int("rounds", 0, "measure `N` rounds")
			var stdout, stderr bytes.Buffer
			err := Parse(flags, strings.Fields(tt.args), "help", &stdout)
			if code := exitCode(t.Context(), "x", err, &stderr); code != tt.code || tt.err != "" && err.Error() != tt.err || stdout.Len() > 0 {
				t.Errorf("exit code %d, error %v, stdout %q; want %d, %s", code, err, &stdout, tt.code, tt.err)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	flags := flag.NewFlagSet("x", flag.ContinueOnError)
	flags.Int("rounds", 0, "measure `N` rounds")
	var stdout bytes.Buffer
	err := Parse(flags, []string{"-h"}, "Usage: x [flags]\n", &stdout)
	want := "Usage: x [flags]\n\nFlags:\n  -rounds N\n    \tmeasure N rounds\n"
	if !errors.Is(err, flag.ErrHelp) || stdout.String() != want {
		t.Errorf("error %v, help %q; want %q", err, &stdout, want)
	}
}

func TestResult(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		err    error
		want   Result
		word   string
		counts Counts
	}{
		{"ok", nil, "ok", "ok", Counts{Passed: 1}},
		{"skipped", fmt.Errorf("%w: no IPv6 loopback", ErrSkipped), "skipped: no IPv6 loopback", "skipped", Counts{Skipped: 1}},
		{"failed", errors.New("first\nlast\n"), "FAILED: last", "FAILED", Counts{Failed: 1}},
		{"failed-without-a-text", errors.New(""), "FAILED: ", "FAILED", Counts{Failed: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var counts Counts
			got := ResultOf(tt.err)
			counts.Add(got)
			if got != tt.want || got.Word() != tt.word || counts != tt.counts || (counts.Err() != nil) != (tt.counts.Failed > 0) {
				t.Errorf("%q counts as %+v, error %v; want %q, %+v", got, counts, counts.Err(), tt.want, tt.counts)
			}
		})
	}
	counts := Counts{Passed: 3, Failed: 2, Skipped: 1}
	if got := counts.String(); got != "3 passed, 2 failed, 1 skipped" {
		t.Errorf("the summary is %q", got)
	}
	if err := counts.Err(); err == nil || err.Error() != "2 of 6 checks failed" {
		t.Errorf("error %v", err)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	rows := [][]string{{"long one", "ok"}, {"x", "FAILED: y"}, {"z", "skipped: why"}}
	for _, tt := range []struct {
		name  string
		color bool
		want  string
	}{
		{"color", true, "A         RESULT\nlong one  ok\n\x1b[31mx         FAILED: y\x1b[0m\nz         skipped: why\n"},
		{"plain", false, "A         RESULT\nlong one  ok\nx         FAILED: y\nz         skipped: why\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			Table(&out, tt.color, []string{"A", "RESULT"}, rows, FailedRow)
			if out.String() != tt.want {
				t.Errorf("%q, want %q", out.String(), tt.want)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	p := NewProgress(&out)
	p.Step("starting %d servers", 3)
	p.Note("one is slow")
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 3 || !strings.HasSuffix(lines[0], "s  starting 3 servers") || lines[1] != "         - one is slow" {
		t.Errorf("printed %q", out.String())
	}
}
