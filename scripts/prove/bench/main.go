// Command bench measures the redirector beside what one would use in its
// place, each pair in one run and taking turns, and prints one table.
//
//	go run ./scripts/prove/bench
//	go run ./scripts/prove/bench -only lookup,event -rounds 51
//
// A value over its budget is marked and is no error: times depend on the
// machine. What does not is held by the tests of the packages.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"archeio/lambda/build"
)

const usage = `Usage: go run ./scripts/prove/bench [flags]

Measures the redirector beside what one would use in its place. The two of a
pair take turns, so that a change of the machine's speed meets both. The table
has the medians of all rounds, and the median of the rounds' ratios with the
smallest and the largest. Progress goes to standard error.

`

// measurements are all that there are, in the order of the table.
var measurements = []struct {
	name, what string
	run        func(context.Context, *bench) error
}{
	{"lookup", "lookup of an address", lookup},
	{"index", "lookup in the index", indexed},
	{"event", "blob event, payload bytes to answer bytes", event},
	{"start", "start of the process", start},
	{"warm", "invocation of a running function", warm},
	{"pull", "pull through the local stack", pulls},
	{"memory", "memory at rest", memory},
	{"size", "sizes of the binary and the range table", sizes},
}

func names() []string {
	var all []string
	for _, m := range measurements {
		all = append(all, m.name)
	}
	return all
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A reader that goes away, as head does, must not leave servers behind.
	signal.Ignore(syscall.SIGPIPE)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "stopped")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
		fmt.Fprintln(stderr, "\nWhat can be measured:")
		for _, m := range measurements {
			fmt.Fprintf(stderr, "  %-8s%s\n", m.name, m.what)
		}
	}
	short := flags.Bool("short", false, "measure everything once and briefly, only to see that it runs")
	asJSON := flags.Bool("json", false, "print JSON; times are in nanoseconds")
	only := flags.String("only", strings.Join(names(), ","), "measure these `names`, comma-separated")
	rounds := flags.Int("rounds", 0, "`number` of rounds; 0 is as many as each measurement needs")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q; see -h", flags.Arg(0))
	}
	if *rounds < 0 {
		return fmt.Errorf("-rounds %d: takes a number of rounds, as 15", *rounds)
	}
	wanted := strings.Split(*only, ",")
	for _, name := range wanted {
		if !slices.Contains(names(), name) {
			return fmt.Errorf("-only %q: takes names of %s", *only, strings.Join(names(), ","))
		}
	}
	root, err := build.Root()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "archeio-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{root: root, dir: dir, short: *short, rounds: *rounds, log: stderr}
	began := time.Now()
	for _, m := range measurements {
		if !slices.Contains(wanted, m.name) {
			continue
		}
		fmt.Fprintf(stderr, "%6.1fs  %s: %s\n", time.Since(began).Seconds(), m.name, m.what)
		if err := m.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	fmt.Fprintf(stderr, "%6.1fs  done\n", time.Since(began).Seconds())
	if *asJSON {
		e := json.NewEncoder(stdout)
		e.SetIndent("", "  ")
		return e.Encode(b.report)
	}
	return b.report.print(stdout)
}
