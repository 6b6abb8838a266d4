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

// Shape is the format of the response to an event.
type Shape uint8

// The shapes.
const (
	ALB         Shape = iota // statusDescription and headers
	ALBMulti                 // statusDescription and multiValueHeaders
	Proxy                    // function URL, HTTP API, REST API: headers
	ProxyMulti               // REST API: multiValueHeaders
	EdgeRequest              // Lambda@Edge: a generated response
)

// EventError is the error for a payload that is not an event of a known entry
// point. Lambda reports the name of the type to the caller.
type EventError struct {
	// Got describes the payload, without a part of it.
	Got string
}

// Error returns what the payload is and which events are known.
func (e *EventError) Error() string {
	return "decoding the event: got " + e.Got + ": want an event of an ALB target group (requestContext.elb), " +
		"of a function URL or HTTP API with payload format 2.0 (requestContext.http), of a REST API with payload format 1.0 " +
		"(requestContext, httpMethod and path), or of Lambda@Edge (Records[0].cf, viewer-request or origin-request)"
}

// Decoder decodes events. It is safe for concurrent use.
type Decoder struct {
	// ClientAddressHeader is the header, in lower case, that has the client
	// address in function URL and API events. If it is empty, the source address
	// of the event is the client address.
	ClientAddressHeader string
}

// Decode decodes an event of any entry point. The error is an *EventError.
func (d *Decoder) Decode(payload []byte) (redirect.Request, Shape, error) {
	r := reader{scanner: scanner{text: payload}, wanted: d.ClientAddressHeader}
	if err := r.read(); err != nil {
		return redirect.Request{}, 0, &EventError{describe(payload, err)}
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
		return redirect.Request{}, 0, &EventError{"Records of another service than CloudFront"}
	}
	return redirect.Request{}, 0, &EventError{"a JSON object of another kind"}
}

// describe returns what a payload is that could not be read.
func describe(payload []byte, err error) string {
	trimmed := bytes.TrimLeft(payload, " \t\r\n")
	switch {
	case len(trimmed) == 0:
		return "an empty payload"
	case err == errTrailing:
		return "more than one JSON value"
	case trimmed[0] == '{' && err == errType:
		return "a JSON object with a member of the wrong type"
	case trimmed[0] == '{':
		return "invalid JSON"
	case trimmed[0] == '[' && err == errType:
		return "a JSON array"
	case err == errType && trimmed[0] == 'n':
		return "null"
	case err == errType:
		return "a JSON value that is not an object"
	}
	return "data that is not JSON"
}

// alb decodes an event of a load balancer. Every client can reach one, so only the
// address that it appends to X-Forwarded-For is trusted.
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
		return r, 0, &EventError{"query parameters that are not strings"}
	}
	// Several values of the header are one list; the last value has the last
	// address.
	if f := h.forwardedFor; f.set && !f.twice {
		r.Client, _ = clientip.Rightmost(string(f.value))
	}
	r.Authorized = h.authorization.set
	DecodePath(&r, e.path)
	return r, shape, nil
}

// payload2 decodes an event with payload format 2.0. Its path is still encoded if
// it comes from a function URL, and decoded if it comes from an HTTP API. Only
// CloudFront invokes a function URL, and its edge function overwrites
// X-Viewer-Host, so the header is trusted there and nowhere else.
func (d *Decoder) payload2(e *event) (redirect.Request, Shape, error) {
	r := redirect.Request{Method: method(e.method2), Query: string(e.rawQuery)}
	switch host := e.single.viewerHost; {
	case bytes.Contains(e.domainName, []byte(".lambda-url.")):
		if host.differing {
			host.value = nil
		}
		decodePath(&r, e.rawPath, host.value)
	case len(e.domainName) == 0:
		DecodePath(&r, e.rawPath)
	default:
		r.Path, r.LengthLost = string(withoutStage(e.rawPath, e.stage)), true
	}
	d.viewer(&r, e, &e.single)
	return r, Proxy, nil
}

// withoutStage returns the path in an event of an HTTP API without the name of the
// stage, which it begins with unless the stage is $default.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-stages.html
func withoutStage(path, stage []byte) []byte {
	if len(stage) == 0 || string(stage) == "$default" || len(path) < len(stage)+2 || path[0] != '/' {
		return path
	}
	if after, ok := bytes.CutPrefix(path[1:], stage); ok && after[0] == '/' {
		return after
	}
	return path
}

// rest decodes an event with payload format 1.0.
func (d *Decoder) rest(e *event) (redirect.Request, Shape, error) {
	h, shape := &e.single, Proxy
	if e.hasMulti {
		h, shape = &e.multi, ProxyMulti
	}
	r := redirect.Request{Method: method(e.httpMethod), LengthLost: true}
	var err error
	if len(e.multiQuery) > 0 && e.multiQuery[0] == '{' {
		r.Query, err = joinQuery(e.multiQuery, true, escape)
	} else {
		r.Query, err = joinQuery(e.singleQuery, false, escape)
	}
	if err != nil {
		return r, 0, &EventError{"query parameters that are not strings"}
	}
	DecodePath(&r, e.path)
	d.viewer(&r, e, h)
	return r, shape, nil
}

// edge decodes an event of Lambda@Edge, which has the address of the peer.
func (d *Decoder) edge(e *event) (redirect.Request, Shape, error) {
	if t := string(e.cfType); t != "viewer-request" && t != "origin-request" {
		return redirect.Request{}, 0, &EventError{"a Lambda@Edge event of an unsupported type"}
	}
	r := redirect.Request{Method: method(e.httpMethod), Query: string(e.rawQuery), Authorized: e.single.authorization.set}
	r.Client, _ = clientip.Plain(string(e.sourceIP))
	DecodePath(&r, e.path)
	return r, EdgeRequest, nil
}

// viewer sets what CloudFront or an API reports about the client. The headers are
// trusted only if the operator has configured the client address header, which
// requires that nothing but CloudFront or the API can invoke the function.
func (d *Decoder) viewer(r *redirect.Request, e *event, h *headers) {
	// CloudFront's origin access control replaces the client's Authorization
	// with its own signature. The CloudFront Function sets X-Viewer-Authorized
	// if there was one.
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
		parse := clientip.Plain
		if d.ClientAddressHeader == "cloudfront-viewer-address" {
			parse = clientip.ViewerAddress
		}
		r.Client = onlyAddress(string(address.value), parse)
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

// onlyAddress returns the address in a header value, which is a comma-separated
// list if the header was sent several times. Different values are no address.
func onlyAddress(value string, parse func(string) (netip.Addr, bool)) netip.Addr {
	first, rest, _ := strings.Cut(value, ",")
	for rest != "" {
		var next string
		next, rest, _ = strings.Cut(rest, ",")
		if strings.Trim(next, " \t") != strings.Trim(first, " \t") {
			return netip.Addr{}
		}
	}
	addr, _ := parse(strings.Trim(first, " \t"))
	return addr
}

// method returns the method as a string, without an allocation for GET and HEAD.
func method(b []byte) string {
	switch string(b) {
	case "GET":
		return "GET"
	case "HEAD":
		return "HEAD"
	}
	return string(b)
}
