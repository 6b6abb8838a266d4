package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// wantRows are the rows that the table must have, by measurement.
var wantRows = map[string]string{
	"lookup": `address lookup | bart Table
address lookup | bart Fast
address lookup | binary trie
IPv4 address lookup | bart Table
IPv6 address lookup | bart Table
address lookup, allocations of 1,000 | bart Table
`,
	"index": `index lookup, 10 k blobs | binary search
index lookup, 10 k blobs | Go map
index lookup, 10 k blobs, cold CPU caches | one load from as many bytes
`,
	"event": `blob event | encoding/json, decoding only
blob event | our handler behind an adapter
blob event, allocations | encoding/json, decoding only
blob event, allocations | our handler behind an adapter
`,
	"start": `start to the first request for an event | empty function
start to the first response | empty function
`,
	"warm": `invocation p50, blob cached | empty function
invocation p50, blob in the index | empty function
invocation p50, only a response as long | empty function
the handler alone, cold CPU caches | empty function
`,
	"adapter": `invocation CPU time | handler like registry.k8s.io's behind an adapter
invocation p50 | handler like registry.k8s.io's behind an adapter
`,
	"http": `net/http server, 8 connections, CPU time of a request | handler like registry.k8s.io's
net/http server, 8 connections, time between responses | handler like registry.k8s.io's
`,
	"relay": `relayed manifest from memory, CPU time | net/http reverse proxy with the same caches
relayed manifest from memory, p50 | net/http reverse proxy with the same caches
relayed manifest from the upstream, CPU time | net/http reverse proxy with the same caches
relayed manifest from the upstream, p50 | net/http reverse proxy with the same caches
`,
	"pull": `pull of 8 blobs, first of a process | no existence checks
pull of 8 blobs, first of a process, index | no existence checks
pull of 8 blobs, cached | no existence checks
pull of 8 blobs, index loaded | no existence checks
`,
	"memory": `resident memory, index of 10 k blobs | empty function
resident memory, no index | empty function
`,
	"size": `binary, stripped | empty function
range table | bart Table, on the heap
`,
}

// linuxOnly are rows that only Linux has.
var linuxOnly = regexp.MustCompile(`(?m)^(resident|.*CPU time).*\n`)

// TestTable measures everything once. No time is asserted.
func TestTable(t *testing.T) {
	for _, m := range measurements {
		if m.name == "fill" {
			continue // it installs other programs; make prove-all runs it
		}
		t.Run(m.name, func(t *testing.T) {
			// These measure in their own process what other tests would change.
			if !slices.Contains([]string{"lookup", "event", "start", "size"}, m.name) {
				t.Parallel()
			}
			var out bytes.Buffer
			if err := run(t.Context(), []string{"-short", "-rounds", "1", "-json", "-only", m.name}, &out, io.Discard); err != nil {
				t.Fatal(err)
			}
			var r report
			if err := json.Unmarshal(out.Bytes(), &r); err != nil {
				t.Fatal(err)
			}
			rows := ""
			for _, x := range r.Rows {
				rows += x.What + " | " + x.Against + "\n"
				if x.Unit != allocations && (x.Ours <= 0 || x.Other <= 0 || x.Ratio <= 0) {
					t.Errorf("%s against %s: ours %v, other %v, ratio %v", x.What, x.Against, x.Ours, x.Other, x.Ratio)
				}
				if x.Unit != ns && x.Over {
					t.Errorf("%s: %v is over the budget", x.What, x.Ours)
				}
			}
			want := wantRows[m.name]
			if runtime.GOOS != "linux" {
				want = linuxOnly.ReplaceAllString(want, "")
			}
			if rows != want {
				t.Errorf("rows\n%swant\n%s", rows, want)
			}
			if m.name == "start" {
				checkStart(t, r.Start)
			}
		})
	}
}

// checkStart checks the list of the work before the first event.
func checkStart(t *testing.T, steps []step) {
	t.Helper()
	for _, what := range []string{"main: read the configuration", "main: build the handler"} {
		if !slices.ContainsFunc(steps, func(s step) bool { return s.What == what && s.Allocations > 0 }) {
			t.Errorf("the work before the first event has no %q", what)
		}
	}
	if len(steps) < 3 || !strings.Contains(steps[0].What, "packages of the empty function too") || steps[0].Allocations == 0 {
		t.Errorf("the work before the first event has no packages: %+v", steps)
	}
}

func TestPrint(t *testing.T) {
	t.Parallel()
	var r report
	r.compare("ratio kept", "x", ns, []float64{30, 10, 20}, []float64{100, 100, 100}, ratioOf(0.25))
	r.compare("ratio not kept", "x", ns, []float64{26e5}, []float64{100e5}, ratioOf(0.25))
	r.compare("size kept", "x", bytesOf, []float64{8e6}, []float64{4e6}, atMost(8e6))
	r.compare("none allowed", "x", allocations, []float64{1}, []float64{0}, atMost(0))
	r.compare("rate kept", "x", bytesPerSecond, []float64{9e6}, []float64{6e6}, ratioOf(1))
	r.compare("rate not kept", "x", bytesPerSecond, []float64{3e6}, []float64{6e6}, ratioOf(1))
	r.compare("no budget", "x", ns, []float64{1}, []float64{1}, budget{})
	r.Start = []step{{"package x", 1500, 9, 2}}
	var out strings.Builder
	if err := r.print(&out, false); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"MEASUREMENT OURS OTHER COMPARED WITH RATIO MIN–MAX BUDGET RESULT",
		"ratio kept 20.0 ns 100.0 ns x 0.20 0.10–0.30 0.25 ok",
		"ratio not kept 2.60 ms 10.00 ms x 0.26 - 0.25 OVER",
		"size kept 8.00 MB 4.00 MB x 2.00 - 8.00 MB ok",
		"none allowed 1 0 x - - 0 OVER",
		"rate kept 9.00 MB/s 6.00 MB/s x 1.50 - 1 ok",
		"rate not kept 3.00 MB/s 6.00 MB/s x 0.50 - 1 OVER",
		"no budget 1.0 ns 1.0 ns x 1.00 - - -",
		"",
		"WORK BEFORE THE FIRST EVENT TIME BYTES ALLOCATIONS",
		"package x 1.50 µs 9 2",
		"",
		"3 within budget, 3 over budget, 1 without a budget",
	}
	if !slices.Equal(got, want) {
		t.Errorf("printed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, args, want string }{
		{"unknown-measurement", "-only lookup,evnt", `-only "lookup,evnt": unknown measurement "evnt" (did you mean "event"?): use some of lookup,index,event,`},
		{"no-measurement", "-only=", `-only "": unknown measurement "": use some of lookup,`},
		{"negative-rounds", "-rounds -1", "-rounds -1: must be at least 0"},
		{"argument", "lookup", `unexpected argument "lookup"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := run(t.Context(), strings.Fields(tt.args), io.Discard, io.Discard)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line that begins with %q", err, tt.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := run(t.Context(), []string{"-h"}, &out, io.Discard); !errors.Is(err, flag.ErrHelp) || !strings.Contains(out.String(), "-rounds N") {
		t.Errorf("error %v, help\n%s", err, out.String())
	}
	for _, m := range measurements {
		if !strings.Contains(out.String(), m.what) {
			t.Errorf("the help has no measurement %s", m.name)
		}
	}
}

// canceler cancels a run when a measurement begins.
type canceler struct {
	at     string
	cancel context.CancelFunc
}

func (c *canceler) Write(p []byte) (int, error) {
	if strings.Contains(string(p), c.at) {
		c.cancel()
	}
	return len(p), nil
}

// TestInterrupt: every measurement ends early when the run is canceled, but for
// the one that takes no time.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	for _, name := range names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			err := run(ctx, []string{"-short", "-only", name}, io.Discard, &canceler{" " + name + ":", cancel})
			if name != "size" && !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want %v", err, context.Canceled)
			}
		})
	}
}
