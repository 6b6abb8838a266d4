package redirect

import (
	"context"
	"strconv"
	"strings"

	"archeio/lambda/oci"
	"archeio/lambda/relay"
	"archeio/lambda/route"
)

// Relay fetches content from an upstream that clients are not redirected to;
// *relay.Relay implements it.
type Relay interface {
	Fetch(ctx context.Context, q *relay.Request) relay.Response
}

// Relayed has the header fields of a relayed response.
type Relayed struct {
	Digest, ETag, Link, Filters, RetryAfter string
	// Length is the length of the body in the response to HEAD.
	Length string
}

// Fields returns the header fields. Those with an empty value are not sent.
func (r *Relayed) Fields() [6]Field {
	return [6]Field{
		{"Content-Length", r.Length},
		{"Docker-Content-Digest", r.Digest},
		{"ETag", r.ETag},
		{"Link", r.Link},
		{"OCI-Filters-Applied", r.Filters},
		{"Retry-After", r.RetryAfter},
	}
}

// relayPolicy is the Content-Security-Policy of what others wrote: a browser that
// displays it runs nothing of it in the name of this host.
const relayPolicy = "default-src 'none'; sandbox"

// TooLarge returns the response for content that is larger than the entry point can send.
func TooLarge() *Response {
	resp := Refuse(&oci.Error{Status: 502, Code: oci.Unavailable, Message: "larger than 1 MB, which this entry point cannot send: use the distribution"})
	resp.CacheControl, resp.Reason = cacheUnsure, route.TooLarge.String()
	return &resp
}

// relayed returns the upstream's response, or redirects to the signature upstream, if
// that is another registry.
func (h *Handler) relayed(ctx context.Context, r *Request, q *route.Request, d *route.Decision, reason route.Reason) Response {
	path := q.Path
	signatures := h.config.SignatureUpstream != "" && !h.config.SignaturesAtUpstream()
	registries := d.Registries()
	if signatures && registries[0].Target == route.SignatureUpstream {
		location := h.signatures + h.resource(path, r.Query)
		if r.Query != "" && path.Kind == oci.Referrers {
			location += "?" + r.Query
		}
		return found(location, cacheMinutes, reason)
	}
	got := h.origins.Relay.Fetch(ctx, h.relayRequest(r, path))
	if signatures && got.Outcome == relay.Absent && len(registries) > 1 {
		cache := cacheUnsure
		if path.Kind == oci.Blob {
			cache = cacheNothing
		}
		return found(h.signatures+h.resource(path, r.Query), cache, route.Signature)
	}
	resp := Response{
		Status: got.Status, Location: got.Location, CacheControl: got.CacheControl, ContentType: got.ContentType, Body: got.Body,
		Reason:  relayReason(got.Outcome, reason).String(),
		Policy:  relayPolicy,
		Relayed: &Relayed{Digest: got.Digest, ETag: got.ETag, Link: got.Link, Filters: got.Filters},
	}
	if resp.CacheControl == "" {
		resp.CacheControl = cacheNothing
	}
	if got.RetryAfter > 0 {
		resp.Relayed.RetryAfter = strconv.Itoa(got.RetryAfter)
	}
	switch {
	case got.Error != nil:
		resp.ContentType, resp.Body = "application/json", got.Error.Body()
	case r.Method == "HEAD" && r.LengthLost:
		resp.Relayed.Digest = "" // clients that trust a length of 0 then use GET
	case r.Method == "HEAD" && got.Status == 200:
		resp.Relayed.Length = strconv.Itoa(got.Length)
	}
	return resp
}

// relayRequest returns the request to the upstream for that of a client.
func (h *Handler) relayRequest(r *Request, path oci.Path) *relay.Request {
	name := h.prefixOf(path, r.Query) + path.Name
	if h.config.Relay.Library && !strings.Contains(name, "/") {
		name = "library/" + name
	}
	return &relay.Request{
		Kind: path.Kind, Name: name, ClientName: path.Name, Reference: path.Reference, Digest: path.Digest,
		Query: r.Query, Head: r.Method == "HEAD",
	}
}

// relayReason returns the reason for a relayed response: that of the decision, unless it
// is an error.
func relayReason(o relay.Outcome, decision route.Reason) route.Reason {
	switch o {
	case relay.Limited:
		return route.UpstreamLimited
	case relay.Failed, relay.Denied, relay.Invalid, relay.Rejected:
		return route.UpstreamFailed
	case relay.TooLarge:
		return route.TooLarge
	}
	return decision
}
