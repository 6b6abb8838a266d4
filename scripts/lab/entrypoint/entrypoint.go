// Package front plays the fronts that call the function: an Application Load
// Balancer, and CloudFront with a function URL behind it. Each is an HTTP
// handler that makes of a request the event that the real one would, hands it
// to the function, and makes an HTTP response of the answer.
//
// A request header lets a client play another one: X-Simulated-Client-Address is the
// address that the front then takes for its peer's.
package entrypoint

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// ClientAddressHeader is the request header with the address to play.
const ClientAddressHeader = "X-Simulated-Client-Address"

// Invoke hands an event to a function.
type Invoke func(ctx context.Context, payload []byte) ([]byte, error)

// answer is what both fronts take.
type answer struct {
	StatusCode        int                 `json:"statusCode"`
	StatusDescription *string             `json:"statusDescription"`
	Headers           map[string]string   `json:"headers"`
	MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	Body              *string             `json:"body"`
}

// ask invokes the function; false if there is no usable answer, and then the
// client has got a 502, as from the real ones.
func ask(w http.ResponseWriter, r *http.Request, invoke Invoke, event any) (answer, bool) {
	payload, err := json.Marshal(event)
	if err != nil {
		panic(err) // events hold strings and numbers only
	}
	out, err := invoke(r.Context(), payload)
	var a answer
	if err == nil {
		err = json.Unmarshal(out, &a)
	}
	if err == nil && (a.StatusCode < 100 || a.StatusCode > 599) {
		err = fmt.Errorf("status code %d", a.StatusCode)
	}
	if err != nil {
		http.Error(w, "502 Bad Gateway: "+err.Error(), http.StatusBadGateway)
		return a, false
	}
	return a, true
}

func write(w http.ResponseWriter, a answer) {
	for name, value := range a.Headers {
		w.Header().Set(name, value)
	}
	for name, values := range a.MultiValueHeaders {
		for _, value := range values {
			w.Header().Add(name, value)
		}
	}
	w.WriteHeader(a.StatusCode)
	if a.Body != nil {
		_, _ = w.Write([]byte(*a.Body))
	}
}

// peer is the address and port of who asks, or of whom it plays.
func peer(r *http.Request) netip.AddrPort {
	p, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		p = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	}
	if played, err := netip.ParseAddr(r.Header.Get(ClientAddressHeader)); err == nil {
		return netip.AddrPortFrom(played, p.Port())
	}
	return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
}

// target is the path and the query as they stand in the request line.
func target(r *http.Request) (path, query string) {
	path, query, _ = strings.Cut(r.RequestURI, "?")
	return path, query
}

// lowered are the headers that a front passes on, with names in lower case.
func lowered(r *http.Request) map[string][]string {
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
