// Command invoke sends one event to the built redirector, as Lambda would, and
// prints its answer.
//
//	go run ./scripts/dev/invoke events/alb/ping.json
//
// An event in a folder called mirror is for the functions that fill the mirrors.
// They get a registry with an image, an S3 server and a queue of their own.
//
// Standard output gets the answer JSON and nothing else; what the function
// itself writes goes to standard error. If the function reports an error, that
// is printed instead and the exit code is 1; it is 2 where the function could
// not be run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"archeio/lambda/build"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/sample"
)

const usage = `Usage: go run ./scripts/dev/invoke [flags] EVENT

Sends the event in the file EVENT to the built redirector and prints its
answer. The environment comes from env.json and EVENT's own .env.json in the
folder of the event; every configuration variable that is set in the shell
wins, also one that is set to nothing.

An EVENT in a folder called mirror goes to the built functions that fill the
mirrors; a registry with an image, an S3 server and a queue are started for it.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	flags := flag.NewFlagSet("invoke", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, usage)
		flags.PrintDefaults()
	}
	bootstrap := flags.String("bootstrap", "", "a built `function` to run; without it the redirector is built first")
	flags.Parse(os.Args[1:])
	if flags.NArg() != 1 || flags.Arg(0) == "" {
		fmt.Fprintln(os.Stderr, "invoke: name one event, as in: make invoke EVENT=events/alb/ping.json")
		os.Exit(2)
	}
	answer, err := run(ctx, flags.Arg(0), *bootstrap)
	var reported *runtimeapi.FunctionError
	var ended *runtimeapi.ExitError
	switch {
	case errors.As(err, &reported):
		fmt.Printf("%s\n", reported.Payload)
		os.Exit(1)
	case errors.As(err, &ended) && ended.LastLine != "":
		os.Exit(2) // it has said why itself
	case err != nil:
		fmt.Fprintln(os.Stderr, "invoke:", err)
		os.Exit(2)
	}
	fmt.Printf("%s\n", answer)
}

func run(ctx context.Context, file, bootstrap string) ([]byte, error) {
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	if abs, err := filepath.Abs(file); err == nil && filepath.Base(filepath.Dir(abs)) == "mirror" {
		return mirror(ctx, file, bootstrap)
	}
	event, err := sample.Read(file, filepath.Join(root, "events"))
	if err != nil {
		return nil, err
	}
	if bootstrap == "" {
		if bootstrap, err = build.Bootstrap(ctx, "redirector"); err != nil {
			return nil, err
		}
	}
	event.Override(os.LookupEnv)
	if address := event.MirrorAddress(); address != "" {
		stop, err := event.ServeMirrors(ctx, address)
		if err != nil {
			return nil, err
		}
		defer stop()
	}
	return runtimeapi.InvokeOnce(ctx, bootstrap, event.Env, event.Payload, os.Stderr)
}
