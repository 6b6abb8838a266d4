// Command sam invokes the function in the synthesized template with sample events,
// by "sam local start-lambda", and prints the results:
//
//	make sam EVENT=events/alb/ping.json
//
// The environment is that of make invoke. Each event gets a container of its own, and
// the mirrors that make invoke simulates run within it, at the same address, so the
// results are those of make invoke. They are added to the function's code and start it.
//
// If no Docker daemon is running, and the user is root, it starts one and stops it
// afterwards. If the base image cannot be pulled, it makes a substitute. The exit
// code is 1 if the function reports an error, 2 if it could not be invoked, and
// 130 if the command was interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"archeio/infra/stage"
	"archeio/lambda/build"
	"archeio/scripts/lab/sample"
)

const usage = `Usage: go run ./scripts/dev/sam [flags] EVENT...

Synthesizes the stage "smallest" for this machine, invokes its function with each
event by "sam local start-lambda", and prints the results, one per line.

Flags:
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("sam", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	o := options{stdout: stdout, stderr: stderr}
	flags.StringVar(&o.python, "python", ".build/python/bin", "`FOLDER` of the Python environment's programs, which make creates")
	flags.StringVar(&o.cdk, "cdk", "npx --yes aws-cdk", "`COMMAND` of the CDK; make pins its version")
	flags.BoolVar(&o.verbose, "v", false, "print the output of SAM and Docker, with the function's metrics, to standard error")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, usage)
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return 0
	case err == nil && (flags.NArg() == 0 || flags.Arg(0) == ""):
		err = errors.New("missing EVENT: want one or more events, as in: make sam EVENT=events/alb/ping.json")
	}
	if err != nil {
		fmt.Fprintln(stderr, "sam:", err)
		return 2
	}
	failed, err := o.invoke(ctx, flags.Args())
	switch {
	case err != nil && ctx.Err() != nil:
		fmt.Fprintln(stderr, "sam: interrupted")
		return 130
	case err != nil:
		fmt.Fprintln(stderr, "sam:", err)
		return 2
	case failed:
		return 1
	}
	return 0
}

type options struct {
	python, cdk    string
	verbose        bool
	stdout, stderr io.Writer
}

// instead is how an error ends if SAM cannot run.
const instead = ", or use make invoke EVENT=…, which needs neither SAM nor Docker"

// invoke invokes the function with each event and reports whether the function
// reported an error.
func (o options) invoke(ctx context.Context, names []string) (failed bool, err error) {
	root, err := build.Root()
	if err != nil {
		return false, err
	}
	events := filepath.Join(root, "events")
	var samples []*sample.Event
	for _, name := range names {
		file, err := sample.Find(name, events)
		if err != nil {
			return false, err
		}
		event, err := sample.Read(file, events)
		if err != nil {
			return false, err
		}
		event.Override(os.LookupEnv)
		samples = append(samples, event)
	}
	sam, err := find(o.python, "sam")
	if err != nil {
		return false, err
	}
	dir, err := os.MkdirTemp("", "archeio-sam-")
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	d, err := o.startDocker(ctx, dir)
	if err != nil {
		return false, err
	}
	defer d.stop()
	if err := o.baseImage(ctx, d); err != nil {
		return false, err
	}
	template, err := o.synthesize(ctx, root, dir)
	if err != nil {
		return false, err
	}
	mirrors := filepath.Join(dir, "mirrors")
	if slices.ContainsFunc(samples, func(e *sample.Event) bool { return e.MirrorAddress() != "" }) {
		if err := o.buildMirrors(ctx, root, mirrors); err != nil {
			return false, err
		}
	}
	l := &local{options: o, sam: sam, template: template, mirrors: mirrors, docker: d, events: samples}
	return l.invoke(ctx)
}

// buildMirrors builds the simulated mirrors for a container, which may have no C
// library.
func (o options) buildMirrors(ctx context.Context, root, file string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", file, "./scripts/dev/sam/mirrors")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building the simulated mirrors: %w: %s", err, lastLine(string(out)))
	}
	return nil
}

// find returns a program of the Python environment, or else of PATH.
func find(python, name string) (string, error) {
	if path, err := filepath.Abs(filepath.Join(python, name)); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("running SAM: there is no %q in %s or PATH: install it with make python%s", name, python, instead)
	}
	return path, nil
}

const stageName = "smallest"

// synthesize returns the template file of the stage's redirector.
func (o options) synthesize(ctx context.Context, root, dir string) (string, error) {
	architecture := build.Architecture(runtime.GOARCH)
	command := append(strings.Fields(o.cdk), "synth", "--quiet", "-c", "stage="+stageName, "-c", "architecture="+architecture, "-o", filepath.Join(dir, "cdk.out"))
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf("running the CDK: there is no %q in PATH: install Node.js 22 or newer%s", command[0], instead)
		}
		return "", fmt.Errorf("running cdk synth: %w: %s", err, strings.Join(strings.Fields(string(out)), " "))
	}
	s, err := stage.Read(filepath.Join(root, "cdk.json"), stageName)
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "cdk.out", s.Stack("redirector", s.Redirectors[0])+".template.json"), nil
}

// lastLine returns the last line of a text.
func lastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
