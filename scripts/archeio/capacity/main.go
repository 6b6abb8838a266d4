// Command capacity tells what a registry needs and costs in a month: requests,
// invocations, checks, bytes by path, dollars by service, and which quotas of
// AWS are met. It asks nobody; the prices it assumes are in prices.go.
//
//	go run ./scripts/archeio/capacity -preset large -index-hit 0.5
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
)

const usage = `Usage: go run ./scripts/archeio/capacity [-preset small|large] [-json] [flags]
       go run ./scripts/archeio/capacity -prices

Tells what a registry needs and costs in a month, for a small company and for
10 PB a month, side by side; a flag changes both. Defaults are those of small.

`

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "capacity:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	presets := map[string]Load{"small": small, "large": large}
	var preset string
	var asJSON, onlyPrices, free bool
	parse := func(l *Load) (*flag.FlagSet, error) {
		set := flag.NewFlagSet("capacity", flag.ContinueOnError)
		set.SetOutput(io.Discard) // an error is one line, and main's to print
		set.StringVar(&preset, "preset", "both", "`small`, large or both")
		set.BoolVar(&asJSON, "json", false, "print JSON, with the prices")
		set.BoolVar(&onlyPrices, "prices", false, "print the prices and nothing else")
		set.BoolVar(&free, "free-tier", false, "count the units that AWS gives an account every month")
		l.flags(set)
		err := set.Parse(args)
		if err == nil && set.NArg() > 0 {
			err = fmt.Errorf("%q is no flag; see -h", set.Arg(0))
		}
		return set, err
	}
	var results []Result
	for _, name := range []string{"small", "large"} {
		l := presets[name]
		set, err := parse(&l)
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprint(out, usage)
			set.SetOutput(out)
			set.PrintDefaults()
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.validate(); err != nil {
			return err
		}
		if preset == name || preset == "both" {
			results = append(results, Evaluate(name, l, free))
		}
	}
	switch {
	case results == nil:
		return fmt.Errorf("-preset takes small, large or both; it is %q", preset)
	case onlyPrices:
		return writePrices(out)
	case asJSON:
		return writeJSON(out, results)
	}
	return writeText(out, results, free)
}
