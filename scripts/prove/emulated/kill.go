package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"archeio/infra/stage"
)

// kill begins a deployment and kills it, with all that it has started, when it
// begins to change the stack of the first region that what names. It answers how
// the stacks of that region were then.
func (e *emulator) kill(ctx context.Context, s *emulatedStage, what string) (left string, err error) {
	name := (&stage.Stage{Name: stageName}).Stack(what, regions[0])
	line := e.cdkLine(s, deployAll...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Dir, cmd.Env = e.root, e.environment(regions[0])
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	killed := func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.Cancel = killed
	out := &until{mark: name + ": creating CloudFormation changeset", then: func() { killed() }}
	cmd.Stdout, cmd.Stderr = io.MultiWriter(out, e.log), io.MultiWriter(out, e.log)
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case !out.seen:
		return "", fmt.Errorf("killing a deployment half-way: it ended before, with %v; the end of what it wrote:\n%s", err, end(out.text.String()))
	}
	// The next one looks whether this one is still there.
	if err := wait(ctx, time.Minute, "the killed deployment is gone", func() (bool, error) {
		return errors.Is(syscall.Kill(-cmd.Process.Pid, 0), syscall.ESRCH), nil
	}); err != nil {
		return "", err
	}
	all, err := e.stacks(ctx, regions[0])
	if err != nil {
		return "", err
	}
	var stacks []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		stacks = append(stacks, strings.TrimPrefix(name, "archeio-"+stageName+"-")+" "+all[name])
	}
	return strings.Join(stacks, ", "), nil
}

// until does something once, when a text has been written.
type until struct {
	mark string
	then func()

	mu   sync.Mutex
	text bytes.Buffer
	seen bool
}

func (u *until) Write(p []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.text.Write(p)
	if !u.seen && bytes.Contains(u.text.Bytes(), []byte(u.mark)) {
		u.seen = true
		u.then()
	}
	return len(p), nil
}
