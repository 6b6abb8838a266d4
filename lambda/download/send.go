package download

import (
	"context"
	"net/http"
)

// Retries is how often a request is repeated that another one interrupted.
const Retries = 3

// Send sends a request without a body, and repeats it if another request interrupted
// it. It follows no redirects. The transport returns a connection to its pool before it
// delivers a response without a body. If the request is canceled just then, the
// connection is closed while another request uses it, which gets the canceled one's
// error although its own context has not ended.
// https://go.dev/issue/41600; Go 1.26 still behaves so.
func Send(transport http.RoundTripper, r *http.Request) (*http.Response, error) {
	resp, err := transport.RoundTrip(r)
	for n := 0; n < Retries && r.Context().Err() == nil && (err == context.Canceled || err == context.DeadlineExceeded); n++ {
		resp, err = transport.RoundTrip(r)
	}
	return resp, err
}
