package main

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"archeio/ranges"
	"archeio/scripts/lab/system"
)

// The function's settings in a testbed are shorter than the defaults, so that
// their bounds are observed within seconds.
const (
	healthInterval = time.Second
	checkTimeout   = 300 * time.Millisecond
)

// testbed is a function with an entry point and servers of its own in front of
// the mirrors and the upstream, so that several faults can be injected at the
// same time. Its client is in AWS us-east-1.
type testbed struct {
	*functions
	env map[string]string // of the function

	// near is the mirror in us-east-1 and far the one in eu-central-1; bucket
	// is the one of the default mirror.
	near, far, bucket, upstream *server
	// tokens is the upstream's token server, nil if it requires no token; storage is the
	// host of its storage then.
	tokens     *server
	storage    string
	entryPoint *server
	servers    []*server

	image     v1.Hash  // the single image
	blobs     []string // to download, in turns: digests that every mirror has
	transport *http.Transport
	// blobTimeout is how long the client waits for a blob.
	blobTimeout time.Duration
}

// newTestbed starts a testbed with n processes of the function, and env laid
// over their environment.
func (s *testSystem) newTestbed(ctx context.Context, images *testImages, kind string, n int, env map[string]string) (_ *testbed, err error) {
	t := &testbed{
		transport: &http.Transport{MaxIdleConnsPerHost: 64}, blobTimeout: 5 * time.Second,
		image: images.single.digest, blobs: images.single.mirroredBlobs(),
	}
	defer func() {
		if err != nil {
			t.stop()
		}
	}()
	for _, x := range []struct {
		server **server
		target string
	}{
		{&t.near, s.mirrorEndpoint("us-east-1")},
		{&t.far, s.mirrorEndpoint("eu-central-1")},
		{&t.bucket, s.defaultMirror.String()},
		{&t.upstream, s.local.Upstream},
	} {
		p := &proxy{}
		if err := p.setTarget(x.target); err != nil {
			return nil, err
		}
		if *x.server, err = t.listen(p); err != nil {
			return nil, err
		}
	}
	t.env = maps.Clone(s.local.Env)
	maps.Copy(t.env, map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": t.upstream.url,
		"DEFAULT_AWS_BASE_URL":       s.local.Distribution,
		"DEFAULT_MIRROR_CHECK_URL":   t.bucket.url,
		"MIRROR_URL_OVERRIDES":       "us-east-1=" + t.near.url + "/mirror-us-east-1,eu-central-1=" + t.far.url + "/mirror-eu-central-1",
		"MIRROR_HEALTH_INTERVAL":     healthInterval.String(),
		"MIRROR_CHECK_TIMEOUT":       checkTimeout.String(),
		"MIRROR_INDEX_REFRESH":       "none",
		"RANGES_REFRESH":             "none",
	})
	if s.token() {
		if err := t.startTokens(s); err != nil {
			return nil, err
		}
	}
	if kind == distribution { // as in a deployment, the default mirror is the host of the request
		t.env["DEFAULT_AWS_BASE_URL"] = "/"
	}
	maps.Copy(t.env, env)
	if t.functions, err = s.startFunctions(ctx, n, t.env); err != nil {
		return nil, err
	}
	invoke := func(ctx context.Context, event []byte) ([]byte, error) { return t.api.Invoke(ctx, event) } // of the current functions
	t.entryPoint, err = t.listen(s.entryPointHandler(kind, invoke, system.Address(ranges.AWS, "us-east-1")))
	if err != nil {
		return nil, err
	}
	return t, nil
}

// startTokens starts a server in front of the upstream's token server. The upstream then
// sends clients there.
func (t *testbed) startTokens(s *testSystem) (err error) {
	host := s.local.Env["UPSTREAM_TOKEN_HOSTS"]
	p := &proxy{}
	if err := p.setTarget("http://" + host); err != nil {
		return err
	}
	if t.tokens, err = t.listen(p); err != nil {
		return err
	}
	t.upstream.handler.(*proxy).modify = func(r *http.Response) error {
		if c := r.Header.Get("WWW-Authenticate"); c != "" {
			r.Header.Set("WWW-Authenticate", strings.Replace(c, "http://"+host, t.tokens.url, 1))
		}
		return nil
	}
	t.env["UPSTREAM_TOKEN_HOSTS"] = host + "," + t.tokens.address
	t.storage = s.storage.address
	return nil
}

func (t *testbed) listen(h http.Handler) (*server, error) {
	x, err := listen("", nil, h)
	if err == nil {
		t.servers = append(t.servers, x)
	}
	return x, err
}

// allMirrors are the servers in front of all mirrors.
func (t *testbed) allMirrors() []*server { return []*server{t.near, t.far, t.bucket} }

// existenceChecks returns how many HEAD requests the mirrors have got.
func (t *testbed) existenceChecks() (n int64) {
	for _, m := range t.allMirrors() {
		n += m.heads.Load()
	}
	return n
}

func (t *testbed) stop() {
	t.transport.CloseIdleConnections()
	for _, x := range t.servers {
		x.close()
	}
	if t.functions != nil { // nil if no process has started
		t.functions.stop()
	}
}
