// Command explain tells where the redirector would send a client, and why. It
// asks nobody: a mirror that comes first is taken to have the blob. It is
// configured as the function is, by its environment variables, and runs the
// same code.
//
//	go run ./scripts/archeio/explain -ip 35.180.1.1 /v2/pause/blobs/sha256:...
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"archeio/lambda/config"
	"archeio/ranges"
)

const usage = `Usage: go run ./scripts/archeio/explain [-json] -ip ADDR PATH
       go run ./scripts/archeio/explain [-json] -stdin < lines of "ADDR PATH"

Tells where the redirector would send a client at ADDR that asks for PATH, and
why, without a network. It is configured by the function's environment
variables; UPSTREAM_REGISTRY_ENDPOINT is required, all are in the README.

`

func main() {
	err := run(context.Background(), os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "explain:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("explain", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	ip := flags.String("ip", "", "the client's `address`")
	method := flags.String("method", "GET", "the request's method")
	asJSON := flags.Bool("json", false, "print one JSON object a line")
	lines := flags.Bool("stdin", false, "answer each line of standard input, an address and a path")
	if err := flags.Parse(args); err != nil {
		return err
	}
	named := false // an address that is empty is a bad one, not none
	flags.Visit(func(f *flag.Flag) { named = named || f.Name == "ip" })
	switch {
	case *lines && (named || flags.NArg() > 0):
		return errors.New("-stdin takes addresses and paths from standard input; leave out -ip and PATH")
	case !*lines && (!named || flags.NArg() != 1):
		return errors.New("name an address and a path, as in: -ip 35.180.1.1 /v2/pause/manifests/3.9; see -h")
	}
	c, err := config.Load(getenv)
	if err != nil {
		return err
	}
	if err := ranges.Check(); err != nil {
		return fmt.Errorf("%w; build from a clean checkout", err)
	}
	e := newExplainer(c)
	out := bufio.NewWriter(stdout)
	defer out.Flush()
	print := (*explanation).writeText
	if *asJSON {
		print = (*explanation).writeJSON
	}
	if !*lines {
		print(e.explain(ctx, *method, *ip, flags.Arg(0)), out)
		return out.Flush()
	}
	in := bufio.NewReader(stdin)
	for n := 0; ; n++ {
		if in.Buffered() == 0 {
			// Who waits for an answer before the next line gets it.
			if err := out.Flush(); err != nil {
				return err
			}
		}
		line, err := in.ReadString('\n')
		if err != nil && err != io.EOF {
			return fmt.Errorf("reading standard input: %w", err)
		}
		if line = strings.TrimSpace(line); line != "" || err == nil {
			if n > 0 && !*asJSON {
				fmt.Fprintln(out)
			}
			addr, path := line, ""
			if i := strings.IndexAny(line, " \t"); i >= 0 {
				addr, path = line[:i], strings.TrimSpace(line[i:])
			}
			print(e.explain(ctx, *method, addr, path), out)
		}
		if err == io.EOF {
			break
		}
	}
	return out.Flush()
}
