package system

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"archeio/lambda/build"
)

// AccessKey and SecretKey are the credentials of the S3 servers; they live no
// longer than the stack.
const AccessKey, SecretKey = "archeio", "for-this-machine-only"

type binaries struct{ function, registry, s3 string }

func compile(ctx context.Context) (b binaries, err error) {
	if b.function, err = build.Bootstrap(ctx, "redirector"); err != nil {
		return b, err
	}
	if b.registry, err = compileServer(ctx, "registry"); err != nil {
		return b, err
	}
	b.s3, err = compileServer(ctx, "s3")
	return b, err
}

// compileServer builds one of the servers, which are a module of their own.
func compileServer(ctx context.Context, name string) (string, error) {
	root, err := build.Root()
	if err != nil {
		return "", err
	}
	out := filepath.Join(root, ".build", name)
	cmd := exec.CommandContext(ctx, "go", "build", "-o", out, "./"+name)
	cmd.Dir = filepath.Join(root, "scripts", "lab", "servers")
	if text, err := cmd.CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", fmt.Errorf(`building the server %q: there is no "go" on this machine; install Go 1.26 or newer`, name)
		}
		return "", fmt.Errorf("building the server %q: %w\n%s", name, err, bytes.TrimSpace(text))
	}
	return out, nil
}

// server starts one of the servers on a free port and waits until it answers.
// The port is free when it is chosen; where another process takes it first,
// another one is tried.
func (s *System) server(ctx context.Context, log io.Writer, binary string, args ...string) (base string, err error) {
	for range 3 {
		var stop func()
		if base, stop, err = startServer(ctx, log, binary, args...); err == nil {
			s.closers = append(s.closers, stop)
			return base, nil
		}
	}
	return "", err
}

// StartRegistry builds a registry that keeps its files in dir and starts it on
// a free port. It answers its base URL, and what stops it.
func StartRegistry(ctx context.Context, log io.Writer, dir string) (base string, stop func(), err error) {
	binary, err := compileServer(ctx, "registry")
	if err != nil {
		return "", nil, err
	}
	return startServer(ctx, log, binary, "-root", dir)
}

func startServer(ctx context.Context, log io.Writer, binary string, args ...string) (base string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(binary, append([]string{"-listen", address}, args...)...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+AccessKey, "AWS_SECRET_ACCESS_KEY="+SecretKey)
	cmd.Stdout, cmd.Stderr = log, log
	// A group of its own, so that Ctrl-C reaches only the one who stops all.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("starting %s: %w", filepath.Base(binary), err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait()
		close(exited)
	}()
	stop = func() {
		cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-exited:
		case <-time.After(5 * time.Second):
			cmd.Process.Kill()
			<-exited
		}
	}
	patience := time.NewTimer(20 * time.Second)
	defer patience.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		if resp, err := http.Get("http://" + address + "/"); err == nil {
			resp.Body.Close()
			return "http://" + address, stop, nil
		}
		select {
		case <-again.C:
		case <-exited:
			return "", nil, fmt.Errorf("starting %s: it ended at once (%v)", filepath.Base(binary), cmd.ProcessState)
		case <-patience.C:
			stop()
			return "", nil, fmt.Errorf("starting %s: it does not answer on %s", filepath.Base(binary), address)
		case <-ctx.Done():
			stop()
			return "", nil, context.Cause(ctx)
		}
	}
}
