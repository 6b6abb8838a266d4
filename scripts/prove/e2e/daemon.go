package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// daemon is an engine's, with folders and a socket of its own.
type daemon struct {
	cmd    *exec.Cmd
	exited chan struct{}
}

// startDaemon starts one and waits until ready succeeds.
func startDaemon(ctx context.Context, log io.Writer, ready func(context.Context) error, name string, args ...string) (*daemon, error) {
	if os.Getuid() != 0 {
		return nil, fmt.Errorf("only root can start %s here", name)
	}
	d := &daemon{cmd: exec.Command(name, args...), exited: make(chan struct{})}
	output := &kept{w: log}
	d.cmd.Stdout, d.cmd.Stderr = output, output
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		d.cmd.Wait()
		close(d.exited)
	}()
	patience, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		if ready(patience) == nil {
			return d, nil
		}
		select {
		case <-again.C:
		case <-d.exited:
			return nil, fmt.Errorf("%s ended at once: %s", name, lastLine(output.String()))
		case <-patience.Done():
			d.stop()
			return nil, errors.New(name + " does not answer")
		}
	}
}

func (d *daemon) stop() {
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.exited:
	case <-time.After(20 * time.Second):
		// With what it has started.
		syscall.Kill(-d.cmd.Process.Pid, syscall.SIGKILL)
		<-d.exited
	}
}

// kept passes on what is written and keeps it.
type kept struct {
	mu sync.Mutex
	b  bytes.Buffer
	w  io.Writer
}

func (k *kept) Write(p []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.b.Len() < 1<<20 {
		k.b.Write(p)
	}
	return k.w.Write(p)
}

func (k *kept) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.b.String()
}
