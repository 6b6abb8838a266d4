// Command local runs the whole system on this machine and pulls an image
// through it, as clients in several places.
//
//	go run ./scripts/dev/local          stays up until Ctrl-C
//	go run ./scripts/dev/local -once    exits after the pulls
//
// The exit code is 1 if a pull failed or a blob came from the wrong server, 2 for
// wrong usage, and 130 if it was interrupted before the pulls were done. Stopped
// by Ctrl-C afterwards, it exits with 0, or with 1 if a pull had failed.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"archeio/lambda/build"
	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/system"
	"archeio/scripts/lab/terminal"
)

const usage = `Usage: go run ./scripts/dev/local [flags]

Builds and starts the whole system on loopback: a registry, S3 servers as the
mirrors of two regions and the default mirror, the built Lambda function, a load
balancer and a distribution in front of it. Publishes an image, fills the mirrors
from the registry, publishes a newer image with one more blob, and pulls it as
clients in five places. With -access token, the registry requires a token, and the
requests of one pull are printed, with those that the function sends for it.

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// A reader that closes the pipe, such as head, must not leave servers running.
	signal.Ignore(syscall.SIGPIPE)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("local", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	once := flags.Bool("once", false, "exit after the pulls")
	alb := flags.String("alb", "127.0.0.1:8080", "`ADDRESS` of the load balancer")
	distribution := flags.String("distribution", "127.0.0.1:8081", "`ADDRESS` of the distribution")
	env := flags.String("env", "", "write the environment for the commands to try in another shell to `FILE`\n(default .build/local.env of the repository)")
	access := flags.String("access", "open", "what the upstream requires for reading: open, for nothing, or token")
	verbose := flags.Bool("v", false, "print each request of the pulls, and to standard error the output of the function\nand the servers, with the function's metrics")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return 0
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case err == nil && *access != "open" && *access != "token":
		err = fmt.Errorf("invalid -access %q: want open or token", *access)
	}
	if err != nil {
		fmt.Fprintf(stderr, "local: %v; see -h\n", err)
		return 2
	}
	progress := terminal.NewProgress(stderr)
	l := &local{
		options: system.Options{
			ALB: *alb, Distribution: *distribution, Processes: 2, Token: *access == "token", Progress: progress.Step,
			Env: map[string]string{"INFO_URL": ""}, // the function's own page
		},
		once: *once, verbose: *verbose, env: *env, stdout: stdout, progress: progress,
	}
	if *verbose {
		l.options.Log = stderr
	}
	l.options.Observe = l.observe
	err = l.run(ctx)
	progress.Done()
	switch {
	case ctx.Err() != nil && !l.up:
		fmt.Fprintln(stderr, "local: interrupted")
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "local:", err)
		return 1
	}
	return 0
}

// local is one run of the command.
type local struct {
	options       system.Options
	once, verbose bool
	env           string // a file; empty is the default
	stdout        io.Writer
	progress      *terminal.Progress

	system *system.System
	image  *pull.Image
	up     bool // the pulls are done

	mu       sync.Mutex
	function []pull.Hop // of the pull
}

// observe records a request of the function, unless it is a check whether the upstream
// responds.
func (l *local) observe(h pull.Hop) {
	if strings.HasSuffix(h.URL, "/") {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.function = append(l.function, h)
}

// observed returns what observe recorded since the last call.
func (l *local) observed() []pull.Hop {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer func() { l.function = nil }()
	return l.function
}

func (l *local) run(ctx context.Context) (err error) {
	if l.system, err = system.Start(ctx, l.options); err != nil {
		return err
	}
	defer l.system.Stop()
	var filled bytes.Buffer
	if l.image, err = l.system.Publish(ctx, &filled); err != nil {
		return err
	}
	report, err := l.pulls(ctx)
	if err != nil {
		return err
	}
	l.progress.Done()
	l.up = true
	report.Summary(l.image)
	if l.options.Token && !l.verbose {
		fmt.Fprintln(l.stdout, "\nThe requests of the first pull, and those of the function for a token and for what it relays:")
		first := *report
		first.Rows = first.Rows[:1]
		first.Hops(distribution)
	}
	if l.verbose {
		fmt.Fprintf(l.stdout, "\nThe mirrors of each region were filled\n%s", &filled)
		report.Hops(distribution, loadBalancer)
	}
	err = verdict(report)
	if l.once {
		return err
	}
	file, envErr := l.writeEnv()
	if envErr != nil {
		return errors.Join(err, envErr)
	}
	defer os.Remove(file)
	l.printCommands(file)
	<-ctx.Done()
	l.progress.Step("stopping")
	return err
}

// The names of the entry points, as System.ServerName has them.
const distribution, loadBalancer = "distribution", "load balancer"

// pulls pulls the image as each client through each entry point.
func (l *local) pulls(ctx context.Context) (*pull.Report, error) {
	s := l.system
	report := &pull.Report{Out: l.stdout, ServerName: s.ServerName, Color: terminal.Colors(l.stdout)}
	clients := s.Clients()
	l.progress.Step(fmt.Sprintf("pulling the image as %d clients through both entry points", len(clients)))
	for _, e := range []struct{ name, base string }{{distribution, s.Distribution}, {loadBalancer, s.ALB}} {
		for _, c := range clients {
			l.observed() // what filled the mirrors
			p, err := s.Pull(ctx, e.base, c.Addr, l.image)
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			report.Rows = append(report.Rows, pull.Row{
				EntryPoint: e.name, Client: c.Name, Pull: p, Function: l.observed(),
				Verdict: pull.Verdict(p, err, c.Want, l.image, s.ServerName),
			})
		}
	}
	return report, nil
}

// verdict returns an error if a pull failed.
func verdict(r *pull.Report) error {
	if failed := r.Failed(); failed > 0 {
		return fmt.Errorf("%d of %d pulls failed: run it with V=1, or -v, for each request", failed, len(r.Rows))
	}
	return nil
}

// writeEnv writes a file for shells with the environment that fills the mirrors of
// the system.
func (l *local) writeEnv() (file string, err error) {
	if file = l.env; file == "" {
		root, err := build.Root()
		if err != nil {
			return "", err
		}
		file = filepath.Join(root, ".build", "local.env")
	}
	var text strings.Builder
	env := l.system.SDKEnv(system.Regions[0])
	env["SOURCE"], env["DIGEST"], env["STATE"] = l.system.Source(), l.image.Missing.String(), l.system.StateFolder()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&text, "export %s='%s'\n", name, env[name])
	}
	// Renamed when it is complete: its existence says that the system is up.
	complete := file + ".new"
	if err := os.WriteFile(complete, []byte(text.String()), 0o600); err != nil {
		return "", fmt.Errorf("writing the environment: %w", err)
	}
	return file, os.Rename(complete, file)
}

// printCommands prints where the servers are and commands to try.
func (l *local) printCommands(env string) {
	fmt.Fprintln(l.stdout, "\nRunning until Ctrl-C.")
	for _, host := range l.system.Hosts() {
		fmt.Fprintf(l.stdout, "  %-19s  %s\n", l.system.ServerName(host), host)
	}
	client := system.Clients()[0]
	fmt.Fprintf(l.stdout, `
Try, the first as a client in %[8]s:

  curl -i -H 'X-Simulated-Client-Address: %[3]s' \
    http://%[2]s/v2/%[4]s/blobs/%[6]s
  curl -sL http://%[1]s/v2/%[4]s/tags/list
  crane manifest %[2]s/%[4]s:%[5]s
  docker run --rm %[2]s/%[4]s:%[5]s

The page of the registry, as your own or a simulated client:

  http://%[1]s/
  http://%[1]s%[10]s

In another shell, archeio can be tried on the mirrors:

  . %[9]s
  %[7]s
`, strings.TrimPrefix(l.system.ALB, "http://"), strings.TrimPrefix(l.system.Distribution, "http://"), client.Addr,
		pull.Repository, pull.Tag, l.image.Blobs[0], statusCommand, client.Name, relative(env), entrypoint.SimulatePath)
}

const statusCommand = `go run ./scripts/archeio mirror status -source "$SOURCE" -bucket mirror-default -bucket mirror-us-east-1 -state "$STATE"`

// relative returns a file relative to the working directory if it is below it.
func relative(file string) string {
	if dir, err := os.Getwd(); err == nil {
		if name, err := filepath.Rel(dir, file); err == nil && filepath.IsLocal(name) {
			return name
		}
	}
	return file
}
