// Command invoke invokes a built function with one event, as Lambda does, and
// prints the result.
//
//	go run ./scripts/dev/invoke events/alb/ping.json
//
// An event in a folder called mirror goes to the function that fills the mirrors,
// with a registry, an S3 server and a queue to work on; all others go to the
// redirector.
//
// On a terminal it prints the status, the location and the reason, and whether the
// result is the one in NAME.want.json. Elsewhere standard output is the JSON
// result and nothing else. The function's output goes to standard error, its
// metrics only with -v.
//
// The exit code is 1 if the function reports an error, which is then the result,
// 2 if it could not be invoked, and 130 if the command was interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"archeio/lambda/build"
	"archeio/lambda/config"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/sample"
	"archeio/scripts/lab/terminal"
)

const usage = `Usage: go run ./scripts/dev/invoke [flags] EVENT

Invokes the built redirector with the event in the file EVENT and prints the
result. The environment is env.json of the event's folder, or else of events/,
overlaid with NAME.env.json. A configuration variable that is set in the shell
overrides both, even if it is empty.

An EVENT in a folder called mirror goes to the function that fills the mirrors,
with a registry, an S3 server and a queue that are started for it.

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:])
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string) (code int) {
	flags := flag.NewFlagSet("invoke", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	bootstrap := flags.String("bootstrap", "", "invoke the built function in `FILE` instead of building one")
	verbose := flags.Bool("v", false, "print the metrics of the function, to standard error")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Print(usage)
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		return 0
	case err == nil && (flags.NArg() == 0 || flags.Arg(0) == ""):
		err = errors.New("missing EVENT: want one event, as in: make invoke EVENT=events/alb/ping.json")
	case err == nil && flags.NArg() > 1:
		err = fmt.Errorf("unexpected argument %q: want one event", flags.Arg(1))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "invoke:", err)
		return 2
	}

	output := &withoutMetrics{out: os.Stderr, verbose: *verbose}
	progress := func(string) {}
	done := func() {}
	if terminal.Is(os.Stderr) {
		p := terminal.NewProgress(os.Stderr)
		progress, done = p.Step, p.Done
	}
	i := invocation{bootstrap: *bootstrap, output: output, progress: progress, done: done}
	result, err := i.invoke(ctx, flags.Arg(0))
	done()
	output.flush()

	var reported *runtimeapi.FunctionError
	var exited *runtimeapi.ExitError
	switch {
	case ctx.Err() != nil && err != nil:
		fmt.Fprintln(os.Stderr, "invoke: interrupted")
		return 130
	case errors.As(err, &reported):
		result, code = reported.Payload, 1
	case errors.As(err, &exited) && exited.LastLine != "":
		return 2 // the function's own output says why
	case err != nil:
		fmt.Fprintln(os.Stderr, "invoke:", err)
		return 2
	}
	if !terminal.Is(os.Stdout) {
		fmt.Printf("%s\n", result)
		return code
	}
	if err := show(os.Stdout, terminal.Colors(os.Stdout), result, i.file, overrides()); err != nil {
		fmt.Fprintln(os.Stderr, "invoke:", err)
		return 2
	}
	return code
}

// invocation is one invocation of a function.
type invocation struct {
	bootstrap string
	output    io.Writer
	progress  func(step string)
	done      func() // ends the progress

	file string // of the event, once it is found
}

func (i *invocation) invoke(ctx context.Context, name string) (result []byte, err error) {
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	events := filepath.Join(root, "events")
	if i.file, err = sample.Find(name, events); err != nil {
		return nil, err
	}
	if abs, err := filepath.Abs(i.file); err == nil && filepath.Base(filepath.Dir(abs)) == "mirror" {
		return i.fill(ctx)
	}
	event, err := sample.Read(i.file, events)
	if err != nil {
		return nil, err
	}
	if i.bootstrap == "" {
		i.progress("building the function")
		if i.bootstrap, err = build.Bootstrap(ctx, "redirector"); err != nil {
			return nil, err
		}
	}
	event.Override(os.LookupEnv)
	if address := event.MirrorAddress(); address != "" {
		i.progress("starting the sample mirrors")
		stop, err := event.ServeMirrors(ctx, address)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	i.done()
	return runtimeapi.InvokeOnce(ctx, i.bootstrap, event.Env, event.Payload, i.output)
}

// overrides returns the configuration variables that are set in the shell.
func overrides() []string {
	var names []string
	for _, v := range config.Variables {
		if _, ok := os.LookupEnv(v.Name); ok {
			names = append(names, v.Name)
		}
	}
	for _, v := range config.FillVariables {
		if _, ok := os.LookupEnv(v.Name); ok {
			names = append(names, v.Name)
		}
	}
	return names
}
