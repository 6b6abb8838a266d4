package blobs

import (
	"context"
	"net"
	"net/http"
	"time"

	"archeio/lambda/download"
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
	resp, err := download.Send(transport, req)
	if err != nil {
		return 0
	}
	// Closing discards whatever a broken server sends after its headers.
	_ = resp.Body.Close()
	return resp.StatusCode
}

// NewTransport returns a transport for requests to mirrors and registries: no step of
// one takes longer than all checks of a request may.
func NewTransport() http.RoundTripper {
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
