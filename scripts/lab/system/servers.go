package system

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// AccessKey and SecretKey are the credentials of the S3 servers, which are
// reachable on loopback only.
const AccessKey, SecretKey = "archeio", "for-this-machine-only"

// StartRegistry builds a registry that stores its files in dir and starts it on a
// free port. It returns the base URL and a function that stops the registry.
func StartRegistry(ctx context.Context, log io.Writer, dir string) (base string, stop func(), err error) {
	binary, err := serverBinary(ctx, "registry")
	if err != nil {
		return "", nil, err
	}
	return startServer(ctx, log, binary, "-root", dir)
}

// StartOlareg builds an empty registry that has the referrers API and accepts
// digests of sha512, and starts it on a free port. It returns the base URL and a
// function that stops the registry.
func StartOlareg(ctx context.Context, log io.Writer) (base string, stop func(), err error) {
	return startOlareg(ctx, log)
}

func startOlareg(ctx context.Context, log io.Writer, args ...string) (base string, stop func(), err error) {
	binary, err := serverBinary(ctx, "olareg")
	if err != nil {
		return "", nil, err
	}
	return startServer(ctx, log, binary, args...)
}

// StartOlareg starts a registry as the function of that name does. If the upstream
// requires a token, so does this registry for reading, from the same token server.
func (s *System) StartOlareg(ctx context.Context) (base string, stop func(), err error) {
	if s.tokens == "" {
		return StartOlareg(ctx, s.log)
	}
	return startOlareg(ctx, s.log, "-realm", s.tokens+"/token", "-keys", keysFile(s.dir))
}

// startServer starts a server that Stop stops.
func (s *System) startServer(ctx context.Context, binary string, args ...string) (base string, err error) {
	base, stop, err := startServer(ctx, s.log, binary, args...)
	if err == nil {
		s.closers = append(s.closers, stop)
	}
	return base, err
}

// startServer starts a server on a free port and waits until it responds. If
// another process takes the port first, it tries another one.
func startServer(ctx context.Context, log io.Writer, binary string, args ...string) (base string, stop func(), err error) {
	for range 3 {
		if base, stop, err = tryServer(ctx, log, binary, args...); err == nil || ctx.Err() != nil {
			break
		}
	}
	return base, stop, err
}

func tryServer(ctx context.Context, log io.Writer, binary string, args ...string) (base string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(binary, append([]string{"-listen", address}, args...)...)
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+AccessKey, "AWS_SECRET_ACCESS_KEY="+SecretKey)
	cmd.Stdout, cmd.Stderr = log, log
	// In its own process group, so that Ctrl-C reaches only this process, which
	// then stops the server.
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
	timeout := time.NewTimer(20 * time.Second)
	defer timeout.Stop()
	retry := time.NewTicker(20 * time.Millisecond)
	defer retry.Stop()
	for {
		if resp, err := http.Get("http://" + address + "/"); err == nil {
			resp.Body.Close()
			return "http://" + address, stop, nil
		}
		select {
		case <-retry.C:
		case <-exited:
			return "", nil, fmt.Errorf("starting %s: it exited (%v)", filepath.Base(binary), cmd.ProcessState)
		case <-timeout.C:
			stop()
			return "", nil, fmt.Errorf("starting %s: no response on %s within 20 s", filepath.Base(binary), address)
		case <-ctx.Done():
			stop()
			return "", nil, context.Cause(ctx)
		}
	}
}
