// Command emulated deploys the system with the real CDK, to an emulator of AWS
// on this machine, and pulls an image through what was deployed:
//
//	make deploy-emulated                    deploys, pulls, checks, and tears down
//	make deploy-emulated KEEP=1             stays up until Ctrl-C, with lines to try
//	make deploy-emulated ARGS=-operations   does to it what its people do
//
// The emulator (ministack) executes CloudFormation, runs the function, and
// serves S3, the function URL, the load balancer and the distribution by their
// host names, over TLS, on loopback only, with its policies enforced. What it
// cannot do is printed, with the step that was taken around it.
//
// The exit code is 1 if a pull failed or took the wrong way, or a check failed.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const usage = `Usage: go run ./scripts/prove/emulated [flags]

Starts an AWS emulator, deploys a stage with two mirror regions, a domain, a
redirector with a load balancer and a function URL, the functions that fill the
mirrors, and the edge; runs the planner, pushes one more image, pulls that as
several clients through both fronts, checks what a deployment has to keep to,
and tears down. With -operations, it does instead what people do to a stage that
is in use.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A reader that goes away, as head does, must not leave servers behind.
	signal.Ignore(syscall.SIGPIPE)
	flags := flag.NewFlagSet("emulated", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprint(os.Stderr, usage)
		flags.PrintDefaults()
	}
	python := flags.String("python", ".build/python/bin", "`folder` of the Python environment's programs; make builds it")
	cdk := flags.String("cdk", "npx --yes aws-cdk", "the CDK's `command`; make pins its version")
	keep := flags.Bool("keep", false, "stay up until Ctrl-C, before the stage is destroyed")
	operations := flags.Bool("operations", false, "kill deployments and repeat them, have a mirror region come and go while clients pull")
	verbose := flags.Bool("v", false, "print what the CDK and the emulator write, to standard error")
	flags.Parse(os.Args[1:])
	if flags.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "emulated: unexpected argument %q; see -h\n", flags.Arg(0))
		os.Exit(2)
	}
	err := run(ctx, *python, *cdk, *operations, *keep, *verbose)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "stopped; everything that was started is stopped")
		if !*keep {
			os.Exit(130)
		}
	case err != nil:
		fmt.Fprintln(os.Stderr, "emulated:", err)
		os.Exit(1)
	}
}

// progress tells each step, and when it began.
func progress() func(string, ...any) {
	start := time.Now()
	return func(format string, args ...any) {
		fmt.Fprintf(os.Stderr, "%6.1fs  %s\n", time.Since(start).Seconds(), fmt.Sprintf(format, args...))
	}
}

func run(ctx context.Context, python, cdk string, operations, keep, verbose bool) error {
	say := progress()
	say("starting the emulator and a registry")
	e, err := start(ctx, python, cdk, verbose)
	if err != nil {
		return err
	}
	defer e.stop()
	c := &checks{say: say}
	s, err := c.create(ctx, e, operations)
	if err != nil {
		return err
	}
	if c.deployed, err = e.look(ctx, s); err != nil {
		return err
	}
	c.expect(ctx, "nobody but CloudFront may call the function's own address", "https://"+c.functionHost+"/v2/", nil, 403, nil)
	say("steps around what the emulator cannot do")
	if err := c.stepAround(ctx); err != nil {
		return err
	}
	if err := c.pulls(ctx); err != nil {
		return err
	}
	if operations {
		c.operate(ctx)
		c.measure(ctx)
		c.preflight(ctx)
		c.hook(ctx)
		c.runbooks(ctx)
	} else {
		c.requests(ctx)
		c.shell(ctx)
		c.releases(ctx)
	}
	if keep && ctx.Err() == nil {
		c.print()
		c.lines(c.image)
		<-ctx.Done()
		return nil
	}
	if !operations {
		c.destroy(ctx)
		c.adopt(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.print()
	if c.failed > 0 {
		return fmt.Errorf("%d pulls or checks failed; -v shows what the CDK and the emulator write", c.failed)
	}
	return nil
}

// create deploys a stage for the first time. Where that is to be tried, the
// deployment is killed half-way, and then repeated.
func (c *checks) create(ctx context.Context, e *emulator, killed bool) (s *emulatedStage, err error) {
	s = newStage(e)
	if s.zone, err = e.createZone(ctx); err != nil {
		return nil, err
	}
	if s.network, err = e.createNetwork(ctx); err != nil {
		return nil, err
	}
	c.say("cdk bootstrap, in %d regions", len(regions))
	if _, err := e.cdk(ctx, s, "bootstrap", "aws://"+account+"/"+regions[0], "aws://"+account+"/"+regions[1]); err != nil {
		return nil, err
	}
	if killed {
		c.say("a first creation is killed")
		left, err := e.kill(ctx, s, "redirector")
		if err != nil {
			return nil, err
		}
		c.say("killed; the stacks were: %s", left)
	}
	c.say("cdk deploy --all")
	_, err = e.deploy(ctx, s)
	if killed {
		c.check("a first creation that was killed half-way is repeated", found(err, true, ""))
	}
	return s, err
}
