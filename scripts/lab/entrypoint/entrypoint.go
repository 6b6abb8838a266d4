// Package entrypoint simulates the AWS services that invoke the function: an
// Application Load Balancer, and CloudFront in front of a function URL. Each is
// an HTTP handler that turns a request into the event that the real service
// sends, invokes the function with it, and turns the result into an HTTP
// response. The handlers are safe for concurrent use.
//
// The request header X-Simulated-Client-Address sets the client address that
// the entry point reports to the function instead of the peer's.
package entrypoint

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// ClientAddressHeader is the request header that holds the simulated client
// address, without a port. It is not forwarded.
const ClientAddressHeader = "X-Simulated-Client-Address"

// Invoke invokes a function with an event and returns its result.
type Invoke func(ctx context.Context, payload []byte) ([]byte, error)

// response is a function's result in the form that both entry points accept.
type response struct {
	StatusCode        int                 `json:"statusCode"`
	StatusDescription *string             `json:"statusDescription"`
	Headers           map[string]string   `json:"headers"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	Body              *string             `json:"body"`
	IsBase64Encoded   bool                `json:"isBase64Encoded"`

	content []byte // the body, decoded
}

// call invokes the function. It reports false if there is no valid response;
// the client has then received a 502, as from the real services.
func call(w http.ResponseWriter, r *http.Request, invoke Invoke, event any) (response, bool) {
	payload, err := json.Marshal(event)
	if err != nil {
		panic(err) // events hold strings and numbers only
	}
	out, err := invoke(r.Context(), payload)
	var resp response
	if err == nil {
		err = json.Unmarshal(out, &resp)
	}
	if err == nil && (resp.StatusCode < 100 || resp.StatusCode > 599) {
		err = fmt.Errorf("status code %d", resp.StatusCode)
	}
	if err == nil && resp.Body != nil {
		if resp.content = []byte(*resp.Body); resp.IsBase64Encoded {
			resp.content, err = base64.StdEncoding.DecodeString(*resp.Body)
		}
	}
	if err != nil {
		http.Error(w, "502 Bad Gateway: "+err.Error(), http.StatusBadGateway)
		return resp, false
	}
	return resp, true
}

// write writes a response. Content-Length is that of the body, also in the response to
// HEAD, whatever the function says.
func write(w http.ResponseWriter, resp response) {
	for name, value := range resp.Headers {
		w.Header().Set(name, value)
	}
	for name, values := range resp.MultiValueHeaders {
		for _, value := range values {
			w.Header().Add(name, value)
		}
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(resp.content)))
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(resp.content)
}

// clientAddr returns the simulated client address if the request has one, and
// the peer's otherwise. The port is always the peer's.
func clientAddr(r *http.Request) netip.AddrPort {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		peer = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	if simulated, err := netip.ParseAddr(r.Header.Get(ClientAddressHeader)); err == nil {
		return netip.AddrPortFrom(simulated, peer.Port())
	}
	return netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
}

// target returns the path and the query as they are in the request line.
func target(r *http.Request) (path, query string) {
	path, query, _ = strings.Cut(r.RequestURI, "?")
	return path, query
}

// forwardedHeaders returns the headers that an entry point forwards, with their
// names in lower case.
func forwardedHeaders(r *http.Request) map[string][]string {
	out := map[string][]string{"host": {r.Host}}
	for name, values := range r.Header {
		switch name {
		case ClientAddressHeader, "Connection":
		default:
			out[strings.ToLower(name)] = values
		}
	}
	return out
}

func port(r *http.Request) string {
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		return port
	}
	return "80"
}
