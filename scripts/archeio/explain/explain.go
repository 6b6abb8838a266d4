package explain

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"

	"archeio/lambda/blobs"
	"archeio/lambda/clientip"
	"archeio/lambda/config"
	"archeio/lambda/gateway"
	"archeio/lambda/oci"
	"archeio/lambda/redirect"
	"archeio/lambda/route"
	"archeio/ranges"
)

type explainer struct {
	config  *config.Config
	plan    *route.Planner
	handler *redirect.Handler
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

	places   []string // as Candidates, with the two upstreams told apart
	location string
	addr     netip.Addr
	refusal  string
}

// yes is an origin that has everything.
type yes struct{}

func (yes) Has(context.Context, *blobs.Limit, string) blobs.Answer { return blobs.Present }

func newExplainer(c *config.Config) *explainer {
	origins := redirect.Origins{Default: yes{}, Upstream: yes{}}
	for range c.Mirrors {
		origins.Mirrors = append(origins.Mirrors, yes{})
	}
	return &explainer{c, route.New(c), redirect.New(c, origins, nil, nil)}
}

// explain answers for one client and one path, which may have a query.
func (e *explainer) explain(ctx context.Context, method, ip, target string) *explanation {
	raw, query, _ := strings.Cut(target, "?")
	r := redirect.Request{Method: method, Query: query}
	gateway.DecodePath(&r, []byte(raw))
	r.Client, _ = clientip.Plain(ip)
	resp := e.handler.Handle(ctx, r)

	place, _ := ranges.Lookup(r.Client)
	x := &explanation{
		IP: ip, Path: target, Method: method,
		Status: resp.Status, Reason: resp.Reason,
		Cloud: string(place.Cloud), Region: place.Region,
		Candidates: []string{},
		location:   resp.Location, addr: r.Client, refusal: resp.Body,
	}
	path, err := oci.Parse(r.Path)
	x.Kind, x.Name, x.Reference = path.Kind.String(), path.Name, path.Reference
	if err != nil || resp.Reason == route.Refused.String() {
		return x
	}
	d := e.plan.Decide(&route.Request{Path: path, Place: place})
	for _, c := range d.Candidates() {
		name := e.name(c)
		if c.Target == route.SignatureUpstream {
			x.places = append(x.places, "signature upstream")
		} else {
			x.places = append(x.places, name)
		}
		// Both upstreams have one name in the JSON; it is there once.
		if !slices.Contains(x.Candidates, name) {
			x.Candidates = append(x.Candidates, name)
		}
	}
	return x
}

func (e *explainer) name(c route.Candidate) string {
	switch c.Target {
	case route.Regional:
		return e.config.Mirrors[c.Mirror].Region
	case route.Default:
		return "default"
	}
	return "upstream"
}

func (x *explanation) writeJSON(w io.Writer) {
	text, err := json.Marshal(x)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	w.Write(append(text, '\n'))
}

func (x *explanation) writeText(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, value)
		}
	}
	client := x.IP
	if !x.addr.IsValid() {
		client += "  (no address)"
	}
	row("client", client)
	row("cloud", or(x.Cloud, "none that is known"))
	row("region", x.Region)
	row("range", matched(x.addr))
	row("request", x.Method+" "+x.Path)
	row("kind", or(x.Kind, "no part of the registry API"))
	row("name", x.Name)
	if algorithm, _, ok := strings.Cut(x.Reference, ":"); ok {
		row("digest", x.Reference+"  ("+algorithm+")")
	} else {
		row("tag", x.Reference)
	}
	row("candidates", strings.Join(x.places, ", "))
	row("reason", x.Reason)
	answer := fmt.Sprint(x.Status)
	if x.location != "" {
		answer += " to " + x.location
	}
	row("answer", answer)
	row("body", x.refusal)
	t.Flush()
}

// matched is the range of the table that an address lies in: a run of the
// provider's prefixes of one region.
func matched(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	all := allRanges()
	i, _ := slices.BinarySearchFunc(all, addr, func(x ranges.Range, addr netip.Addr) int { return x.Last.Compare(addr) })
	if i < len(all) && !addr.Less(all[i].First) {
		return all[i].First.String() + " - " + all[i].Last.String()
	}
	return ""
}

var allRanges = sync.OnceValue(func() []ranges.Range { return slices.Collect(ranges.All()) })

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
