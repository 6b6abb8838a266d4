// Package cli holds what all commands of archeio share: how they are run, what
// their exit codes mean, how arguments are refused and how help looks.
//
// Flags may be written with one dash or two. A command returns an error made by
// [Usagef] for wrong usage, [ErrProblem] for a problem that its output has
// already shown, and any other error for a problem that is still to be printed.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// The exit codes of every command.
const (
	ExitDone        = 0
	ExitProblem     = 1 // something is wrong with what was looked at
	ExitUsage       = 2 // wrong usage; nothing was done
	ExitInterrupted = 130
)

// ErrProblem makes the program exit with 1 and print nothing more.
var ErrProblem = errors.New("a problem that was printed already")

// usageError is wrong usage of a command.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// Usagef returns an error that makes the program exit with 2.
func Usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// Usage marks err, which may be nil, as wrong usage.
func Usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// Commands are listed in the order in which an operator needs them.
func init() { cobra.EnableCommandSorting = false }

// Main runs a command tree with the arguments, streams and signals of this
// process and returns its exit code. The first interrupt cancels the context of
// the command, a second one ends the process.
func Main(root *cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, root, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// Run runs a command tree with arguments and returns the exit code.
func Run(ctx context.Context, root *cobra.Command, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	Prepare(root)
	root.SetArgs(twoDashes(args))
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	path := cmd.CommandPath()
	var usage usageError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "%s: %v; see %s -h\n", path, err, path)
		return ExitUsage
	case ctx.Err() != nil:
		fmt.Fprintf(stderr, "%s: interrupted\n", path)
		return ExitInterrupted
	case !errors.Is(err, ErrProblem):
		for line := range strings.SplitSeq(err.Error(), "\n") {
			fmt.Fprintf(stderr, "%s: %s\n", path, line)
		}
	}
	return ExitProblem
}

// Prepare adds the commands completion and help to a command tree, and applies the
// common settings. [Run] does it.
func Prepare(root *cobra.Command) {
	if root.HasSubCommands() {
		root.AddCommand(completion())
		root.SetHelpCommand(helpCommand())
		root.InitDefaultHelpCmd()
	}
	prepare(root)
}

// prepare applies the common settings to every command of a tree.
func prepare(c *cobra.Command) {
	c.SilenceErrors, c.SilenceUsage = true, true
	c.DisableFlagsInUseLine = true
	c.SetFlagErrorFunc(flagError)
	c.SetHelpFunc(help)
	c.LocalFlags().VisitAll(splitUsage)
	if c.Args == nil {
		c.Args = NoArgs
	}
	if c.HasSubCommands() && c.RunE == nil && c.Run == nil {
		// The first argument is looked at before any flag: those behind it belong to a
		// command that is misspelled.
		c.DisableFlagParsing = true
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) == 0 || args[0] == "-h" || args[0] == "--help" {
				return c.Help()
			}
			if name, isFlag := strings.CutPrefix(args[0], "-"); isFlag {
				return Usagef("unknown flag -%s", strings.TrimPrefix(name, "-"))
			}
			return unknownCommand(c, args[0])
		}
	}
	for _, sub := range c.Commands() {
		prepare(sub)
	}
}

// twoDashes writes -name as --name, as pflag requires.
func twoDashes(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if a == "--" {
			copy(out[i:], args[i:])
			break
		}
		if len(a) > 2 && a[0] == '-' && isLetter(a[1]) && a[2] != '=' {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// Example joins the lines of an example, indented as help shows them.
func Example(lines ...string) string { return "  " + strings.Join(lines, "\n  ") }
