// Command local runs the whole system on this machine and pulls an image
// through it, as clients in several places.
//
//	go run ./scripts/dev/local          stays up until Ctrl-C
//	go run ./scripts/dev/local -once    exits after the pulls
//
// The exit code is 1 if a pull failed or took the wrong way.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"archeio/lambda/build"
	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/system"
)

const usage = `Usage: go run ./scripts/dev/local [flags]

Builds and starts the whole system on loopback: a registry, S3 servers as the
mirrors of two regions and the default mirror, the built Lambda function, a
load balancer and a distribution before it. Publishes an image, fills the
mirrors from the registry with mirror copy, publishes a newer image that has one
blob more, and pulls that as clients in five places.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A reader that goes away, as head does, must not leave servers behind.
	signal.Ignore(syscall.SIGPIPE)
	flags := flag.NewFlagSet("local", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, usage)
		flags.PrintDefaults()
	}
	once := flags.Bool("once", false, "exit after the pulls")
	alb := flags.String("alb", "127.0.0.1:8080", "`address` of the load balancer")
	distribution := flags.String("distribution", "127.0.0.1:8081", "`address` of the distribution")
	verbose := flags.Bool("v", false, "print what the function and the servers write, to standard error")
	flags.Parse(os.Args[1:])
	if flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "local: unexpected argument %q; see -h\n", flags.Arg(0))
		os.Exit(2)
	}
	o := system.Options{ALB: *alb, Distribution: *distribution, Processes: 2, Log: io.Discard, Progress: progress()}
	if *verbose {
		o.Log = os.Stderr
	}
	err := run(ctx, o, *once)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "stopped")
		if *once {
			os.Exit(130)
		}
	case err != nil:
		fmt.Fprintln(os.Stderr, "local:", err)
		os.Exit(1)
	}
}

// progress tells each step, and how long it took.
func progress() func(string) {
	start := time.Now()
	return func(step string) {
		fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(start).Seconds(), step)
	}
}

func run(ctx context.Context, o system.Options, once bool) error {
	s, err := system.Start(ctx, o)
	if err != nil {
		return err
	}
	defer s.Stop()
	o.Progress("publishing an image, filling the mirrors, publishing a newer one")
	fmt.Println("Filling the mirrors of each region with mirror copy")
	image, err := s.Publish(ctx, os.Stdout)
	if err != nil {
		return err
	}
	o.Progress("pulling")
	bad, err := pulls(ctx, s, image)
	if err != nil {
		return err
	}
	if bad > 0 {
		err = fmt.Errorf("%d pulls failed or took the wrong way; -v shows what the function writes", bad)
	}
	if once {
		return err
	}
	if err != nil {
		fmt.Println(err)
	}
	file, err := writeEnv(s, image)
	if err != nil {
		return err
	}
	defer os.Remove(file)
	lines(s, image)
	<-ctx.Done()
	return nil
}

// writeEnv writes a file for shells with what mirror needs to reach the system.
func writeEnv(s *system.System, image *pull.Image) (file string, err error) {
	root, err := build.Root()
	if err != nil {
		return "", err
	}
	var text strings.Builder
	env := s.SDKEnv(system.Regions[0])
	env["SOURCE"], env["DIGEST"] = s.Source(), image.Missing.String()
	for _, name := range slices.Sorted(maps.Keys(env)) {
		fmt.Fprintf(&text, "export %s='%s'\n", name, env[name])
	}
	file = filepath.Join(root, ".build", "local.env")
	aside := file + ".new"
	if err := os.WriteFile(aside, []byte(text.String()), 0o600); err != nil {
		return "", err
	}
	return file, os.Rename(aside, file)
}

// lines are commands to try.
func lines(s *system.System, image *pull.Image) {
	distribution, alb := strings.TrimPrefix(s.Distribution, "http://"), strings.TrimPrefix(s.ALB, "http://")
	eu := system.Clients()[0].Addr
	fmt.Printf(`
Up until Ctrl-C. The load balancer is at %[1]s, the distribution at %[2]s. Try

  curl -i -H 'X-Simulated-Client-Address: %[3]s' http://%[2]s/v2/%[4]s/blobs/%[6]s
  curl -sL http://%[1]s/v2/%[4]s/tags/list
  crane manifest %[2]s/%[4]s:%[5]s
  docker run --rm %[2]s/%[4]s:%[5]s

In another shell, what fills the mirrors can be tried on one of the S3 servers:

  . .build/local.env
  go run ./lambda/mirror status -source "$SOURCE" -bucket mirror-default -bucket mirror-us-east-1
`, alb, distribution, eu, pull.Repository, pull.Tag, image.Blobs[0])
}

func pulls(ctx context.Context, s *system.System, image *pull.Image) (bad int, err error) {
	report := pull.Report{Out: os.Stdout, ServerName: s.ServerName}
	for _, f := range []struct{ name, base string }{{"distribution", s.Distribution}, {"load balancer", s.ALB}} {
		for _, c := range system.Clients() {
			p, err := s.Pull(ctx, f.base, c.Addr, image)
			if ctx.Err() != nil {
				return 0, context.Cause(ctx)
			}
			report.Rows = append(report.Rows, pull.Row{
				EntryPoint: f.name, Client: fmt.Sprintf("%s (%s)", c.Name, c.Addr), Pull: p,
				Verdict: pull.Verdict(p, err, c.Want, image, s.ServerName),
			})
		}
	}
	fmt.Println("Hosts")
	for _, host := range s.Hosts() {
		fmt.Printf("  %-20s  %s\n", s.ServerName(host), strings.TrimPrefix(host, "http://"))
	}
	report.Hops("distribution", "load balancer")
	report.Blobs(image)
	return report.Bad(), nil
}
