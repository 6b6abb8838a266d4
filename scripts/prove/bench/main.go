// Command bench compares the redirector with its alternatives and prints one
// table. The two of a pair take turns within one run.
//
//	go run ./scripts/prove/bench
//	go run ./scripts/prove/bench -only lookup,event -rounds 51
//
// A value over its budget is marked and is no failure, as times depend on the
// machine. Budgets that do not are held by the tests of the packages.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"archeio/lambda/build"
	"archeio/lambda/spelling"
	"archeio/scripts/prove/cli"
)

// measurement adds rows to the report.
type measurement struct {
	name, what string
	run        func(context.Context, *bench) error
}

// measurements are all measurements, in the order of the table.
var measurements = []measurement{
	{"lookup", "lookup of an address in the range table", measureLookup},
	{"index", "lookup of a blob in the index", measureIndex},
	{"event", "blob event, from event to response", measureEvent},
	{"start", "start of the process", measureStart},
	{"warm", "invocation of a warm function", measureWarm},
	{"adapter", "invocation of the function and of an HTTP server behind an adapter", measureAdapter},
	{"http", "request to the handler in a net/http server", measureHTTP},
	{"relay", "manifest of an upstream that requires a token", measureRelay},
	{"pull", "pull through the local system", measurePull},
	{"fill", "copy of 300 images to a mirror, and again", measureFill},
	{"memory", "resident memory", measureMemory},
	{"size", "sizes of the binary and the range table", measureSize},
}

func names() []string {
	var all []string
	for _, m := range measurements {
		all = append(all, m.name)
	}
	return all
}

func help() string {
	var b strings.Builder
	b.WriteString(`Usage: go run ./scripts/prove/bench [flags]

Compares the redirector with its alternatives. The two of a pair take turns, so that
both see every change of the machine's speed. The table has the medians of all rounds,
and the median, the smallest and the largest of the rounds' ratios. Less is better,
except for bytes a second.

Measurements:
`)
	for _, m := range measurements {
		fmt.Fprintf(&b, "  %-9s%s\n", m.name, m.what)
	}
	b.WriteString("\nExample:\n  go run ./scripts/prove/bench -only lookup,event -rounds 51\n")
	return b.String()
}

func main() { cli.Main("bench", run) }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	short := flags.Bool("short", false, "measure a third of the rounds, with less data")
	asJSON := flags.Bool("json", false, "print JSON, with times in nanoseconds")
	only := flags.String("only", strings.Join(names(), ","), "make the measurements in `LIST`, comma-separated")
	rounds := flags.Int("rounds", 0, "measure `N` rounds; 0 for the default of each measurement")
	if err := cli.Parse(flags, args, help(), stdout); err != nil {
		return err
	}
	if *rounds < 0 {
		return cli.Usagef("-rounds %d: must be at least 0", *rounds)
	}
	wanted := strings.Split(*only, ",")
	for _, name := range wanted {
		if !slices.Contains(names(), name) {
			return cli.Usagef("-only %q: unknown measurement %q%s: use some of %s", *only, name, spelling.DidYouMean(name, slices.Values(names())), strings.Join(names(), ","))
		}
	}
	root, err := build.Root()
	if err != nil {
		return err
	}
	b := &bench{root: root, short: *short, rounds: *rounds, progress: cli.NewProgress(stderr)}
	for _, m := range measurements {
		if !slices.Contains(wanted, m.name) {
			continue
		}
		b.progress.Step("%s: %s", m.name, m.what)
		if err := m.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	b.progress.Step("done")
	return b.report.print(stdout, *asJSON)
}
