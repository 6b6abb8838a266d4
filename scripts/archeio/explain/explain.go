package explain

import (
	"context"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"archeio/lambda/blobs"
	"archeio/lambda/clientip"
	"archeio/lambda/config"
	"archeio/lambda/gateway"
	"archeio/lambda/oci"
	"archeio/lambda/redirect"
	"archeio/lambda/route"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// entry is how a client reaches the redirector.
type entry struct {
	balancer   bool // a load balancer, not the distribution
	authorized bool
	viewer     regions.Point
	positioned bool
}

type explainer struct {
	stageName, domain string
	functions         []function
	entry             entry
	method            string
	table             ranges.Table
}

// explanation has the names and the order of the JSON that is printed.
type explanation struct {
	IP         string   `json:"ip"`
	Path       string   `json:"path"`
	Method     string   `json:"method"`
	Status     int      `json:"status"`
	Kind       string   `json:"kind"`
	Name       string   `json:"name"`
	Reference  string   `json:"reference"`
	Cloud      string   `json:"cloud"`
	Region     string   `json:"region"`
	Candidates []string `json:"candidates"`
	Reason     string   `json:"reason"`
	Location   string   `json:"location"`
	// Relayed is the URL at the upstream whose response is relayed, empty for none.
	Relayed string `json:"relayed,omitempty"`
	// Range is the matching range of the table, as "first - last".
	Range string `json:"range"`
	// Distances are those from the client to each of Candidates, null where one
	// has no known location.
	Distances []*int `json:"distance_km"`

	addr     netip.Addr
	date     time.Time // of the range table
	host     string    // of an image reference
	function string
	targets  []target
	outcomes []outcome
	body     string
	unnamed  bool   // the distribution is shown as exampleHost
	missing  string // what the request does not have, empty for nothing
}

// target is a candidate, the two upstreams told apart.
type target struct {
	name     string
	distance *int
}

// outcome is the response under a condition that is known only at the time of a request.
type outcome struct {
	condition, answer, reason string
}

// exampleHost is the name of a distribution in the documentation of AWS. It is shown
// where CloudFront assigns the name.
const exampleHost = "d111111abcdef8.cloudfront.net"

// explain explains one request of one client; the path may have a query.
func (e *explainer) explain(ctx context.Context, ip, path string) *explanation {
	raw, query, _ := strings.Cut(path, "?")
	r := redirect.Request{
		Method: e.method, Query: query,
		Viewer: e.entry.viewer, Positioned: e.entry.positioned,
		Authorized: e.entry.authorized, NoDistribution: e.entry.balancer,
	}
	gateway.DecodePath(&r, []byte(raw))
	r.Client, _ = clientip.Plain(ip)
	place, _ := e.table.Lookup(r.Client)
	at, located := e.locate(place)
	f := e.function(at, located)
	// The edge function sets it, for the distribution only.
	unnamed := len(f.config.ViewerHosts) == 0 && f.config.DefaultMirror == config.DistributionHost
	if r.ViewerHost = exampleHost; len(f.config.ViewerHosts) > 0 {
		r.ViewerHost = f.config.ViewerHosts[0]
	}

	resp, relayed := f.run(ctx, script{first: blobs.Present, others: blobs.Present, upstream: blobs.Present}, r)
	x := &explanation{
		IP: ip, Path: path, Method: e.method,
		Status: resp.Status, Reason: resp.Reason, Location: resp.Location, Relayed: relayed,
		Cloud: string(place.Cloud), Region: place.Region, Range: e.matched(r.Client),
		Candidates: []string{}, Distances: []*int{},
		addr: r.Client, date: e.table.Date(), function: f.region, body: resp.Body, unnamed: unnamed,
	}
	parsed, parseErr := oci.Parse(r.Path)
	x.Kind, x.Name, x.Reference = parsed.Kind.String(), parsed.Name, parsed.Reference
	if parseErr != nil || resp.Reason == route.Refused.String() {
		return x
	}
	d := f.plan.Decide(&route.Request{
		Path: parsed, Place: place, Viewer: r.Viewer, Positioned: r.Positioned,
		Authorized: r.Authorized, NoDistribution: r.NoDistribution,
	})
	for _, c := range d.Candidates() {
		name, t := "upstream", target{name: "upstream"}
		switch c.Target {
		case route.Regional:
			name = f.config.Mirrors[c.Mirror].Region
			t.name = name
			if to, ok := regions.Find(string(ranges.AWS), name); ok && to.Located && located {
				km := int(math.Round(regions.Distance(at, to.Point)))
				t.distance = &km
			}
		case route.Default:
			name = "default"
			t.name = "default mirror"
		case route.SignatureUpstream:
			t.name = "signature upstream"
		}
		x.targets = append(x.targets, t)
		// Both upstreams have one name in the JSON; it is there once.
		if !slices.Contains(x.Candidates, name) {
			x.Candidates = append(x.Candidates, name)
			x.Distances = append(x.Distances, t.distance)
		}
	}
	x.outcomes = outcomes(ctx, f, r, resp)
	return x
}

// outcomes returns the answers that differ from the expected one, by running the
// handler against servers that do not have the content or do not respond.
func outcomes(ctx context.Context, f function, r redirect.Request, expected redirect.Response) []outcome {
	var all []outcome
	seen := []redirect.Response{expected}
	for _, s := range []struct {
		condition string
		script    script
	}{
		{"if that mirror does not have the blob", script{first: blobs.Absent, others: blobs.Present, upstream: blobs.Present}},
		{"if that mirror is unavailable", script{first: blobs.Unknown, others: blobs.Present, upstream: blobs.Present}},
		{"if no mirror has the blob", script{first: blobs.Absent, others: blobs.Absent, upstream: blobs.Present}},
		{"if no mirror has the blob and one cannot be checked", script{first: blobs.Unknown, others: blobs.Unknown, upstream: blobs.Present}},
		{"if the upstream does not have it either", script{first: blobs.Absent, others: blobs.Absent, upstream: blobs.Absent}},
	} {
		resp, relayed := f.run(ctx, s.script, r)
		if slices.ContainsFunc(seen, func(o redirect.Response) bool { return o.Location == resp.Location && o.Reason == resp.Reason }) {
			continue
		}
		seen = append(seen, resp)
		to := "to " + resp.Location
		if relayed != "" {
			to = answer(resp.Status, "", relayed)
		}
		all = append(all, outcome{s.condition, to, resp.Reason})
	}
	return all
}

// matched returns the range of the table that an address is in, empty if there is none.
func (e *explainer) matched(addr netip.Addr) string {
	r, ok := e.table.Find(addr)
	if !ok {
		return ""
	}
	return r.First.String() + " - " + r.Last.String()
}
