package gateway

import (
	"bytes"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"archeio/lambda/clientip"
	"archeio/lambda/redirect"
	"archeio/ranges/regions"
)

// Shape is how an event wants its answer.
type Shape uint8

// The shapes.
const (
	ALB         Shape = iota // with statusDescription and headers
	ALBMulti                 // with statusDescription and multiValueHeaders
	Proxy                    // function URL, HTTP API, REST API: headers
	ProxyMulti               // REST API: multiValueHeaders
	EdgeRequest              // Lambda@Edge: a generated response
)

// EventError says that an event is none that a front sends. Its text names
// the shapes that are, and tells what was seen without repeating it.
type EventError struct{ Saw string }

func (e *EventError) Error() string {
	return "not an event of a front: saw " + e.Saw + "; takes events of an ALB target group (requestContext.elb), " +
		"of a function URL or HTTP API with payload 2.0 (requestContext.http), of a REST API with payload 1.0 " +
		"(requestContext, httpMethod and path), or of Lambda@Edge (Records[0].cf, viewer-request or origin-request)"
}

// Decoder reads events.
type Decoder struct {
	// ClientAddressHeader carries the client's address in function URL and
	// API events; in lower case, empty for none.
	ClientAddressHeader string
}

// Decode reads an event of any front. Its error is an *EventError.
func (d *Decoder) Decode(payload []byte) (redirect.Request, Shape, error) {
	r := reader{scanner: scanner{text: payload}, wanted: d.ClientAddressHeader}
	if err := r.read(); err != nil {
		return redirect.Request{}, 0, &EventError{seen(payload, err)}
	}
	e := &r.event
	switch {
	case e.cf:
		return d.edge(e)
	case e.elb:
		return d.alb(e)
	case e.http:
		return d.payload2(e)
	case e.context && e.httpMethod != nil && e.path != nil:
		return d.rest(e)
	case e.records:
		return redirect.Request{}, 0, &EventError{"Records of another service"}
	}
	return redirect.Request{}, 0, &EventError{"a JSON object without these members"}
}

func seen(payload []byte, err error) string {
	trimmed := bytes.TrimLeft(payload, " \t\r\n")
	switch {
	case len(trimmed) == 0:
		return "nothing"
	case err == errTrailing:
		return "more than one JSON value"
	case trimmed[0] == '{' && err == errType:
		return "a JSON object with a member of another type"
	case trimmed[0] == '{':
		return "broken JSON"
	case trimmed[0] == '[' && err == errType:
		return "a JSON array"
	case err == errType && trimmed[0] == 'n':
		return "null"
	case err == errType:
		return "a JSON value that is no object"
	}
	return "no JSON"
}

// alb: the load balancer is open to the world, so nothing in an event of it is
// believed but the address that it has appended itself.
func (d *Decoder) alb(e *event) (redirect.Request, Shape, error) {
	h, shape := &e.single, ALB
	var err error
	r := redirect.Request{Method: method(e.httpMethod), NoDistribution: true}
	if e.hasMulti {
		h, shape = &e.multi, ALBMulti
		r.Query, err = joinQuery(e.multiQuery, true, verbatim)
	} else {
		r.Query, err = joinQuery(e.singleQuery, false, verbatim)
	}
	if err != nil {
		return r, 0, &EventError{"query parameters that are no strings"}
	}
	// Several values of the field are one list, of which the last one counts.
	if f := h.forwardedFor; f.set && !f.twice {
		r.Client, _ = clientip.Rightmost(string(f.value))
	}
	r.Authorized = h.authorization.set
	DecodePath(&r, e.path)
	return r, shape, nil
}

// payload2: the function URL leaves the path encoded, an HTTP API decodes it.
func (d *Decoder) payload2(e *event) (redirect.Request, Shape, error) {
	r := redirect.Request{Method: method(e.method2), Query: string(e.rawQuery)}
	if len(e.domainName) == 0 || bytes.Contains(e.domainName, []byte(".lambda-url.")) {
		DecodePath(&r, e.rawPath)
	} else {
		r.Path = string(e.rawPath)
	}
	d.viewer(&r, e, &e.single)
	return r, Proxy, nil
}

func (d *Decoder) rest(e *event) (redirect.Request, Shape, error) {
	h, shape := &e.single, Proxy
	if e.hasMulti {
		h, shape = &e.multi, ProxyMulti
	}
	r := redirect.Request{Method: method(e.httpMethod)}
	var err error
	if len(e.multiQuery) > 0 && e.multiQuery[0] == '{' {
		r.Query, err = joinQuery(e.multiQuery, true, escape)
	} else {
		r.Query, err = joinQuery(e.singleQuery, false, escape)
	}
	if err != nil {
		return r, 0, &EventError{"query parameters that are no strings"}
	}
	DecodePath(&r, e.path)
	d.viewer(&r, e, h)
	return r, shape, nil
}

func (d *Decoder) edge(e *event) (redirect.Request, Shape, error) {
	if t := string(e.cfType); t != "viewer-request" && t != "origin-request" {
		return redirect.Request{}, 0, &EventError{"a Lambda@Edge event of another type"}
	}
	r := redirect.Request{Method: method(e.httpMethod), Query: string(e.rawQuery), Authorized: e.single.authorization.set}
	r.Client, _ = clientip.Plain(string(e.sourceIP))
	DecodePath(&r, e.path)
	return r, EdgeRequest, nil
}

// viewer reads what CloudFront or an API says of the client. Its headers are
// believed where the operator has named the one with the address: only then
// is the function closed to everybody but its front.
func (d *Decoder) viewer(r *redirect.Request, e *event, h *headers) {
	// CloudFront's origin access control puts its own signature in the place
	// of the client's Authorization; the edge function tells of that one.
	f := h.authorization
	r.Authorized = f.set && (f.differing || !bytes.HasPrefix(f.value, []byte("AWS4-HMAC-SHA256 "))) || h.viewerAuthorized.set && string(h.viewerAuthorized.value) == "1"

	if d.ClientAddressHeader == "" {
		r.Client, _ = clientip.Plain(string(e.sourceIP))
		return
	}
	address := h.clientAddress
	if d.ClientAddressHeader == "x-forwarded-for" {
		address = h.forwardedFor
	}
	if address.set && !address.differing {
		read := clientip.Plain
		if d.ClientAddressHeader == "cloudfront-viewer-address" {
			read = clientip.ViewerAddress
		}
		r.Client = onlyAddress(string(address.value), read)
	}
	r.Country = string(h.country.value)
	if !h.latitude.set || !h.longitude.set || h.latitude.differing || h.longitude.differing {
		return
	}
	lat, err1 := strconv.ParseFloat(string(h.latitude.value), 64)
	lon, err2 := strconv.ParseFloat(string(h.longitude.value), 64)
	if p := (regions.Point{Latitude: lat, Longitude: lon}); err1 == nil && err2 == nil && !math.IsNaN(lat) && p.Valid() {
		r.Viewer, r.Positioned = p, true
	}
}

// onlyAddress reads a header that may have been given twice and joined: the
// same value again is the same address, another one is none.
func onlyAddress(value string, read func(string) (netip.Addr, bool)) netip.Addr {
	first, rest, _ := strings.Cut(value, ",")
	for rest != "" {
		var next string
		next, rest, _ = strings.Cut(rest, ",")
		if strings.Trim(next, " \t") != strings.Trim(first, " \t") {
			return netip.Addr{}
		}
	}
	addr, _ := read(strings.Trim(first, " \t"))
	return addr
}

// method avoids an allocation for the two that count.
func method(b []byte) string {
	switch string(b) {
	case "GET":
		return "GET"
	case "HEAD":
		return "HEAD"
	}
	return string(b)
}
