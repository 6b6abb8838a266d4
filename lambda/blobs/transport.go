package blobs

import (
	"context"
	"net"
	"net/http"
	"time"
)

// accept is the Accept header for registries: without it some respond 404 for a
// manifest of a type that the client does not accept.
const accept = "application/vnd.oci.image.manifest.v1+json, " +
	"application/vnd.oci.image.index.v1+json, " +
	"application/vnd.docker.distribution.manifest.v2+json, " +
	"application/vnd.docker.distribution.manifest.list.v2+json, " +
	"application/vnd.docker.distribution.manifest.v1+prettyjws, " +
	"*/*"

// head sends a HEAD request for a path and returns the status, 0 without a response.
func (o *Origin) head(ctx context.Context, transport http.RoundTripper, path string) int {
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, o.base+path, nil)
	if err != nil {
		return 0
	}
	req.Header.Set("Accept", accept)
	// The transport and not a client, because redirects are not followed.
	resp, err := send(transport, req)
	if err != nil {
		return 0
	}
	// Closing discards whatever a broken server sends after its headers.
	_ = resp.Body.Close()
	return resp.StatusCode
}

// retries is how often a request is repeated that another one interrupted.
const retries = 3

// send sends a request, and repeats it if another request interrupted it. The
// transport returns a connection to its pool before it delivers a response without
// a body. If the request is canceled just then, the connection is closed while
// another request uses it, which gets the canceled one's error although its own
// context has not ended.
// https://go.dev/issue/41600; Go 1.26 still behaves so.
func send(transport http.RoundTripper, r *http.Request) (*http.Response, error) {
	resp, err := transport.RoundTrip(r)
	for n := 0; n < retries && r.Context().Err() == nil && (err == context.Canceled || err == context.DeadlineExceeded); n++ {
		resp, err = transport.RoundTrip(r)
	}
	return resp, err
}

func newTransport() http.RoundTripper {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: requestBudget, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:      false,
		MaxIdleConnsPerHost:    16,
		MaxIdleConns:           64,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    requestBudget,
		ResponseHeaderTimeout:  requestBudget,
		MaxResponseHeaderBytes: 64 << 10,
	}
}
