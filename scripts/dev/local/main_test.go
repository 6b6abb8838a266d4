package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestRun starts the system, waits until it is up, and stops it as Ctrl-C does.
func TestRun(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	env := filepath.Join(t.TempDir(), "local.env")
	var sourced []byte
	var err error
	stdout := &watcher{text: "go run ", seen: func() {
		sourced, err = os.ReadFile(env)
		cancel()
	}}
	var stderr bytes.Buffer
	if code := run(ctx, []string{"-alb", "127.0.0.1:0", "-distribution", "127.0.0.1:0", "-env", env}, stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	out := stdout.String()
	if !strings.HasPrefix(out, "CLIENT ") || !strings.Contains(out, "\n10 pulls, 0 failed; ") {
		t.Errorf("standard output is\n%s\nwant the summary first", out)
	}
	once, _, _ := strings.Cut(out, "\nRunning until Ctrl-C")
	lines := strings.Split(stderr.String()+once, "\n")
	if len(lines) > 60 {
		t.Errorf("%d lines with -once, want at most 60", len(lines))
	}
	for _, line := range lines {
		if len(line) > 100 {
			t.Errorf("%d columns, want at most 100: %s", len(line), line)
		}
	}
	if err != nil || !strings.Contains(string(sourced), "export SOURCE='127.0.0.1:") {
		t.Errorf("%s has %q, error %v", env, sourced, err)
	}
	if _, err := os.Stat(env); !os.IsNotExist(err) {
		t.Errorf("%s after the end: error %v, want none", env, err)
	}
}

// watcher is a buffer that calls seen once text has been written.
type watcher struct {
	bytes.Buffer
	text string
	seen func()
	once sync.Once
}

func (w *watcher) Write(b []byte) (int, error) {
	n, err := w.Buffer.Write(b)
	if bytes.Contains(w.Bytes(), []byte(w.text)) {
		w.once.Do(w.seen)
	}
	return n, err
}

func TestUsage(t *testing.T) {
	t.Parallel()
	interrupted, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tt := range []struct {
		name   string
		ctx    context.Context
		args   []string
		code   int
		stdout string // a part of it
		stderr string // its last line
	}{
		{"help", t.Context(), []string{"-h"}, 0, "exit after the pulls", ""},
		{"argument", t.Context(), []string{"once"}, 2, "", `local: unexpected argument "once"; see -h`},
		{"flag", t.Context(), []string{"-one"}, 2, "", "local: flag provided but not defined: -one; see -h"},
		{"address", t.Context(), []string{"-alb", "0.0.0.0:8080"}, 1, "", `local: address of the load balancer: "0.0.0.0:8080": want a loopback address, such as 127.0.0.1:8080`},
		{"interrupted", interrupted, []string{"-alb", "127.0.0.1:0", "-distribution", "127.0.0.1:0"}, 130, "", "local: interrupted"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var stdout, stderr bytes.Buffer
			if code := run(tt.ctx, tt.args, &stdout, &stderr); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			lines := strings.Split(strings.TrimSpace(stderr.String()), "\n")
			if last := lines[len(lines)-1]; last != tt.stderr {
				t.Errorf("standard error ends with %q, want %q", last, tt.stderr)
			}
			if !strings.Contains(stdout.String(), tt.stdout) || tt.stdout == "" && stdout.Len() > 0 {
				t.Errorf("standard output %q, want %q", &stdout, tt.stdout)
			}
		})
	}
}
