package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"archeio/infra/stage"
)

// synthesize is the app of cdk.json, built once. The emulator's CloudFront Functions have
// no modules, so the import is removed from the synthesized template.
const synthesize = `#!/bin/sh
set -e
"${0%/*}/infra"
sed -i 's/"import cf from .cloudfront.;\\n/"/' "$CDK_OUTDIR"/*-edge-*.template.json
`

func (e *emulator) app() string { return filepath.Join(e.dir, "synthesize") }

// assembly is the directory with what the app has synthesized last.
func (e *emulator) assembly() string { return filepath.Join(e.dir, "cdk.out") }

// cdkLine returns a command line of the CDK as a user would enter it in the
// repository, with the stage and the app as additional options.
func (e *emulator) cdkLine(s *emulatedStage, args ...string) []string {
	line := append(append(strings.Fields(e.cdkCommand), args...), "--ci", "--no-color")
	if slices.Contains(args, "destroy") {
		return append(line, "-a", e.assembly()) // of the deployment before
	}
	return append(line, "-c", "stage="+stageName, "-c", "stages="+s.json(), "-a", e.app(), "-o", e.assembly())
}

// cdk runs the CDK and returns its output.
func (e *emulator) cdk(ctx context.Context, s *emulatedStage, args ...string) (string, error) {
	line := e.cdkLine(s, args...)
	_, all, err := e.command(ctx, regions[0], line[0], line[1:]...)
	if ctx.Err() != nil {
		return all, context.Cause(ctx)
	}
	if err != nil {
		return all, outputError(fmt.Errorf("cdk %s: %w", args[0], err), all)
	}
	return all, nil
}

var deployAll = []string{"deploy", "--all", "--require-approval", "never", "--concurrency", "8"}

// deploy does what make deploy does after preflight.
func (e *emulator) deploy(ctx context.Context, s *emulatedStage) (string, error) {
	return e.cdk(ctx, s, deployAll...)
}

// killDeployment starts a deployment and kills all its processes when it begins to
// change a stack of the first region. It returns the states of that region's stacks
// at that time.
func (e *emulator) killDeployment(ctx context.Context, s *emulatedStage, what string) (states string, err error) {
	name := (&stage.Stage{Name: stageName}).Stack(what, regions[0])
	line := e.cdkLine(s, deployAll...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir, cmd.Env = e.root, e.environment(regions[0])
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	kill := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = kill
	out := &trigger{text: name + ": creating CloudFormation changeset", fire: func() { kill() }}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(out, e.log), io.MultiWriter(out, e.log)
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case !out.fired:
		return "", outputError(fmt.Errorf("killing a deployment halfway: it ended before (%v)", err), out.output.String())
	}
	// Else the next deployment would find this one running.
	if err := waitUntil(ctx, time.Minute, "the killed deployment has exited", func() (bool, error) {
		return errors.Is(syscall.Kill(-cmd.Process.Pid, 0), syscall.ESRCH), nil
	}); err != nil {
		return "", err
	}
	stacks, err := e.stacks(ctx, regions[0])
	var all []string
	for _, name := range slices.Sorted(maps.Keys(stacks)) {
		all = append(all, strings.TrimPrefix(name, "archeio-"+stageName+"-")+" "+stacks[name])
	}
	return strings.Join(all, ", "), err
}

// stacks returns the status of each stack of a region that was not deleted.
func (e *emulator) stacks(ctx context.Context, region string) (map[string]string, error) {
	var output struct {
		Stacks []struct{ StackName, StackStatus string }
	}
	if err := e.aws(ctx, region, &output, "cloudformation", "describe-stacks"); err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, s := range output.Stacks {
		if s.StackStatus != "DELETE_COMPLETE" {
			all[s.StackName] = s.StackStatus
		}
	}
	return all, nil
}

// trigger calls fire once, when its text is written.
type trigger struct {
	text string
	fire func()

	mu     sync.Mutex
	output bytes.Buffer
	fired  bool
}

func (t *trigger) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.output.Write(p)
	if !t.fired && bytes.Contains(t.output.Bytes(), []byte(t.text)) {
		t.fired = true
		t.fire()
	}
	return len(p), nil
}
