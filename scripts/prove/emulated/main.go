// Command emulated deploys a stage with the real CDK to an AWS emulator on this
// machine, and checks what was deployed:
//
//	make deploy-emulated                    deploy, pull, check, and tear down
//	make deploy-emulated KEEP=1             stay up until Ctrl-C, with commands to try
//	make deploy-emulated ARGS=-operations   operate the stage while clients pull
//
// The emulator, ministack, executes CloudFormation, runs the functions, enforces
// IAM policies, and serves S3, the function URL, the load balancer and the
// distribution by their host names, over TLS, on loopback only. Its limitations are
// printed, with the workarounds.
//
// The exit codes are those of package cli.
package main

import (
	"context"
	"flag"
	"io"

	"archeio/scripts/prove/cli"
)

const help = `Usage: go run ./scripts/prove/emulated [flags]

Deploys a stage to an AWS emulator: two mirrors, a domain, a redirector behind a load
balancer and a function URL, the functions that fill the mirrors, and the edge. Fills
the mirrors, pushes one more image, pulls it as several clients through both entry
points, checks access, runs archeio verify, also on the stage with defects, checks
further deployments, and destroys the stage; with -adopt, it then adopts its buckets
and deploys again. With -operations, it instead does to the stage what operators do
while clients pull: interrupt deployments, add and remove a mirror, run preflight, the
rollout hook and the runbooks.

make deploy-emulated installs the emulator and pins the CDK.

Example:
  make deploy-emulated ARGS="-operations -v"
`

func main() { cli.Main("emulated", run) }

type options struct {
	python, cdk               string
	keep, operations, verbose bool
	adopt                     bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("emulated", flag.ContinueOnError)
	flags.StringVar(&o.python, "python", ".build/python/bin", "`DIR` with the Python programs; make installs them")
	flags.StringVar(&o.cdk, "cdk", "npx --yes aws-cdk", "the CDK's `COMMAND`; make pins its version")
	flags.BoolVar(&o.keep, "keep", false, "stay up until Ctrl-C before the stage is destroyed")
	flags.BoolVar(&o.adopt, "adopt", false, "adopt the buckets of the destroyed stage, and deploy the rest again")
	flags.BoolVar(&o.operations, "operations", false, "operate the stage while clients pull")
	flags.BoolVar(&o.verbose, "v", false, "print the output of the CDK and the emulator to standard error")
	if err := cli.Parse(flags, args, help, stdout); err != nil {
		return err
	}
	log := io.Discard
	if o.verbose {
		log = stderr
	}
	c := &checks{progress: cli.NewProgress(stderr), out: stdout}
	c.progress.Step("starting the emulator and a registry")
	e, err := start(ctx, o.python, o.cdk, log)
	if err != nil {
		return err
	}
	defer e.stop()
	if err := c.prepare(ctx, e, o.operations); err != nil {
		return err
	}
	if o.operations {
		c.operations(ctx)
	} else {
		c.deployment(ctx)
	}
	if o.keep && ctx.Err() == nil {
		c.print()
		c.printCommands()
		<-ctx.Done()
		return nil
	}
	if !o.operations {
		c.checkDestroy(ctx)
		if o.adopt {
			c.checkAdopt(ctx)
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return c.print()
}

// prepare deploys the stage, works around the emulator's limitations, fills the
// mirrors and pulls through both entry points.
func (c *checks) prepare(ctx context.Context, e *emulator, interrupted bool) error {
	s, err := c.create(ctx, e, interrupted)
	if err != nil {
		return err
	}
	if c.deployed, err = e.inspect(ctx, s); err != nil {
		return err
	}
	c.expect(ctx, "only CloudFront may call the function URL", "https://"+c.functionHost+"/v2/", nil, 403, nil)
	c.progress.Step("working around limitations of the emulator")
	if err := c.workAround(ctx, c.progress); err != nil {
		return err
	}
	return c.pulls(ctx)
}

// create deploys the stage for the first time. If interrupted is set, the deployment
// is killed halfway first, and then repeated.
func (c *checks) create(ctx context.Context, e *emulator, interrupted bool) (s *emulatedStage, err error) {
	s = newStage(e)
	if s.zone, err = e.createZone(ctx); err != nil {
		return nil, err
	}
	if s.network, err = e.createNetwork(ctx); err != nil {
		return nil, err
	}
	c.progress.Step("cdk bootstrap, %d regions", len(regions))
	if _, err := e.cdk(ctx, s, "bootstrap", "aws://"+account+"/"+regions[0], "aws://"+account+"/"+regions[1]); err != nil {
		return nil, err
	}
	if interrupted {
		c.progress.Step("killing the first deployment halfway")
		stacks, err := e.killDeployment(ctx, s, "redirector")
		if err != nil {
			return nil, err
		}
		c.progress.Note("stacks when it was killed: %s", stacks)
	}
	c.progress.Step("cdk deploy --all")
	_, err = e.deploy(ctx, s)
	if interrupted {
		c.check("a first deployment that was killed halfway can be repeated", err)
	}
	return s, err
}

// deployment checks a stage that was deployed once.
func (c *checks) deployment(ctx context.Context) {
	c.checkAccess(ctx)
	c.checkVerify(ctx)
	c.checkMirrorCommands(ctx)
	c.checkRanges(ctx)
	c.checkRedeploy(ctx)
}

// operations checks what operators do to a stage.
func (c *checks) operations(ctx context.Context) {
	c.checkRegionLifecycle(ctx)
	c.checkReport(ctx)
	c.checkPreflight(ctx)
	c.checkHook(ctx)
	c.checkRunbooks(ctx)
}
