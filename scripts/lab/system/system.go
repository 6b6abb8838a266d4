// Package system runs the whole system on one machine, on loopback only: a
// registry as the upstream, S3 servers as the mirrors, the built function under
// the Lambda Runtime API, and both entry points in front of it. The servers are
// real; only AWS's own services are simulated.
package system

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"archeio/scripts/lab/entrypoint"
	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/runtimeapi"
)

// Prefix is the repository prefix at the upstream.
const Prefix = "example-project/images"

// Regions are the regions with a mirror bucket and an S3 server each. The bucket
// of the default mirror is in the first of them.
var Regions = []string{"us-east-1", "eu-central-1"}

// defaultBucket is the bucket of the default mirror, which the distribution
// serves.
const defaultBucket = "mirror-default"

// Options are the options of Start. The zero value is valid.
type Options struct {
	// ALB and Distribution are the addresses of the two entry points, HOST:PORT.
	// The host must be a loopback address; port 0 is any free port. Empty is
	// 127.0.0.1:0.
	ALB, Distribution string
	// Token makes the upstream require a token, as most public registries do, and
	// redirect blobs to presigned URLs of its storage.
	Token bool
	// Storage is the base URL at which the upstream and its clients reach the storage,
	// if something is in front of it.
	Storage string
	// Observe is called after each request of the function to an upstream that requires a
	// token and to its token server. It may be nil, and must be safe for concurrent use.
	Observe func(pull.Hop)
	// SingleValue makes the load balancer send single-value headers.
	SingleValue bool
	// Processes is the number of processes of the function; 0 is 1.
	Processes int
	// Env overrides variables of the function's environment.
	Env map[string]string
	// Log is the writer for the output of the function and the servers; nil
	// discards it. It must be safe for concurrent use.
	Log io.Writer
	// Progress is called before each step with what is done in it; it may be nil.
	Progress func(step string)
}

// System is a running system. Its methods are safe for concurrent use, except
// those that start or stop something.
type System struct {
	// Upstream, ALB and Distribution are base URLs. Storage is that of the upstream's
	// storage, empty if it is a folder.
	Upstream, Storage, ALB, Distribution string
	// Env is the function's environment.
	Env map[string]string
	// API is the Runtime API that the function's processes receive events from.
	API *runtimeapi.API

	tokens    string            // base URL of the token server, empty if there is none
	publisher string            // base URL of the registry that images are pushed to
	mirrors   map[string]string // S3 endpoint by region
	dir       string
	log       io.Writer
	step      func(string)
	closers   []func()
}

// Start builds and starts everything. The caller must call Stop if there is no
// error.
func Start(ctx context.Context, o Options) (_ *System, err error) {
	s := &System{mirrors: map[string]string{}, log: o.Log, step: o.Progress}
	if s.log == nil {
		s.log = io.Discard
	}
	if s.step == nil {
		s.step = func(string) {}
	}
	defer func() {
		if err != nil {
			s.Stop()
		}
	}()
	// The addresses come first: a port in use is reported before anything is built.
	albListener, err := s.listen(o.ALB, "the load balancer")
	if err != nil {
		return nil, err
	}
	distributionListener, err := s.listen(o.Distribution, "the distribution")
	if err != nil {
		return nil, err
	}
	s.ALB, s.Distribution = "http://"+albListener.Addr().String(), "http://"+distributionListener.Addr().String()

	s.step("building the function (the first time takes a minute or two)")
	function, err := functionBinary(ctx, "redirector")
	if err != nil {
		return nil, err
	}
	s.step("building a registry (the first time takes a minute or two)")
	registry, err := serverBinary(ctx, "registry")
	if err != nil {
		return nil, err
	}
	s.step("building an S3 server (the first time takes a minute or two)")
	s3, err := serverBinary(ctx, "s3")
	if err != nil {
		return nil, err
	}

	s.step("starting the registry, the S3 servers and the function")
	if s.dir, err = os.MkdirTemp("", "archeio-"); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() { os.RemoveAll(s.dir) })
	if err := s.startUpstream(ctx, registry, o); err != nil {
		return nil, err
	}
	for _, region := range Regions {
		if s.mirrors[region], err = s.startServer(ctx, s3, "-region", region, "-root", filepath.Join(s.dir, region)); err != nil {
			return nil, err
		}
	}
	if err := s.createBuckets(ctx); err != nil {
		return nil, err
	}
	if err := s.startFunction(ctx, function, o); err != nil {
		return nil, err
	}
	bucket, err := url.Parse(s.bucketURL(Regions[0], defaultBucket))
	if err != nil {
		return nil, err
	}
	var clients []entrypoint.SimulatedClient
	for _, c := range Clients() {
		clients = append(clients, entrypoint.SimulatedClient{Name: c.Name, Address: c.Addr.String()})
	}
	s.serve(albListener, entrypoint.Simulate(clients, entrypoint.ALB(s.API.Invoke, !o.SingleValue)))
	s.serve(distributionListener, entrypoint.Simulate(clients, entrypoint.CloudFront(s.API.Invoke, bucket)))
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
		"REGISTRY_HOST":              hostOf(s.Distribution),
	}
	var overrides []string
	for _, region := range Regions[1:] {
		overrides = append(overrides, region+"="+s.MirrorURL(region))
	}
	s.Env["MIRROR_URL_OVERRIDES"] = strings.Join(overrides, ",")
	if o.Token {
		s.Env["UPSTREAM_ACCESS"] = "token"
		s.Env["UPSTREAM_TOKEN_HOSTS"] = hostOf(s.tokens)
		s.Env["UPSTREAM_BLOB_HOSTS"] = hostOf(cmp.Or(o.Storage, s.Storage))
	}
	maps.Copy(s.Env, o.Env)
	if s.API, err = runtimeapi.Listen(); err != nil {
		return err
	}
	s.closers = append(s.closers, func() { s.API.Close() })
	for range max(1, o.Processes) {
		p, err := s.API.Start(bootstrap, s.Env, s.log)
		if err != nil {
			return err
		}
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

// Stop stops everything that was started and removes its files.
func (s *System) Stop() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
}

// MirrorURL returns the base URL of a region's mirror.
func (s *System) MirrorURL(region string) string { return s.bucketURL(region, "mirror-"+region) }

func (s *System) bucketURL(region, bucket string) string { return s.mirrors[region] + "/" + bucket }

// Hosts returns the base URLs of the system's servers.
func (s *System) Hosts() []string {
	hosts := []string{s.Distribution, s.ALB, s.Upstream}
	if s.Storage != "" {
		hosts = append(hosts, s.tokens, s.Storage)
	}
	for _, region := range Regions {
		hosts = append(hosts, s.mirrors[region])
	}
	return hosts
}

// ServerName returns the name of the server of a URL: "load balancer",
// "distribution", "upstream", "token server", "upstream storage" or "mirror REGION".
// For any other server it is the host.
func (s *System) ServerName(address string) string {
	host := hostOf(address)
	switch "http://" + host {
	case s.ALB:
		return "load balancer"
	case s.Distribution:
		return "distribution"
	case s.Upstream:
		return "upstream"
	case s.tokens:
		return "token server"
	case s.Storage:
		return "upstream storage"
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

// listen opens the listener of an entry point. Stop closes it.
func (s *System) listen(address, entryPoint string) (net.Listener, error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address of %s: %q: want HOST:PORT", entryPoint, address)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("address of %s: %q: want a loopback address, such as 127.0.0.1:8080", entryPoint, address)
	}
	l, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("address of %s: %s is in use: stop the program that listens there, or use another address (see -h)", entryPoint, address)
	}
	if err != nil {
		return nil, fmt.Errorf("address of %s: %w", entryPoint, err)
	}
	s.closers = append(s.closers, func() { l.Close() })
	return l, nil
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}
