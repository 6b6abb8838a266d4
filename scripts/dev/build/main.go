// Command build builds functions for this machine and prints their binaries.
//
//	go run ./scripts/dev/build redirector
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"archeio/lambda/build"
	"archeio/lambda/spelling"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, names []string) int {
	known := build.Functions[:]
	if len(names) == 0 {
		fmt.Fprintf(os.Stderr, "build: no function: want one or more of %q\n", known)
		return 2
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			fmt.Fprintf(os.Stderr, "build: unknown function %q%s: want one or more of %q\n", name, spelling.DidYouMean(name, slices.Values(known)), known)
			return 2
		}
	}
	for _, name := range names {
		bootstrap, err := build.Bootstrap(ctx, name)
		if err != nil {
			fmt.Fprintln(os.Stderr, "build:", err)
			return 1
		}
		fmt.Println(bootstrap)
	}
	return 0
}
