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

	"archeio/scripts/prove/cli"
)

// dnsFails: the name of the nearest mirror does not resolve. No resolver sends
// a query for a name under .onion (RFC 7686, section 2).
func (f *faultTest) dnsFails(ctx context.Context) (string, error) {
	s, err := f.unresolvable(ctx, "https://mirror.onion")
	return s.observed(), err
}

// dnsHangs: no resolver responds for the name of the nearest mirror. The function
// gets a resolv.conf of its own, in a mount namespace of its own.
func (f *faultTest) dnsHangs(ctx context.Context) (string, error) {
	if os.Getuid() != 0 {
		return "", fmt.Errorf("%w: only root can listen on port 53 and mount a file", cli.ErrSkipped)
	}
	resolver, err := listenSilently(ctx, silentResolver+":53")
	if err != nil {
		return "", fmt.Errorf("%w: cannot simulate a resolver: %v", cli.ErrSkipped, err)
	}
	defer resolver.Close()
	dir, remove, err := tempDir("dns")
	if err != nil {
		return "", err
	}
	defer remove()
	wrapper, err := wrapWithResolver(ctx, dir, f.function, silentResolver)
	if err != nil {
		return "", err
	}
	s, err := f.withFunction(wrapper).unresolvable(ctx, "https://mirror.hangs.example")
	if err == nil && s.slowest < checkTimeout*9/10 {
		err = errors.New("no response waited for the resolver")
	}
	return s.observed(), err
}

// unresolvable downloads blobs while the URL of the nearest mirror cannot be
// resolved: the default mirror serves them, after a check that timed out at
// most.
func (f *faultTest) unresolvable(ctx context.Context, url string) (s summary, err error) {
	t, err := f.testbed(ctx, map[string]string{"MIRROR_URL_OVERRIDES": "us-east-1=" + url})
	if err != nil {
		return s, err
	}
	defer t.stop()
	s = t.watchN(ctx, time.Millisecond, 50)
	err = s.want("default-mirror", 50)
	if bound := checkTimeout + slack; err == nil && s.slowest > bound {
		err = fmt.Errorf("a response took %s, want at most %s", s.slowest, bound)
	}
	return s, err
}

// silentResolver is a loopback address of its own: resolv.conf(5) has no ports.
const silentResolver = "127.0.0.88"

// listenSilently listens and never responds. Several sockets may do so at
// the same address, as both entry points are tested at the same time.
func listenSilently(ctx context.Context, address string) (net.PacketConn, error) {
	const reusePort = 15 // SO_REUSEPORT on Linux, which package syscall does not have
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, reusePort, 1) })
		return err
	}}
	return config.ListenPacket(ctx, "udp", address)
}

// wrapWithResolver writes a program that runs a binary with another resolver.
func wrapWithResolver(ctx context.Context, dir, binary, resolver string) (string, error) {
	conf, wrapper := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "bootstrap")
	if err := os.WriteFile(conf, []byte("nameserver "+resolver+"\n"), 0o600); err != nil {
		return "", err
	}
	mount := fmt.Sprintf("mount --bind '%s' /etc/resolv.conf", conf)
	if out, err := exec.CommandContext(ctx, "unshare", "--mount", "sh", "-c", mount).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: cannot make a mount namespace: %v: %s", cli.ErrSkipped, err, cli.LastLine(string(out)))
	}
	script := fmt.Sprintf("#!/bin/sh\nexec unshare --mount sh -c \"%s && exec '%s'\"\n", mount, binary)
	return wrapper, os.WriteFile(wrapper, []byte(script), 0o700)
}
