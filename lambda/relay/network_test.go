package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/oci"
)

const (
	registryHost, tokenHost, blobHost = "registry.example.com", "auth.example.com", "blobs.example.com"

	challengeOf = `Bearer realm="https://auth.example.com/token",service="registry",scope="repository:%s:pull"`
	signed      = "https://blobs.example.com/b?X-Amz-Date=%s&X-Amz-Expires=300&X-Amz-Signature=%%2f"
)

var (
	manifestText   = []byte(`{"schemaVersion":2}`)
	manifestDigest = digest("", manifestText)
	manifestType   = "application/vnd.oci.image.manifest.v1+json"
)

type reply func(*http.Request) (*http.Response, error)

// network is a stub transport with a registry, a token server and a storage. Each can be
// replaced. A request to another host is an error of the test.
type network struct {
	tb                        testing.TB
	registry, tokens, storage reply

	mu   sync.Mutex
	sent map[string]int // by host
	// valid is the token that the registry accepts.
	valid  string
	issued int
	// observed are the outcomes of requests, tokenOutcomes those of requests for tokens.
	observed, tokenOutcomes []string
}

func (n *network) observe(kind, outcome string, _ time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.observed = append(n.observed, kind+" "+outcome)
}

func (n *network) observeToken(outcome string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.tokenOutcomes = append(n.tokenOutcomes, outcome)
}

func newNetwork(tb testing.TB) *network {
	n := &network{tb: tb, sent: map[string]int{}}
	n.registry, n.tokens = n.serve, n.issue
	n.storage = func(r *http.Request) (*http.Response, error) { return respond(r, 200, nil, string(manifestText)) }
	return n
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	if r.URL.Scheme != "https" || r.URL.User != nil {
		n.tb.Errorf("request to %s", r.URL)
	}
	if r.URL.Path == "/v2/" || r.URL.Path == "/" { // what always works
		return respond(r, 401, nil, "")
	}
	host := strings.ToLower(r.URL.Host)
	n.mu.Lock()
	n.sent[strings.TrimSuffix(host, ":443")]++
	registry, tokens, storage := n.registry, n.tokens, n.storage
	n.mu.Unlock()
	if authorization := r.Header.Get("Authorization"); authorization != "" && host != registryHost {
		n.tb.Errorf("%s gets the token %q", host, authorization)
	}
	switch strings.TrimSuffix(host, ":443") {
	case registryHost:
		return registry(r)
	case tokenHost:
		return tokens(r)
	case blobHost:
		return storage(r)
	}
	n.tb.Errorf("request to the host %q", host)
	return nil, errors.New("unknown host")
}

// count returns the number of requests to a host since the last call.
func (n *network) count(host string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	defer delete(n.sent, host)
	return n.sent[host]
}

// issue is a token server.
func (n *network) issue(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.issued++
	n.valid = fmt.Sprintf("token-%d", n.issued)
	if scope := r.URL.Query().Get("scope"); !strings.HasPrefix(scope, "repository:a/") || !strings.HasSuffix(scope, ":pull") {
		n.tb.Errorf("scope %q", scope)
	}
	return respond(r, 200, nil, fmt.Sprintf(`{"token":%q,"expires_in":300}`, n.valid))
}

// serve is a registry.
func (n *network) serve(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	valid := n.valid
	n.mu.Unlock()
	if valid == "" || r.Header.Get("Authorization") != "Bearer "+valid {
		return n.challenge(r)
	}
	return n.content(r)
}

func (n *network) challenge(r *http.Request) (*http.Response, error) {
	name := strings.TrimPrefix(r.URL.Path, "/v2/")
	for _, end := range []string{"/manifests/", "/blobs/", "/tags/", "/referrers/"} {
		name, _, _ = strings.Cut(name, end)
	}
	return respond(r, 401, http.Header{"Www-Authenticate": {fmt.Sprintf(challengeOf, name)}}, "{}")
}

// content is what the registry has.
func (n *network) content(r *http.Request) (*http.Response, error) {
	switch {
	case strings.Contains(r.URL.Path, "/blobs/"):
		at := time.Now().UTC().Format("20060102T150405Z")
		return respond(r, 307, http.Header{"Location": {fmt.Sprintf(signed, at)}}, "")
	case strings.HasSuffix(r.URL.Path, "/tags/list"):
		return respond(r, 200, http.Header{"Content-Type": {"application/json"}, "Link": {`</v2/a/b/tags/list?last=1&n=1>; rel="next"`}}, `{"tags":["1"]}`)
	case strings.Contains(r.URL.Path, "/referrers/"):
		return respond(r, 200, http.Header{"Content-Type": {oci.IndexType}, "Oci-Filters-Applied": {"artifactType"}}, `{"manifests":[]}`)
	case strings.HasSuffix(r.URL.Path, "/missing"):
		return respond(r, 404, nil, "")
	}
	return respond(r, 200, http.Header{"Content-Type": {manifestType}, "Docker-Content-Digest": {manifestDigest}, "Etag": {`"1"`}}, string(manifestText))
}

func respond(r *http.Request, status int, header http.Header, body string) (*http.Response, error) {
	if header == nil {
		header = http.Header{}
	}
	length := int64(len(body))
	if r.Method == http.MethodHead {
		body = ""
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body)), ContentLength: length, Request: r}, nil
}

// always returns a reply of one status.
func always(status int, header http.Header) reply {
	return func(r *http.Request) (*http.Response, error) { return respond(r, status, header, "") }
}

func refuse(*http.Request) (*http.Response, error) { return nil, errors.New("connection refused") }

// hang replies after an hour, unless the request ends first.
func hang(r *http.Request) (*http.Response, error) {
	return after(time.Hour, always(200, nil))(r)
}

func after(d time.Duration, then reply) reply {
	return func(r *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return then(r)
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
}

// sends replies with 200 and a body of which length is stated, -1 for none.
func sends(body io.Reader, length int64) reply {
	return func(r *http.Request) (*http.Response, error) {
		resp, err := respond(r, 200, http.Header{"Content-Type": {manifestType}}, "")
		resp.Body, resp.ContentLength = io.NopCloser(&bounded{r.Context(), body}), length
		return resp, err
	}
}

// bounded is a body that ends with its request.
type bounded struct {
	ctx context.Context
	io.Reader
}

func (b *bounded) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	return b.Reader.Read(p)
}

// endless is a body without an end. cut is one that ends too early.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type cut struct{}

func (cut) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// newRelay returns a relay in front of a network.
func newRelay(tb testing.TB, n http.RoundTripper, pairs ...string) *Relay {
	tb.Helper()
	env := map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": "https://" + registryHost, "UPSTREAM_ACCESS": "token", "UPSTREAM_RATE": "100000",
		"UPSTREAM_TOKEN_HOSTS": tokenHost, "UPSTREAM_BLOB_HOSTS": blobHost,
	}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		tb.Fatal(err)
	}
	checker := blobs.New(blobs.Options{Timeout: time.Second, HealthInterval: 10 * time.Second, Transport: n})
	o := Options{Transport: n}
	if counting, ok := n.(*network); ok {
		o.Observe, o.ObserveToken = counting.observe, counting.observeToken
	}
	return New(c, checker, o)
}

// The requests of the tests.
var (
	byTag    = Request{Kind: oci.Manifest, Name: "a/b", ClientName: "b", Reference: "latest"}
	byDigest = Request{Kind: oci.Manifest, Name: "a/b", ClientName: "b", Reference: manifestDigest, Digest: true}
	theTags  = Request{Kind: oci.Tags, Name: "a/b", ClientName: "b", Query: "n=1"}
	aBlob    = Request{Kind: oci.Blob, Name: "a/b", ClientName: "b", Reference: manifestDigest, Digest: true}
	theRefs  = Request{Kind: oci.Referrers, Name: "a/b", ClientName: "b", Reference: manifestDigest, Digest: true}
)

// sound reports what is wrong with a response, whatever the upstream sent: the oracle.
func sound(q *Request, r *Response) error {
	switch r.Status {
	case 200, 307, 404, 429, 502, 400, 410:
	default:
		if r.Outcome != Rejected {
			return fmt.Errorf("status %d", r.Status)
		}
	}
	if (r.Error != nil) != (r.Status >= 400) {
		return fmt.Errorf("status %d with the error %v", r.Status, r.Error)
	}
	if r.Location != "" {
		u, err := url.Parse(r.Location)
		if err != nil || u.Scheme != "https" || u.User != nil || !strings.EqualFold(u.Hostname(), blobHost) || u.Port() != "" && u.Port() != "443" || strings.ContainsFunc(r.Location, func(c rune) bool { return c <= ' ' || c > '~' }) {
			return fmt.Errorf("redirect to %q", r.Location)
		}
	}
	if (r.Status == 307) != (r.Location != "") {
		return fmt.Errorf("status %d with the location %q", r.Status, r.Location)
	}
	if r.Link != "" && !strings.HasPrefix(r.Link, "</v2/"+q.ClientName+"/") {
		return fmt.Errorf("link %q", r.Link)
	}
	for _, v := range []string{r.Link, r.Filters, r.ETag, r.ContentType, r.Digest, r.CacheControl} {
		if strings.ContainsFunc(v, func(c rune) bool { return c < ' ' || c > '~' }) {
			return fmt.Errorf("header field %q", v)
		}
	}
	if len(r.Body) > MaxBody {
		return fmt.Errorf("body of %d bytes", len(r.Body))
	}
	if r.Status == 200 && q.Digest && q.Kind == oci.Manifest && digest(q.Reference, []byte(r.Body)) != q.Reference {
		return errors.New("a manifest that does not match its digest")
	}
	return nil
}
