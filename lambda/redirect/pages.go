package redirect

import (
	"context"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"archeio/lambda/blobs"
	"archeio/lambda/oci"
	"archeio/lambda/page"
	"archeio/lambda/relay"
	"archeio/lambda/route"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// info returns the page, or the redirect to the one that is configured instead.
func (h *Handler) info(r *Request) Response {
	if h.config.InfoURL != "" {
		return Response{Status: 302, Location: h.config.InfoURL, CacheControl: cacheHour, Reason: route.Info.String()}
	}
	return Response{
		Status:       200,
		ContentType:  "text/html; charset=utf-8",
		CacheControl: cacheHour,
		Reason:       route.Info.String(),
		Policy:       h.pages.Policy(),
		Body:         h.pages.HTML(h.viewerHost(r), h.ranges.Table().Date()),
	}
}

func (h *Handler) privacy() Response {
	location := "/#privacy"
	if h.config.PrivacyURL != "" {
		location = h.config.PrivacyURL
	}
	return Response{Status: 302, Location: location, CacheControl: cacheHour, Reason: route.Privacy.String()}
}

// document returns the response with a JSON document.
func document(body, cache string) Response {
	return Response{
		Status: 200, ContentType: "application/json", CacheControl: cache, Reason: route.Info.String(),
		Policy: page.DataPolicy, Body: body,
	}
}

// viewerHost returns the host that the client requested, if it is known to be one of
// the distribution.
func (h *Handler) viewerHost(r *Request) string {
	if r.ViewerHost != "" && h.config.IsViewerHost(r.ViewerHost) {
		return r.ViewerHost
	}
	return ""
}

// anyDigest is one that every mirror may have.
const anyDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// where returns where the client is sent for the request in the query: path=PATH or
// image=REFERENCE. Without either it is that for any blob.
func (h *Handler) where(ctx context.Context, r *Request, place ranges.Place) Response {
	parameters, err := url.ParseQuery(r.Query)
	if err != nil {
		return Refuse(oci.MalformedQuery())
	}
	asked := *r
	asked.Method, asked.Query = "GET", ""
	switch {
	case parameters.Has("path"):
		asked.Path, asked.Query, _ = strings.Cut(parameters.Get("path"), "?")
	case parameters.Has("image"):
		path, _, ok := oci.ImagePath(parameters.Get("image"))
		if !ok {
			return Refuse(oci.InvalidImage(parameters.Get("image")))
		}
		asked.Path = path
	default:
		asked.Path = "/v2/any/blobs/" + anyDigest
	}
	w := h.supposed().explain(ctx, &asked, place)
	if !parameters.Has("path") && !parameters.Has("image") {
		w.Path, w.Name, w.Reference, w.Location, w.Relayed = "", "", "", "", ""
	}
	table := h.ranges.Table()
	if r.Client.IsValid() {
		w.IP = r.Client.String()
	}
	w.Range = span(&table, r.Client)
	return document(w.JSON(), cacheUnsure)
}

// span returns the range of a table that an address is in, empty if there is none.
func span(t *ranges.Table, client netip.Addr) string {
	found, ok := t.Find(client)
	if !ok {
		return ""
	}
	return found.First.String() + " - " + found.Last.String()
}

// explain returns what the response to a request is, and the candidates.
func (h *Handler) explain(ctx context.Context, r *Request, place ranges.Place) *page.Where {
	w := &page.Where{
		Path: r.Path, Cloud: string(place.Cloud), Region: place.Region,
		Candidates: []string{}, Distances: []*int{},
	}
	path, err := oci.Parse(r.Path)
	w.Kind, w.Name, w.Reference = path.Kind.String(), path.Name, path.Reference
	if err == nil && path.Kind == oci.Where { // not again
		w.Status, w.Reason = 200, route.Info.String()
		return w
	}
	_, resp := h.respond(ctx, r, place)
	w.Status, w.Reason, w.Location = resp.Status, resp.Reason, resp.Location
	if resp.Relayed != nil {
		w.Relayed = h.upstream + h.relayRequest(r, path).Path()
	}
	at, located := position(r, place)
	if located {
		w.Position = &page.Position{Latitude: at.Latitude, Longitude: at.Longitude}
	}
	if err != nil || resp.Reason == route.Refused.String() {
		return w
	}
	d := h.plan.Decide(&route.Request{
		Path: path, Place: place, Viewer: r.Viewer, Positioned: r.Positioned,
		Authorized: r.Authorized, NoDistribution: r.NoDistribution,
	})
	for _, c := range d.Candidates() {
		name, distance := "upstream", (*int)(nil)
		switch c.Target {
		case route.Regional:
			name = h.config.Mirrors[c.Mirror].Region
			if to, ok := regions.Find(string(ranges.AWS), name); ok && to.Located && located {
				km := int(math.Round(regions.Distance(at, to.Point)))
				distance = &km
			}
		case route.Default:
			name = "default"
		}
		// Both upstreams have one name; it is there once.
		if !slices.Contains(w.Candidates, name) {
			w.Candidates = append(w.Candidates, name)
			w.Distances = append(w.Distances, distance)
		}
	}
	return w
}

// position returns where a client is: its region, or else what the entry point
// reports.
func position(r *Request, place ranges.Place) (regions.Point, bool) {
	if at, ok := regions.Find(string(place.Cloud), place.Region); ok && at.Located {
		return at.Point, true
	}
	return r.Viewer, r.Positioned
}

// full is an origin that has everything.
type full struct{}

// Has returns that the content exists.
func (full) Has(context.Context, *blobs.Limit, string) blobs.Answer { return blobs.Present }

// fullUpstream is an upstream that is relayed and has everything.
type fullUpstream struct{ singleHost bool }

// Fetch returns the response to a client, without its content and the address in the
// storage of the upstream.
func (u fullUpstream) Fetch(_ context.Context, q *relay.Request) relay.Response {
	if q.Kind == oci.Blob && !u.singleHost {
		return relay.Response{Status: 307, Outcome: relay.Redirected}
	}
	return relay.Response{Status: 200, Outcome: relay.Fetched}
}

// suppose returns a handler for the same configuration for which every origin has
// everything. It does no I/O.
func (h *Handler) suppose() *Handler {
	origins := Origins{Default: full{}, Upstream: full{}}
	for range h.config.Mirrors {
		origins.Mirrors = append(origins.Mirrors, full{})
	}
	if h.config.Relays() {
		origins.Relay = fullUpstream{h.config.SingleHost}
	}
	return New(h.config, origins, nil, nil)
}
