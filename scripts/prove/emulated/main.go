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
	"slices"
	"strings"

	"archeio/scripts/prove/cli"
)

const help = `Usage: go run ./scripts/prove/emulated [flags]

Deploys a stage to an AWS emulator: two mirrors, a domain, a redirector behind a load
balancer and a function URL, the functions that fill the mirrors, and the edge. Fills
the mirrors, pushes one more image, pulls it as several clients through both entry
points, checks access, runs archeio verify, also on the stage with ten defects, changes
the stage while clients pull, runs the canary, and destroys the stage. With -full, each
defect is also found alone, front is changed from alb to cloudfront, a stage gets its first
domain, and the buckets of the destroyed stage are adopted. With
-operations, it instead does to the stage what operators do while clients pull: interrupt
deployments, add and remove a mirror, run preflight, the rollout hook and the runbooks.

make deploy-emulated installs the emulator and pins the CDK.

Example:
  make deploy-emulated ARGS="-operations -v"
`

func main() { cli.Main("emulated", run) }

type options struct {
	python, cdk               string
	keep, operations, verbose bool
	full                      bool
	only                      string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("emulated", flag.ContinueOnError)
	flags.StringVar(&o.python, "python", ".build/python/bin", "`DIR` with the Python programs; make installs them")
	flags.StringVar(&o.cdk, "cdk", "npx --yes aws-cdk", "the CDK's `COMMAND`; make pins its version")
	flags.BoolVar(&o.keep, "keep", false, "stay up until Ctrl-C before the stage is destroyed")
	flags.BoolVar(&o.full, "full", false, "check what takes too long for the gate too")
	flags.StringVar(&o.only, "only", "", "`PARTS` of the checks, comma-separated; mirror must be one of them for changes")
	flags.BoolVar(&o.operations, "operations", false, "operate the stage while clients pull")
	flags.BoolVar(&o.verbose, "v", false, "print the output of the CDK and the emulator to standard error")
	if err := cli.Parse(flags, args, help, stdout); err != nil {
		return err
	}
	parts := deploymentParts
	if o.operations {
		parts = operationParts
	}
	parts, err := selectParts(parts, o.only)
	if err != nil {
		return err
	}
	log := io.Discard
	if o.verbose {
		log = stderr
	}
	c := &checks{progress: cli.NewProgress(stderr), out: stdout, full: o.full}
	c.progress.Step("starting the emulator and a registry")
	e, err := start(ctx, o.python, o.cdk, log)
	if err != nil {
		return err
	}
	defer e.stop()
	if err := c.prepare(ctx, e, parts[0].name == lifecycle); err != nil {
		return err
	}
	for _, p := range parts {
		p.run(c, ctx)
	}
	if o.keep && ctx.Err() == nil {
		c.print()
		c.printCommands()
		<-ctx.Done()
		return nil
	}
	if !o.operations {
		c.checkDestroy(ctx)
		if o.full {
			c.checkAdopt(ctx)
		} else {
			c.progress.Note("skipped here: the buckets of the destroyed stage are adopted; make prove-all runs it")
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
	if s.networks[regions[0]], err = e.createNetwork(ctx, regions[0]); err != nil {
		return nil, err
	}
	c.progress.Step("cdk bootstrap")
	bootstrap := []string{"bootstrap"}
	for _, region := range append(slices.Clone(regions), newRegion) {
		bootstrap = append(bootstrap, "aws://"+account+"/"+region)
	}
	if _, err := e.cdk(ctx, s, bootstrap...); err != nil {
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

// part is a group of checks.
type part struct {
	name string
	run  func(*checks, context.Context)
}

// deploymentParts are the checks of a stage that was deployed once, operationParts what
// operators do to it.
var (
	deploymentParts = []part{
		{"access", (*checks).checkAccess},
		{"redeploy", (*checks).checkRedeploy}, // before verify, which updates a stack without the CDK
		{"verify", (*checks).checkVerify},
		{"mirror", (*checks).checkMirrorCommands},
		{"ranges", (*checks).checkRanges},
		{"changes", (*checks).checkChanges}, // after mirror, which withdraws a blob
	}
	operationParts = []part{
		{lifecycle, (*checks).checkRegionLifecycle},
		{"report", (*checks).checkReport},
		{"preflight", (*checks).checkPreflight},
		{"hook", (*checks).checkHook},
		{"runbooks", (*checks).checkRunbooks},
	}
)

// lifecycle is the part for which the first deployment is interrupted.
const lifecycle = "lifecycle"

// selectParts returns the parts with names in a list, all for an empty list.
func selectParts(all []part, only string) (selected []part, err error) {
	var names []string
	for _, p := range all {
		names = append(names, p.name)
		if only == "" || slices.Contains(strings.Split(only, ","), p.name) {
			selected = append(selected, p)
		}
	}
	if only != "" && len(selected) != len(strings.Split(only, ",")) {
		return nil, cli.Usagef("-only %q: want some of %s", only, strings.Join(names, ", "))
	}
	return selected, nil
}
