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

// complete is what the table must have, one line a row.
const complete = `lookup of an address | bart Table
lookup of an address | bart Fast
lookup of an address | binary trie
lookup of an IPv4 address | bart Table
lookup of an IPv6 address | bart Table
lookup, allocations of a thousand | bart Table
lookup in an index of 10 k blobs | binary search
lookup in an index of 10 k blobs | Go map
lookup in an index of 10 k blobs, when others have used the caches | a load from as many bytes
blob event, payload to answer | encoding/json, decoding only
blob event, payload to answer | adapter and net/http handler
blob event, allocations | encoding/json, decoding only
blob event, allocations | adapter and net/http handler
start to the first next | empty function
start to the first answer | empty function
invocation through the Runtime API, from memory | empty function
invocation through the Runtime API, from the index | empty function
invocation through the Runtime API, nothing but as long an answer | empty function
the work of one, after a pause | empty function
pull of 4 blobs, cold cache | no existence check
pull of 4 blobs, warm cache | no existence check
pull of 4 blobs, with the index | no existence check
resident memory at rest, with an index of 10 k blobs | empty function
resident memory at rest, without an index | empty function
binary, stripped | empty function
range table | bart Table, on the heap
`

// TestTable measures everything once. No time is asserted.
func TestTable(t *testing.T) {
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-short", "-json"}, &out, io.Discard); err != nil {
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
	want := complete
	if runtime.GOOS != "linux" {
		want = regexp.MustCompile(`(?m)^resident .*\n`).ReplaceAllString(want, "")
	}
	if rows != want {
		t.Errorf("the table has the rows\n%swant\n%s", rows, want)
	}
	for _, what := range []string{"main reads the configuration", "main builds the handler"} {
		if !slices.ContainsFunc(r.Start, func(s step) bool { return s.What == what && s.Allocations > 0 }) {
			t.Errorf("what is done at start lacks %q", what)
		}
	}
	if len(r.Start) < 3 || !strings.Contains(r.Start[0].What, "packages that the empty function has too") || r.Start[0].Allocations == 0 {
		t.Errorf("what is done at start lacks the packages: %+v", r.Start)
	}
}

func TestPrint(t *testing.T) {
	var r report
	r.compare("ratio kept", "x", ns, []float64{30, 10, 20}, []float64{100, 100, 100}, ratioOf(0.25))
	r.compare("ratio not kept", "x", ns, []float64{26e5}, []float64{100e5}, ratioOf(0.25))
	r.compare("size kept", "x", bytesOf, []float64{8e6}, []float64{4e6}, atMost(8e6))
	r.compare("none allowed", "x", allocations, []float64{1}, []float64{0}, atMost(0))
	r.compare("no budget", "x", ns, []float64{1}, []float64{1}, budget{})
	r.Start = []step{{"package x", 1500, 9, 2}}
	var out strings.Builder
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"WHAT OURS OTHER RATIO MIN–MAX BUDGET",
		"ratio kept 20.0 ns 100.0 ns x 0.20 0.10–0.30 0.25 ok",
		"ratio not kept 2.60 ms 10.00 ms x 0.26 - 0.25 OVER",
		"size kept 8.00 MB 4.00 MB x 2.00 - 8.00 MB ok",
		"none allowed 1 0 x - - 0 OVER",
		"no budget 1.0 ns 1.0 ns x 1.00 - - -",
		"",
		"WHAT IS DONE AT START TIME BYTES ALLOCATIONS",
		"package x 1.50 µs 9 2",
	}
	if !slices.Equal(got, want) {
		t.Errorf("printed\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestFlags(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"-only lookup,none", `-only "lookup,none": takes names of lookup,index,event,`},
		{"-only=", `-only "": takes names of lookup,`},
		{"-rounds -1", "-rounds -1: takes a number of rounds"},
		{"lookup", `unexpected argument "lookup"; see -h`},
	} {
		err := run(t.Context(), strings.Fields(tt.args), io.Discard, io.Discard)
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: error %v, want one line with %q", tt.args, err, tt.want)
		}
	}
	var help strings.Builder
	if err := run(t.Context(), []string{"-h"}, io.Discard, &help); !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "-rounds number") {
		t.Errorf("error %v, help\n%s", err, help.String())
	}
}

// stopper ends a run when it says that a measurement begins.
type stopper struct {
	at   string
	stop context.CancelFunc
}

func (s *stopper) Write(p []byte) (int, error) {
	if strings.Contains(string(p), s.at) {
		s.stop()
	}
	return len(p), nil
}

func TestStops(t *testing.T) {
	for _, name := range names() {
		ctx, cancel := context.WithCancel(t.Context())
		err := run(ctx, []string{"-only", name}, io.Discard, &stopper{" " + name + ":", cancel})
		if name != "size" && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want that it was stopped", name, err)
		}
		cancel()
	}
}
