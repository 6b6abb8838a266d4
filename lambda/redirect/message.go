// Package redirect answers requests: it takes one apart, finds out who asks,
// decides where that leads, checks that the blob is there, and records what
// was decided. Which front the request came through is not its concern.
//
// A Location is always made from parts that were parsed and validated, behind
// a base URL of the configuration. What a client sent is never copied into one
// unread.
package redirect

import (
	"net/netip"

	"archeio/ranges/regions"
)

// Request is a request, whatever front it came through.
type Request struct {
	Method string
	// Path has its percent-escapes decoded; Malformed tells that they could
	// not be.
	Path      string
	Malformed bool
	// Query is what stands behind the question mark, still encoded.
	Query string
	// Client is the address that the front vouches for; not valid if it is
	// missing or unusable.
	Client netip.Addr
	// Viewer is where the front says the client is, if Positioned; Country is
	// its ISO 3166 code, if the front says so.
	Viewer     regions.Point
	Positioned bool
	Country    string
	// Authorized tells that the client sends Authorization of its own.
	Authorized bool
	// NoDistribution tells that the host which was asked is not the
	// distribution's.
	NoDistribution bool
}

// Response is an answer. Empty fields are headers that are not sent.
type Response struct {
	Status       int
	Location     string
	CacheControl string
	Reason       string
	ContentType  string
	APIVersion   string
	Allow        string
	Body         string
}

// Field is a header field.
type Field struct{ Name, Value string }

// Fields lists the header fields in the order in which they are sent; those
// with an empty value are not.
func (r *Response) Fields() [6]Field {
	return [6]Field{
		{"Location", r.Location},
		{"Allow", r.Allow},
		{"Content-Type", r.ContentType},
		{"Docker-Distribution-Api-Version", r.APIVersion},
		{"Cache-Control", r.CacheControl},
		{"X-Redirect-Reason", r.Reason},
	}
}
