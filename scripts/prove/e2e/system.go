package main

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"

	"archeio/lambda/build"
	"archeio/scripts/lab/system"
	"archeio/scripts/prove/cli"
)

// pageSize is the most tags that the upstream lists in one page, as registries
// have limits of their own.
const pageSize = 5

// testSystem is the local system with a recording server in front of every
// server, and an entry point for each kind of client.
type testSystem struct {
	local    *system.System
	recorder *recorder
	progress *cli.Progress
	log      io.Writer

	// The servers in front of those of local: the upstream, the mirrors by
	// region, the bucket of the default mirror, and the distribution.
	upstream, defaultBucket, distribution *server
	// storage is in front of the upstream's storage, nil if the upstream requires no
	// token.
	storage *server
	mirrors map[string]*server
	// signatures is a registry of its own, for SIGNATURE_UPSTREAM_ENDPOINT.
	signatures *server

	entryPoints   []entryPoint
	defaultMirror *url.URL // the bucket itself
	function      string   // path of the binary
	servers       []*server
	closers       []func()
}

// start starts the system. stop must be called if there is no error.
func start(ctx context.Context, out io.Writer, progress *cli.Progress, token bool) (_ *testSystem, err error) {
	s := &testSystem{recorder: &recorder{}, log: out, progress: progress, mirrors: map[string]*server{}}
	defer func() {
		if err != nil {
			s.stop()
		}
	}()
	// The function's environment names the recording servers, so they are
	// started first and get their targets afterwards.
	targets, err := s.listenAll(token)
	if err != nil {
		return nil, err
	}
	first, second := system.Regions[0], system.Regions[1]
	options := system.Options{Token: token, Log: out, Progress: func(text string) { progress.Step("%s", text) }, Env: map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": s.upstream.url,
		"DEFAULT_AWS_BASE_URL":       s.distribution.url,
		"DEFAULT_MIRROR_CHECK_URL":   s.defaultBucket.url,
		"MIRROR_URL_TEMPLATE":        s.mirrors[first].url + "/mirror-{region}",
		"MIRROR_URL_OVERRIDES":       second + "=" + s.mirrors[second].url + "/mirror-" + second,
	}}
	if token {
		options.Storage = s.storage.url
	}
	s.local, err = system.Start(ctx, options)
	if err != nil {
		return nil, err
	}
	for p, target := range targets {
		if err := p.setTarget(target()); err != nil {
			return nil, err
		}
	}
	if s.defaultMirror, err = url.Parse(s.defaultBucketURL()); err != nil {
		return nil, err
	}
	if s.function, err = build.Bootstrap(ctx, "redirector"); err != nil {
		return nil, err
	}
	return s, s.openEntryPoints(ctx)
}

// listenAll starts the recording servers, and returns the proxies with the
// targets that they have once the local system runs.
func (s *testSystem) listenAll(token bool) (targets map[*proxy]func() string, err error) {
	targets = map[*proxy]func() string{}
	record := func(name string, target func() string) (*server, *proxy, error) {
		p := &proxy{}
		x, err := s.listen(name, p)
		targets[p] = target
		return x, p, err
	}
	upstream, p, err := record("upstream", func() string { return s.local.Upstream })
	if err != nil {
		return nil, err
	}
	s.upstream, p.rewrite = upstream, limitPage
	if token {
		if s.storage, p, err = record("upstream storage", func() string { return s.local.Storage }); err != nil {
			return nil, err
		}
		p.keepHost = true // it is signed
		// The registry signs its own requests by a header, those of clients by the query.
		s.storage.ignore = func(r *http.Request) bool { return !r.URL.Query().Has("X-Amz-Signature") }
	}
	for _, region := range system.Regions {
		if s.mirrors[region], _, err = record("mirror "+region, func() string { return s.mirrorEndpoint(region) }); err != nil {
			return nil, err
		}
	}
	if s.defaultBucket, _, err = record("default mirror's bucket", s.defaultBucketURL); err != nil {
		return nil, err
	}
	if s.distribution, _, err = record(distribution, func() string { return s.local.Distribution }); err != nil {
		return nil, err
	}
	// Unlike the upstream, this registry has the referrers API.
	s.signatures, err = s.listen("signature upstream", registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0))))
	return targets, err
}

// token reports whether the upstream requires a token.
func (s *testSystem) token() bool { return s.storage != nil }

// listen starts a recording server that is closed with the system.
func (s *testSystem) listen(name string, h http.Handler) (*server, error) {
	x, err := listen(name, s.recorder, h)
	if err == nil {
		s.servers = append(s.servers, x)
	}
	return x, err
}

// mirrorEndpoint is the base URL of a region's S3 server.
func (s *testSystem) mirrorEndpoint(region string) string {
	return strings.TrimSuffix(s.local.MirrorURL(region), "/mirror-"+region)
}

func (s *testSystem) defaultBucketURL() string {
	return s.mirrorEndpoint(system.Regions[0]) + "/" + system.Buckets[1]
}

func (s *testSystem) stop() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	closeAll(s.servers)
	if s.local != nil {
		s.local.Stop()
	}
}

// limitPage lowers the number of tags that a request asks for to pageSize.
func limitPage(r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/tags/list") {
		return
	}
	q := r.URL.Query()
	if n, err := strconv.Atoi(q.Get("n")); err != nil || n > pageSize {
		q.Set("n", strconv.Itoa(pageSize))
		r.URL.RawQuery = q.Encode()
	}
}
