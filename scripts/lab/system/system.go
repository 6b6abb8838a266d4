// Package stack is the whole system on one machine, on loopback only: a
// registry as the upstream, S3 servers as the mirrors, the built function
// under the Runtime API, and the two fronts before it. All servers are real
// ones; only AWS's own parts are played.
package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/runtimeapi"
)

// Prefix is the repository prefix at the upstream.
const Prefix = "example-project/images"

// Regions have a mirror bucket each; the default mirror's bucket is in the
// first of them.
var Regions = []string{"us-east-1", "eu-central-1"}

// defaultBucket is what the distribution serves.
const defaultBucket = "mirror-default"

// Options say how a stack is started.
type Options struct {
	// ALB and Distribution are the addresses of the two fronts; a port of 0 is
	// any free one.
	ALB, Distribution string
	// SingleValue has the load balancer send single-value headers.
	SingleValue bool
	// Processes is how many function processes there are; 0 is 1.
	Processes int
	// Env is laid over the function's environment.
	Env map[string]string
	// Log gets what the function and the servers write.
	Log io.Writer
	// Progress is told what is being done; it may be nil.
	Progress func(string)
}

// System is a running system.
type System struct {
	// Upstream, ALB and Distribution are base URLs.
	Upstream, ALB, Distribution string
	// Env is the function's environment.
	Env map[string]string
	// API is where the function's processes take their events from.
	API *runtimeapi.API

	mirrors   map[string]string // region to S3 endpoint
	dir       string
	log       io.Writer
	processes []*runtimeapi.Process
	closers   []func()
}

// Start builds what is to be built and starts everything. Stop must be called
// if there is no error.
func Start(ctx context.Context, o Options) (_ *System, err error) {
	say := o.Progress
	if say == nil {
		say = func(string) {}
	}
	s := &System{mirrors: map[string]string{}, log: o.Log}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	say("building the function and the servers (the first time takes a minute or two)")
	built, err := compile(ctx)
	if err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "archeio-"); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() { os.RemoveAll(s.dir) })

	say("starting a registry, two S3 servers, the function and its fronts")
	albListener, err := listen(o.ALB, "the load balancer")
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() { albListener.Close() })
	distributionListener, err := listen(o.Distribution, "the distribution")
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() { distributionListener.Close() })
	s.ALB, s.Distribution = "http://"+albListener.Addr().String(), "http://"+distributionListener.Addr().String()

	if s.Upstream, err = s.server(ctx, o.Log, built.registry, "-root", filepath.Join(s.dir, "registry")); err != nil {
		return nil, err
	}
	for _, region := range Regions {
		endpoint, err := s.server(ctx, o.Log, built.s3, "-region", region, "-root", filepath.Join(s.dir, region))
		if err != nil {
			return nil, err
		}
		s.mirrors[region] = endpoint
	}
	if err := s.createBuckets(ctx); err != nil {
		return nil, err
	}
	if err := s.startFunction(ctx, built.function, o); err != nil {
		return nil, err
	}
	bucket, err := url.Parse(s.bucketURL(Regions[0], defaultBucket))
	if err != nil {
		return nil, err
	}
	s.serve(albListener, entrypoint.ALB(s.API.Invoke, !o.SingleValue))
	s.serve(distributionListener, entrypoint.CloudFront(s.API.Invoke, bucket))
	return s, nil
}

func (s *System) startFunction(ctx context.Context, bootstrap string, o Options) (err error) {
	s.Env = map[string]string{
		"AWS_REGION":                 Regions[0],
		"UPSTREAM_REGISTRY_ENDPOINT": s.Upstream,
		"UPSTREAM_REGISTRY_PATH":     Prefix,
		"DEFAULT_AWS_BASE_URL":       s.Distribution,
		"DEFAULT_MIRROR_CHECK_URL":   s.bucketURL(Regions[0], defaultBucket),
		"MIRROR_REGIONS":             strings.Join(Regions, ","),
		"MIRROR_URL_TEMPLATE":        s.mirrors[Regions[0]] + "/mirror-{region}",
		"CLIENT_ADDRESS_HEADER":      "CloudFront-Viewer-Address",
		"INFO_URL":                   "https://archeio.example/",
	}
	var overrides []string
	for _, region := range Regions[1:] {
		overrides = append(overrides, region+"="+s.MirrorURL(region))
	}
	s.Env["MIRROR_URL_OVERRIDES"] = strings.Join(overrides, ",")
	for name, value := range o.Env {
		s.Env[name] = value
	}
	if s.API, err = runtimeapi.Listen(); err != nil {
		return err
	}
	s.closers = append(s.closers, func() { s.API.Close() })
	for range max(1, o.Processes) {
		p, err := s.API.Start(bootstrap, s.Env, o.Log)
		if err != nil {
			return err
		}
		s.processes = append(s.processes, p)
		s.closers = append(s.closers, p.Stop)
		select {
		case <-s.API.Ready():
		case <-p.Exited():
			return p.Err()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Stop ends everything that was started and removes its files.
func (s *System) Stop() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
}

// MirrorURL is the base URL of a region's mirror.
func (s *System) MirrorURL(region string) string { return s.bucketURL(region, "mirror-"+region) }

func (s *System) bucketURL(region, bucket string) string { return s.mirrors[region] + "/" + bucket }

// Hosts lists the base URLs of the system's servers.
func (s *System) Hosts() []string {
	hosts := []string{s.Distribution, s.ALB, s.Upstream}
	for _, region := range Regions {
		hosts = append(hosts, s.mirrors[region])
	}
	return hosts
}

// ServerName tells in a few words what the server of a URL is.
func (s *System) ServerName(address string) string {
	host := hostOf(address)
	switch "http://" + host {
	case s.ALB:
		return "load balancer"
	case s.Distribution:
		return "distribution"
	case s.Upstream:
		return "upstream"
	}
	for region, endpoint := range s.mirrors {
		if endpoint == "http://"+host {
			return "mirror " + region
		}
	}
	return host
}

func (s *System) serve(l net.Listener, h http.Handler) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go server.Serve(l)
	s.closers = append(s.closers, func() { server.Close() })
}

func listen(address, what string) (net.Listener, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address of %s: %q: takes host:port", what, address)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("address of %s: %q: takes a loopback address, as 127.0.0.1:8080", what, address)
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("address of %s: %s is in use; stop what listens there, or name another one (see -h)", what, address)
	}
	return l, err
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
