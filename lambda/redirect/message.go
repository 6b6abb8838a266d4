// Package redirect handles requests, whatever entry point they come through: it
// parses the path, looks up the client address, decides where to redirect to,
// checks that the blob exists there, and records the decision.
//
// A Location is always a base URL of the configuration, or of the distribution that
// the client requested, followed by parts that were parsed and validated. Nothing of
// a request is copied into it unchecked.
package redirect

import (
	"net/netip"

	"archeio/ranges/regions"
)

// Request is an HTTP request.
type Request struct {
	Method string
	// Path is decoded. Malformed reports whether it has an invalid
	// percent-escape; Path is empty then.
	Path      string
	Malformed bool
	// Query is the query string without the question mark, still encoded.
	Query string
	// Client is the client address as a trusted source reports it; it is the
	// zero Addr if it is missing or invalid.
	Client netip.Addr
	// Viewer is the position of the client as the entry point reports it, if
	// Positioned. Country is its ISO 3166 code; it may be empty.
	Viewer     regions.Point
	Positioned bool
	Country    string
	// Authorized reports whether the client itself sends Authorization.
	Authorized bool
	// ViewerHost is the host that the client requested, as the edge function of
	// a distribution reports it; empty if there is none. It is not validated.
	ViewerHost string
	// LengthLost reports whether the entry point replaces Content-Length in a response
	// without a body, as to HEAD.
	LengthLost bool
	// NoDistribution reports whether the requested host is not a CloudFront
	// distribution.
	NoDistribution bool
}

// Response is an HTTP response. Headers that are empty are not sent.
type Response struct {
	Status       int
	Location     string
	CacheControl string
	Reason       string
	ContentType  string
	APIVersion   string
	Allow        string
	// Policy is the Content-Security-Policy of what a browser may display. With it,
	// the headers that forbid guessing the content type and sending a referrer are
	// sent too.
	Policy string
	Body   string
	// Relayed is nil unless the response is that of an upstream that is relayed. The
	// body may not be text then.
	Relayed *Relayed
}

// lengthFromBody reports whether the body is needed in the response to HEAD. An entry
// point computes Content-Length from it and does not send it; without one, clients would
// take a manifest to be empty.
// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html#respond-to-load-balancer
func (r *Response) lengthFromBody() bool { return r.Relayed != nil && r.Status == 200 }

// Field is a header field.
type Field struct{ Name, Value string }

// Fields returns the header fields in the order in which they are sent. Those with
// an empty value are not sent.
func (r *Response) Fields() [9]Field {
	sniff, referrer := "", ""
	if r.Policy != "" {
		sniff, referrer = "nosniff", "no-referrer"
	}
	return [9]Field{
		{"Location", r.Location},
		{"Allow", r.Allow},
		{"Content-Type", r.ContentType},
		{"Docker-Distribution-Api-Version", r.APIVersion},
		{"Cache-Control", r.CacheControl},
		{"X-Redirect-Reason", r.Reason},
		{"Content-Security-Policy", r.Policy},
		{"X-Content-Type-Options", sniff},
		{"Referrer-Policy", referrer},
	}
}
