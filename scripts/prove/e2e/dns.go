package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// noName has a mirror whose name does not resolve. No resolver is asked for a
// name under .onion (RFC 7686).
func (f *atFront) noName(ctx context.Context) (string, error) {
	l, err := f.lab(ctx, 1, map[string]string{"MIRROR_URL_OVERRIDES": "us-east-1=https://mirror.onion"})
	if err != nil {
		return "", err
	}
	defer l.stop()
	saw, _, err := l.withoutNear(ctx)
	return saw, err
}

// withoutNear asks while the nearest mirror cannot be reached: a check may take
// its time, and the default mirror serves.
func (l *lab) withoutNear(ctx context.Context) (saw string, slowest time.Duration, err error) {
	s := sum(l.watch(ctx, time.Millisecond, time.Minute, times(50)))
	saw = fmt.Sprintf("%d errors, slowest answer %dms, %s", s.bad, s.slowest.Milliseconds(), amounts(s.reasons))
	if !s.mostly("default-mirror", 50) || s.slowest > labCheck+slack {
		err = fmt.Errorf("%d failed: %v", s.bad, s.err)
	}
	return saw, s.slowest, err
}

// silentResolver is where a resolver listens that never answers: the port of a
// resolver cannot be chosen.
const silentResolver = "127.0.0.88"

// hangingName has a mirror whose name no resolver ever answers for. The function
// gets a resolv.conf of its own, in a mount namespace of its own.
func (f *atFront) hangingName(ctx context.Context) (string, error) {
	if os.Getuid() != 0 {
		return "", fmt.Errorf("%w: only root can listen on port 53 and mount a file", errSkipped)
	}
	// Both fronts are tried at the same time, by the same address.
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, 15 /* SO_REUSEPORT */, 1) })
		return err
	}}
	mute, err := config.ListenPacket(ctx, "udp", silentResolver+":53")
	if err != nil {
		return "", fmt.Errorf("%w: no resolver can be played: %v", errSkipped, err)
	}
	defer mute.Close()
	dir, err := os.MkdirTemp("", "archeio-dns-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	resolv, wrapper := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "bootstrap")
	if err := os.WriteFile(resolv, []byte("nameserver "+silentResolver+"\n"), 0o600); err != nil {
		return "", err
	}
	mount := fmt.Sprintf("mount --bind '%s' /etc/resolv.conf", resolv)
	if out, err := exec.CommandContext(ctx, "unshare", "--mount", "sh", "-c", mount).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: no mount namespace can be made: %v: %s", errSkipped, err, lastLine(string(out)))
	}
	script := fmt.Sprintf("#!/bin/sh\nexec unshare --mount sh -c \"%s && exec '%s'\"\n", mount, f.function)
	if err := os.WriteFile(wrapper, []byte(script), 0o700); err != nil {
		return "", err
	}
	wrapped := *f.world
	wrapped.function = wrapper
	l, err := wrapped.lab(ctx, f.images, f.shape, 1, map[string]string{"MIRROR_URL_OVERRIDES": "us-east-1=https://mirror.hangs.example"})
	if err != nil {
		return "", err
	}
	defer l.stop()
	saw, slowest, err := l.withoutNear(ctx)
	if err == nil && slowest < labCheck*9/10 {
		err = errors.New("no answer waited for a resolver")
	}
	return saw, err
}
