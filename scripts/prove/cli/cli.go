// Package cli holds what the programs of scripts/prove have in common: flags,
// exit codes, progress, tables and results.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit codes of the programs.
const (
	exitOK          = 0
	exitFailed      = 1
	exitUsage       = 2
	exitInterrupted = 130 // 128 + SIGINT, as shells report it
)

// Command is a program without its process: it returns flag.ErrHelp for -h, an
// error made by Usagef for wrong usage, and any other error for a failure.
type Command func(ctx context.Context, args []string, stdout, stderr io.Writer) error

// Main runs a command with the arguments of the process and exits with 0 if it
// succeeded, 1 if it failed, 2 for wrong usage, and 130 if it was interrupted.
// SIGINT and SIGTERM cancel its context, so that it stops what it has started.
func Main(name string, run Command) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A reader that closes the pipe, such as head, must not leave servers running.
	signal.Ignore(syscall.SIGPIPE)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	code := exitCode(ctx, name, err, os.Stderr)
	stop()
	os.Exit(code)
}

func exitCode(ctx context.Context, name string, err error, stderr io.Writer) int {
	var usage *usageError
	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %v; see -h\n", name, err)
		return exitUsage
	case ctx.Err() != nil:
		fmt.Fprintf(stderr, "%s: interrupted\n", name)
		return exitInterrupted
	}
	fmt.Fprintf(stderr, "%s: %v\n", name, err)
	return exitFailed
}

type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// Usagef returns an error for wrong usage, in one line.
func Usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// Parse parses the flags of a command that has no arguments. For -h it prints
// help and the flags to stdout and returns flag.ErrHelp.
func Parse(flags *flag.FlagSet, args []string, help string, stdout io.Writer) error {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, "%s\nFlags:\n", help)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return err
	case err != nil:
		return Usagef("%v", err)
	case flags.NArg() > 0:
		return Usagef("unexpected argument %q", flags.Arg(0))
	}
	return nil
}
