package preflight

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/oci"
	"archeio/lambda/relay"
	"archeio/lambda/testpull"
	"archeio/lambda/upstreams"
)

// relayed checks an upstream whose responses are relayed, with what the function runs:
// it fetches the manifest of the image and the address of its smallest blob.
func (p *preflight) relayed(ctx context.Context, c *config.Config) {
	p.limits(c)
	name, tag, ok := strings.Cut(p.image, ":")
	if !ok {
		p.warn(inUpstream, c.Upstream, "tokens, manifests and the hosts of blobs were not tested; pass -image to test with an image")
		return
	}
	watch := &watched{transport: p.client.Transport}
	if watch.transport == nil {
		watch.transport = http.DefaultTransport
	}
	r := relay.New(c, blobs.New(blobs.Options{Transport: watch}), relay.Options{Transport: watch})
	fetch := func(kind oci.Kind, reference string, digest bool) relay.Response {
		return r.Fetch(ctx, &relay.Request{
			Kind: kind, Name: repository(c, name), ClientName: name, Reference: reference, Digest: digest,
		})
	}

	got := fetch(oci.Manifest, tag, false)
	parsed := parse(&got)
	if child := parsed.Child(); child != "" {
		got = fetch(oci.Manifest, child, true)
		parsed = parse(&got)
	}
	if got.Error != nil {
		p.refused(c, &got, watch, "the manifest of "+p.image)
		return
	}
	access := "it issues tokens to anonymous clients"
	if realm, _ := watch.last(); realm == "" {
		access = "it serves requests without a token"
		if !c.SingleHost {
			access += `, so "access": "open" suffices, and clients are then redirected`
		}
	}
	blob := parsed.SmallestBlob()
	if blob == "" {
		p.warn(inUpstream, c.Upstream, "%s; the manifest of %s has no blobs, so their hosts were not tested", access, p.image)
		return
	}
	got = fetch(oci.Blob, blob, true)
	switch _, storage := watch.last(); {
	case got.Outcome == relay.TooLarge && got.Error != nil:
		p.fail(inUpstream, c.Upstream, "%s, but it sends blobs itself, and the smallest of %s is larger than 4 MiB, which is not relayed; fill the mirrors before clients pull", access, p.image)
	case got.Error != nil:
		p.refused(c, &got, watch, "the smallest blob of "+p.image)
	case got.Outcome == relay.Redirected:
		p.pass(inUpstream, c.Upstream, "%s; it redirects blobs to %s, which is allowed", access, storage)
	case c.SingleHost:
		p.pass(inUpstream, c.Upstream, "%s; blobs of up to 4 MiB that the mirror does not have are relayed", access)
	default:
		p.warn(inUpstream, c.Upstream, "%s, but it sends blobs itself: those larger than 4 MiB are not relayed, so fill the mirrors before clients pull", access)
	}
}

// limits warns about an upstream that allows anonymous clients few requests.
func (p *preflight) limits(c *config.Config) {
	u, err := url.Parse(c.Upstream)
	if err == nil && upstreams.Find(u.Hostname()) == upstreams.DockerHub {
		p.warn(inUpstream, c.Upstream, "it allows %s, which suits a handful of tags; publish more of them on another registry", upstreams.DockerHub.Limits)
	}
}

// refused adds what the function would not pass on, and what to do.
func (p *preflight) refused(c *config.Config, got *relay.Response, watch *watched, what string) {
	realm, storage := watch.last()
	switch message := got.Error.Message; {
	case strings.Contains(message, "UPSTREAM_TOKEN_HOSTS"):
		p.fail(inUpstream, c.Upstream, "its token server is %s, which is not an allowed host; if it is the registry's, set upstream.tokenHosts", cmp.Or(realm, "not a valid address"))
	case strings.Contains(message, "UPSTREAM_BLOB_HOSTS"):
		p.fail(inUpstream, c.Upstream, "it redirects %s to %s, which is not an allowed host; if it is the registry's storage, set upstream.blobHosts", what, cmp.Or(storage, "an invalid address"))
	case got.Outcome == relay.Absent:
		p.fail(inUpstream, c.Upstream, "it does not have %s; pass an image that it has", what)
	case got.Outcome == relay.Limited:
		p.warn(inUpstream, c.Upstream, "could not check %s: %s", what, message)
	default:
		p.fail(inUpstream, c.Upstream, "%s: %s", what, message)
	}
}

// watched records the hosts that responses lead to.
type watched struct {
	transport http.RoundTripper

	mu             sync.Mutex
	realm, storage string
}

// RoundTrip sends a request.
func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	realm, _ := realm(resp.Header)
	storage := hostOf(resp.Header.Get("Location"))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.realm, w.storage = cmp.Or(realm, w.realm), cmp.Or(storage, w.storage)
	return resp, nil
}

// last returns the hosts of the last token server and of the last redirect, empty for
// none.
func (w *watched) last() (realm, storage string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.realm, w.storage
}

// parse parses the manifest of a response. What is not one has no blobs.
func parse(r *relay.Response) *testpull.Manifest {
	m, err := testpull.ParseManifest([]byte(r.Body))
	if r.Error != nil || err != nil {
		return &testpull.Manifest{}
	}
	return m
}
