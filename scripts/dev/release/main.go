// Command release builds a release: the functions as zip files for both
// architectures of Lambda, the operator's program archeio as tar.gz files for
// Linux and macOS, a bill of materials for each of them, and SHA256SUMS.
//
// The same commit built with the same version of Go gives the same archives, in
// any folder and on any machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"archeio/scripts/lab/terminal"
)

const usage = `Usage: go run ./scripts/dev/release [flags]

Builds the functions as zip files for both architectures of Lambda and the
program archeio as tar.gz files for Linux and macOS, with bills of materials and
SHA256SUMS, which it also prints.

Flags:
`

const exitCodes = `
Exit codes: 0 done, 1 something could not be built or written, 2 wrong usage,
130 interrupted
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], items(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, items []item, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	r := release{items: items}
	flags.StringVar(&r.dir, "o", "", "write to `FOLDER` and remove an earlier release from it\n(default .build/release of the repository)")
	flags.StringVar(&r.commit, "commit", "", "`COMMIT` that archeio reports as its version (default that of the git clone)")
	flags.BoolVar(&r.bom, "bom", true, "write bills of materials, which needs a git clone and, the first time, the\nmodule proxy")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		fmt.Fprint(stdout, exitCodes)
		return 0
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err != nil {
		fmt.Fprintf(stderr, "release: %v; see -h\n", err)
		return 2
	}
	progress := terminal.NewProgress(stderr)
	sums, err := r.build(ctx, progress.Step)
	progress.Done()
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(stderr, "release: interrupted: the release is incomplete and has no SHA256SUMS")
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "release:", err)
		return 1
	}
	fmt.Fprintf(stderr, "written to %s; to check it there: sha256sum -c SHA256SUMS\n", r.dir)
	io.WriteString(stdout, sums)
	return 0
}
