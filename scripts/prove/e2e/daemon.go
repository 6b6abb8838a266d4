package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"archeio/scripts/prove/cli"
)

const (
	daemonStart = 40 * time.Second
	daemonStop  = 20 * time.Second
)

// daemon is the daemon of a container engine, with directories and a socket of
// its own.
type daemon struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// startDaemon starts a daemon and waits until ready succeeds.
func startDaemon(ctx context.Context, log io.Writer, ready func(context.Context) error, name string, args ...string) (*daemon, error) {
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("%s must be started by root", name)
	}
	d := &daemon{cmd: exec.Command(name, args...), exited: make(chan struct{})}
	output := &transcript{out: log}
	d.cmd.Stdout, d.cmd.Stderr = output, output
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		d.cmd.Wait()
		close(d.exited)
	}()
	ctx, cancel := context.WithTimeout(ctx, daemonStart)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if ready(ctx) == nil {
			return d, nil
		}
		select {
		case <-tick.C:
		case <-d.exited:
			return nil, fmt.Errorf("%s exited: %s", name, cli.LastLine(output.String()))
		case <-ctx.Done():
			d.stop()
			return nil, fmt.Errorf("%s did not respond within %s", name, daemonStart)
		}
	}
}

func (d *daemon) stop() {
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(daemonStop):
		syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL) // the whole group
		<-d.exited
	}
}

// transcript forwards what is written and keeps the first MiB. It is safe for
// concurrent use.
type transcript struct {
	out io.Writer

	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text.Len() < 1<<20 {
		t.text.Write(b)
	}
	return t.out.Write(b)
}

func (t *transcript) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.String()
}
