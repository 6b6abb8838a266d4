package verify

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"archeio/infra/stage"
	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/gateway"
	"archeio/lambda/index"
	"archeio/lambda/redirect"
	"archeio/lambda/relay"
	"archeio/ranges"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/lab/entrypoint"
)

const (
	primary, replica = "eu-central-1", "us-west-2"
	edgeHost         = "d111111abcdef8.cloudfront.net"
	domain           = "registry.example.com"
	upstreamHost     = "upstream.example"
	newestHash       = "hash-arm64"
)

// stageJSON is the stage that is deployed.
const stageJSON = `"account": "123456789012", "mirrors": ["eu-central-1", "us-west-2"], "redirectors": ["eu-central-1", "us-west-2"],
	"front": "both", "domain": "registry.example.com", "hostedZone": {"id": "Z0123456789ABCDEFGHIJ", "name": "example.com"},
	"upstream": {"endpoint": "https://upstream.example", "path": "images"}, "email": "operator@example.com"`

// world simulates AWS with a stage that is deployed, and the internet. Without changes
// every check passes.
type world struct {
	stage  *stage.Stage
	client string    // the address of the machine that verifies
	since  time.Time // when the stacks were created
	roots  *x509.CertPool

	mu      sync.Mutex
	buckets map[string]map[string]string // content by region and name
	cache   map[string]*http.Response    // of the distribution
	written int                          // how many blobs were put

	id                                          string // of the account
	credentialsErr                              error
	noIPv6                                      bool
	urlAnswers, listStatus                      int // of a direct call, and of an anonymous list
	putStatus, upstreamStatus                   int
	closed                                      string            // a region with a bucket that is not public
	deleted                                     string            // a region with a bucket whose index was deleted
	cutOff                                      string            // a region that nothing is replicated to
	awaited                                     func()            // called when a replica is looked at
	environments                                map[string]string // changes of the environment of the alias
	live, latest, hash                          string            // of the code
	shifting                                    bool              // of a rollout
	granted                                     []string          // to CloudFront
	signs, fails, caches, cacheBlobs, failsOver bool              // what the distribution does
	edgeFunction, plain, cachesErrors           bool
	viewerHost                                  bool
	keepsQuery, emptyHEAD                       bool // of relayed manifests
	altSvc                                      string
	states                                      []alarm
	confirmed, waiting                          int
	runs, errs                                  int
	quota                                       int
	settings                                    *distribution
	outputs                                     map[string]string // changes
	stuck                                       bool              // removing blobs fails
	invalidated                                 []string
	minTLS                                      uint16
	expires                                     time.Duration
	unresolved                                  string
	multi                                       bool // of the target group
	proto                                       []string
	recorded                                    string // the canary's object of the state bucket
	stateErr                                    error
}

func newWorld(t *testing.T, text string) *world {
	t.Helper()
	all, err := stage.Load([]byte(`{"test": {` + text + `}}`))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		stage: all[0], client: "203.0.113.7", since: time.Now().Add(-1000 * time.Hour), id: "123456789012",
		buckets: map[string]map[string]string{}, cache: map[string]*http.Response{}, environments: map[string]string{},
		urlAnswers: 403, listStatus: 403, putStatus: 403, upstreamStatus: 200, live: "code", latest: "code", hash: newestHash,
		granted: urlActions, signs: true, caches: true, failsOver: true, edgeFunction: true, viewerHost: true, altSvc: `h3=":443"; ma=86400`,
		states: []alarm{{"archeio-test-redirector-eu-central-1-RedirectorErrors", "OK", true}}, confirmed: 1, runs: 30, errs: 1, quota: 1000,
		settings: &distribution{"E1", "Deployed", "http2and3", "PriceClass_All", []string{domain}, true, true},
		outputs:  map[string]string{}, minTLS: tls.VersionTLS12, recorded: `{"image": "app:v1"}`, expires: 365 * 24 * time.Hour, multi: true, proto: []string{"h2", "http/1.1"},
	}
	for _, region := range w.stage.Mirrors {
		w.buckets[region] = map[string]string{}
	}
	w.everywhere("a blob of an image")
	w.index(time.Now(), w.stage.Mirrors...)
	return w
}

// everywhere puts a blob into each mirror.
func (w *world) everywhere(content string) {
	for _, b := range w.buckets {
		b[digestOf(content)] = content
	}
}

// index puts an index of an age into each mirror.
func (w *world) index(listed time.Time, covers ...string) {
	data, err := index.Encode(listed, covers, func(yield func(index.Digest) bool) {
		d, _ := index.ParseDigest(digestOf("a blob of an image"))
		yield(d)
	})
	if err != nil {
		panic(err)
	}
	for _, b := range w.buckets {
		b[index.Name], b[config.RangesName] = string(data), string(ranges.Embedded().Bytes())
	}
}

func hostOf(url string) string {
	_, rest, _ := strings.Cut(url, "://")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// mirrorHost returns the host of a mirror.
func (w *world) mirrorHost(region string) string { return hostOf(w.stage.MirrorURL(region) + "/") }

func functionHost(region string) string {
	return "function-" + region + ".lambda-url." + region + ".on.aws"
}

// external starts the servers and returns what the command needs.
func (w *world) external(t *testing.T) external {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	names := append([]string{edgeHost, "alb." + domain, upstreamHost}, w.stage.Hosts()...)
	for _, region := range w.stage.Mirrors {
		names = append(names, w.mirrorHost(region))
	}
	for _, region := range w.stage.Redirectors {
		names = append(names, functionHost(region))
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, DNSNames: names, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(w.expires),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	w.roots = x509.NewCertPool()
	w.roots.AddCert(leaf)

	hosts := w.handlers(t)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		h, ok := hosts[r.Host]
		if !ok {
			t.Errorf("request for the host %s", r.Host)
			return
		}
		r.Header.Set(entrypoint.ClientAddressHeader, w.client)
		h.ServeHTTP(rw, r)
	}))
	secure.EnableHTTP2 = slices.Contains(w.proto, "h2")
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: w.minTLS, NextProtos: w.proto}
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if !w.plain {
			http.Redirect(rw, r, "https://"+r.Host+r.URL.Path, http.StatusMovedPermanently)
		}
	}))
	t.Cleanup(plain.Close)
	return external{
		connect: func(context.Context, *stage.Stage) (cloud, error) { return w, nil },
		dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if network == "tcp6" && w.noIPv6 {
				return nil, &net.OpError{Op: "dial", Err: syscall.ENETUNREACH}
			}
			to := secure.Listener.Addr().String()
			if strings.HasSuffix(address, ":80") {
				to = plain.Listener.Addr().String()
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", to)
		},
		lookup: func(_ context.Context, network, host string) ([]netip.Addr, error) {
			if host == w.unresolved {
				return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
			}
			if network == "ip6" {
				return []netip.Addr{netip.IPv6Unspecified()}, nil
			}
			return []netip.Addr{netip.IPv4Unspecified()}, nil
		},
		roots:    w.roots,
		codeHash: func(_ context.Context, architecture string) (string, error) { return "hash-" + architecture, nil },
		now:      time.Now,
		poll:     time.Millisecond,
	}
}

// handlers returns the servers by host.
func (w *world) handlers(t *testing.T) map[string]http.Handler {
	invoke := w.redirector(t, w.stage.Redirectors[0])
	origin := httptest.NewServer(http.HandlerFunc(w.origin))
	t.Cleanup(origin.Close)
	to, err := url.Parse(origin.URL)
	if err != nil {
		t.Fatal(err)
	}
	edge := w.edge(entrypoint.CloudFront(func(ctx context.Context, payload []byte) ([]byte, error) {
		if !w.signs {
			return []byte(`{"statusCode": 403, "headers": {}, "body": "{\"Message\":null}"}`), nil
		}
		return invoke(ctx, payload)
	}, to))
	balancer := entrypoint.ALB(invoke, w.multi)
	hosts := map[string]http.Handler{edgeHost: edge, "alb." + domain: balancer, upstreamHost: http.HandlerFunc(w.upstream)}
	for _, host := range w.stage.Hosts() {
		hosts[host] = balancer
		if w.stage.HasDistribution() {
			hosts[host] = edge
		}
	}
	for _, region := range w.stage.Mirrors {
		hosts[w.mirrorHost(region)] = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { w.bucket(rw, r, region) })
	}
	for _, region := range w.stage.Redirectors {
		hosts[functionHost(region)] = http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(w.urlAnswers) })
	}
	return hosts
}

// redirector returns the redirector of a region, with the environment of the alias.
func (w *world) redirector(t *testing.T, region string) entrypoint.Invoke {
	t.Helper()
	env := w.environment(region)
	c, err := config.Load(func(name string) string {
		if name == "AWS_REGION" {
			return region
		}
		return env[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	origins := redirect.Origins{Default: held{w, region}}
	for _, m := range c.Mirrors {
		origins.Mirrors = append(origins.Mirrors, held{w, m.Region})
	}
	if c.Relays() {
		origins.Relay = relay.New(c, blobs.New(blobs.Options{Timeout: time.Second, HealthInterval: time.Minute}), relay.Options{Transport: upstreamTransport{w}})
	}
	if w.fails {
		return func(context.Context, []byte) ([]byte, error) { return nil, errors.New("panic") }
	}
	return gateway.New(c.ClientAddressHeader, redirect.New(c, origins, nil, nil).Handle, nil).Invoke
}

func (w *world) environment(region string) map[string]string {
	c, err := w.stage.Config(region)
	if err != nil {
		panic(err)
	}
	env := c.Env()
	env["GOMEMLIMIT"] = "108MiB"
	maps.Copy(env, w.environments)
	return env
}

// held is a mirror as the redirector checks it.
type held struct {
	w      *world
	region string
}

func (h held) Has(_ context.Context, _ *blobs.Limit, path string) blobs.Answer {
	if _, ok := h.w.read(h.region, path); ok {
		return blobs.Present
	}
	return blobs.Absent
}

func (w *world) read(region, name string) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	content, ok := w.buckets[region][name]
	return content, ok
}

// edge is the distribution: the simulated one with a cache, and the headers that
// CloudFront adds.
func (w *world) edge(behind http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		blobPath := strings.HasPrefix(r.URL.Path, "/"+config.BlobPrefix)
		if w.stage.Relays() && !w.keepsQuery && strings.HasPrefix(r.URL.Path, "/v2/") {
			r.RequestURI, r.URL.RawQuery = r.URL.Path, "" // by the edge function
		}
		key := r.Method + r.RequestURI + r.Header.Get("Range")
		w.mu.Lock()
		resp := w.cache[key]
		w.mu.Unlock()
		from := "Hit from cloudfront"
		switch {
		case resp != nil:
		case !w.edgeFunction && (r.Method != http.MethodGet && r.Method != http.MethodHead || strings.Contains(r.RequestURI, "//") || strings.Contains(r.RequestURI, "%25")):
			rw.WriteHeader(http.StatusForbidden)
			return
		default:
			from = "Miss from cloudfront"
			if !w.viewerHost {
				r.Host = "attacker.example"
			}
			recorder := httptest.NewRecorder()
			behind.ServeHTTP(recorder, r)
			resp = recorder.Result()
			resp.Body = text(recorder.Body.String())
			public := blobPath || strings.Contains(resp.Header.Get("Cache-Control"), "public") || w.cacheBlobs
			if w.caches && public && slices.Contains([]int{200, 206, 307}, resp.StatusCode) {
				w.mu.Lock()
				w.cache[key] = resp
				w.mu.Unlock()
			}
		}
		maps.Copy(rw.Header(), resp.Header)
		if r.Method == http.MethodHead && w.emptyHEAD {
			rw.Header().Set("Content-Length", "0")
		}
		rw.Header().Set("X-Cache", from)
		if resp.StatusCode == http.StatusForbidden && w.cachesErrors {
			rw.Header().Set("Age", "7")
		}
		rw.Header().Set("X-Amz-Cf-Id", "x")
		if w.altSvc != "" {
			rw.Header().Set("Alt-Svc", w.altSvc)
		}
		rw.WriteHeader(resp.StatusCode)
		fmt.Fprint(rw, string(resp.Body.(text)))
	})
}

// text is a body that can be read again.
type text string

func (text) Read([]byte) (int, error) { panic("not used") }
func (text) Close() error             { return nil }

// origin is the origin group of the mirrors: the nearest, which is the last one, and the
// primary.
func (w *world) origin(rw http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/"+config.BlobPrefix)
	regions := []string{w.stage.Mirrors[len(w.stage.Mirrors)-1], w.stage.Primary}
	if !w.failsOver {
		regions = regions[:1]
	}
	for _, region := range regions {
		if content, ok := w.read(region, name); ok {
			http.ServeContent(rw, r, "", time.Time{}, strings.NewReader(content))
			return
		}
	}
	rw.WriteHeader(http.StatusForbidden)
}

// bucket is S3 for anonymous clients.
func (w *world) bucket(rw http.ResponseWriter, r *http.Request, region string) {
	name, isBlob := strings.CutPrefix(r.URL.Path, "/"+config.BlobPrefix)
	content, ok := w.read(region, name)
	switch {
	case r.Method == http.MethodPut:
		rw.WriteHeader(w.putStatus)
	case r.URL.Path == "/":
		rw.WriteHeader(w.listStatus)
	case isBlob && !ok && (w.listStatus == 200 || w.stage.MirrorURLs[region] != ""):
		rw.WriteHeader(http.StatusNotFound)
	case !isBlob || !ok || region == w.closed:
		rw.WriteHeader(http.StatusForbidden)
	default:
		http.ServeContent(rw, r, "", time.Time{}, strings.NewReader(content))
	}
}

// largeManifest is the manifest of app:large.
var largeManifest = fmt.Sprintf(`{"config": {"digest": %q, "size": 600000}}`, digestOf("large"))

// upstream has the image app:v1 with one blob, which the mirrors have too, and the
// manifest of app:large.
func (w *world) upstream(rw http.ResponseWriter, r *http.Request) {
	const blob = "a blob of an image"
	manifest := fmt.Sprintf(`{"config": {"digest": %q, "size": %d}}`, digestOf(blob), len(blob))
	if w.upstreamStatus != 200 {
		rw.WriteHeader(w.upstreamStatus)
		return
	}
	switch r.URL.Path {
	case "/v2/":
	case "/v2/images/app/manifests/v1", "/v2/images/app/manifests/" + digestOf(manifest):
		rw.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		io.WriteString(rw, manifest)
	case "/v2/images/app/manifests/large":
		io.WriteString(rw, largeManifest)
	default:
		rw.WriteHeader(http.StatusNotFound)
	}
}

// upstreamTransport sends the requests of a relay to the upstream.
type upstreamTransport struct{ w *world }

func (t upstreamTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	t.w.upstream(rec, r)
	return rec.Result(), nil
}

// The rest implements cloud.

func (w *world) state(_ context.Context, key string) ([]byte, error) {
	if key != config.CanaryImageName || w.recorded == "" {
		return nil, w.stateErr
	}
	return []byte(w.recorded), w.stateErr
}

func (w *world) account(context.Context) (string, error) { return w.id, w.credentialsErr }

func (w *world) Output(_ context.Context, region, stack, key string) (string, error) {
	if value, ok := w.outputs[key]; ok {
		return value, nil
	}
	switch {
	case stack == "archeio-test-edge-us-east-1" && key == stage.DistributionName:
		return edgeHost, nil
	case stack == "archeio-test-redirector-"+region && key == stage.FunctionHost:
		return functionHost(region), nil
	case stack == "archeio-test-redirector-"+region && key == stage.CodeHash:
		return w.hash, nil
	case stack == "archeio-test-redirector-"+region && key == "BalancerName":
		return "balancer-" + region + ".elb.amazonaws.com", nil
	}
	return "", nil
}

func (w *world) created(context.Context, string, string) (time.Time, error) { return w.since, nil }

func (w *world) resource(_ context.Context, _, stack, id string) (string, error) {
	return stack + "-" + id, nil
}

func (w *world) aliases(context.Context, string, string) ([]alias, error) {
	return []alias{{"live", w.shifting}}, nil
}

func (w *world) function(_ context.Context, region, _, name string) (*version, error) {
	if name == "$LATEST" {
		return &version{name, w.latest, w.environment(region)}, nil
	}
	return &version{"7", w.live, w.environment(region)}, nil
}

func (w *world) policy(context.Context, string, function) (string, error) {
	if len(w.granted) == 0 {
		return "", nil
	}
	var statements []string
	for _, action := range w.granted {
		statements = append(statements, fmt.Sprintf(`{"Effect": "Allow", "Action": %q, "Principal": {"Service": "cloudfront.amazonaws.com"}}`, action))
	}
	statements = append(statements, `{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Principal": "*"}`)
	return `{"Statement": [` + strings.Join(statements, ",") + `]}`, nil
}

func (w *world) concurrency(context.Context, string) (int, error) { return w.quota, nil }

func (w *world) invocations(context.Context, string, string, time.Time, time.Time) (int, int, error) {
	return w.runs, w.errs, nil
}

func (w *world) alarms(_ context.Context, _, prefix string) (found []alarm, err error) {
	for _, a := range w.states {
		if strings.HasPrefix(a.name, prefix) || prefix == "archeio-test-watch-us-west-2-" {
			found = append(found, a)
		}
	}
	return found, nil
}

func (w *world) subscriptions(_ context.Context, region, topic string) (int, int, error) {
	if topic != "arn:aws:sns:"+region+":123456789012:archeio-test-alarms" {
		return 0, 0, errors.New("no such topic")
	}
	return w.confirmed, w.waiting, nil
}

func (w *world) distribution(context.Context, string) (*distribution, error) { return w.settings, nil }

func (w *world) invalidate(_ context.Context, _ string, paths []string) error {
	w.invalidated = append(w.invalidated, paths...)
	return nil
}

func (w *world) blob(_ context.Context, region string) (b blob, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, content := range w.buckets[region] {
		if strings.HasPrefix(name, "sha256:") {
			b = blob{name, int64(len(content))}
		}
	}
	return b, nil
}

func (w *world) exists(_ context.Context, region, name string) (now, ever bool, err error) {
	_, now = w.read(region, name)
	return now, now || w.deleted == region, nil
}

func (w *world) put(_ context.Context, region, digest, content string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.written++
	for _, to := range w.stage.Filled() {
		if to == region || to != w.cutOff {
			w.buckets[to][digest] = content
		}
	}
	return nil
}

func (w *world) has(_ context.Context, region, digest string) (bool, error) {
	if w.awaited != nil {
		w.awaited()
	}
	_, ok := w.read(region, digest)
	return ok, nil
}

func (w *world) remove(_ context.Context, region, digest string) error {
	if w.stuck {
		return errors.New("access denied")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.buckets[region], digest)
	return nil
}

// run is what a run of the command printed, and its exit code.
type run struct {
	code           int
	stdout, stderr string
}

// verify runs the command for the stage of a world.
func verify(t *testing.T, ctx context.Context, w *world, stageText string, args ...string) run {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(file, []byte(`{"context": {"stages": {"test": {`+stageText+`}}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr strings.Builder
	code := cli.Run(ctx, command(w.external(t)), append([]string{"-file", file, "-stage", "test"}, args...), strings.NewReader(""), &stdout, &stderr)
	return run{code, stdout.String(), stderr.String()}
}
