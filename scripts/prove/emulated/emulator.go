package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"archeio/lambda/build"
	"archeio/scripts/lab/system"
)

// emulator is an AWS emulator on this machine, with a registry next to it.
type emulator struct {
	python     string // directory with the Python programs
	cdkCommand string
	root       string // of the repository
	dir        string // for all files of this run
	log        io.Writer

	port string // of the emulator
	// upstreamFails is whether the registry responds with 503.
	upstreamFails atomic.Bool
	upstream      string                // base URL of the registry
	token         *system.TokenUpstream // nil unless the stage has it as its upstream
	domains       string                // address of the server for the stage's own host names
	proxy         string                // address of the proxy through which programs reach all hosts
	awsCLI        *awsCLI

	certificates []tls.Certificate
	// network connects to the emulator for every host of AWS.
	network *http.Transport
	closers []func()
}

// start starts the emulator, which must be installed in python. stop must be called
// if there is no error.
func start(ctx context.Context, python, cdk string, log io.Writer) (_ *emulator, err error) {
	e := &emulator{log: log, cdkCommand: cdk}
	defer func() {
		if err != nil {
			e.stop()
		}
	}()
	if e.root, err = build.Root(); err != nil {
		return nil, err
	}
	if e.python, err = filepath.Abs(python); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(e.python, "ministack")); err != nil {
		return nil, fmt.Errorf("the emulator is not installed in %q: run make deploy-emulated, which installs it", python)
	}
	if _, err := exec.LookPath("npx"); err != nil {
		return nil, errors.New(`the CDK needs "npx", which is not in PATH: install Node.js 22 or newer`)
	}
	if e.dir, err = os.MkdirTemp("", "archeio-emulated-"); err != nil {
		return nil, err
	}
	e.closers = append(e.closers, func() { os.RemoveAll(e.dir) })
	if err := build.Package(ctx, "./infra", "", filepath.Join(e.dir, "infra")); err != nil {
		return nil, err
	}
	if err := os.WriteFile(e.app(), []byte(synthesize), 0o700); err != nil {
		return nil, err
	}
	if err := e.startRegistry(ctx); err != nil {
		return nil, err
	}
	if err := e.serveProxy(); err != nil {
		return nil, err
	}
	if err := e.startMinistack(ctx); err != nil {
		return nil, err
	}
	return e, e.startAWSCLI()
}

// startRegistry starts the upstream, behind a proxy that can make it fail.
func (e *emulator) startRegistry(ctx context.Context) error {
	base, stop, err := system.StartRegistry(ctx, e.log, filepath.Join(e.dir, "registry"))
	if err != nil {
		return err
	}
	e.closers = append(e.closers, stop)
	target, err := url.Parse(base)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
	}}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.upstreamFails.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	})}
	go server.Serve(l)
	e.closers = append(e.closers, func() { server.Close() })
	// A name, not an address: go-containerregistry follows no redirect from a
	// name to a private address.
	e.upstream = "http://" + strings.Replace(l.Addr().String(), "127.0.0.1", "localhost", 1)
	return nil
}

func (e *emulator) stop() {
	for i := len(e.closers) - 1; i >= 0; i-- {
		e.closers[i]()
	}
	e.closers = nil
}

// waitUntil polls a condition until it is true, and returns an error after timeout.
// what is the condition in words.
func waitUntil(ctx context.Context, timeout time.Duration, what string, condition func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("waiting until %s: timed out after %s", what, timeout))
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if ok, err := condition(); ok || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
