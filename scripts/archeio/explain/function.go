package explain

import (
	"context"
	"fmt"

	"archeio/infra/stage"
	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/oci"
	"archeio/lambda/redirect"
	"archeio/lambda/relay"
	"archeio/lambda/route"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// function is the redirector function of a region, with servers that answer as
// scripted.
type function struct {
	region  string // empty for that of the environment
	config  *config.Config
	plan    *route.Planner
	handler *redirect.Handler
	script  *script
}

// script holds the answers of the mirrors and the upstream.
type script struct {
	// first is the answer of the mirror that is checked first, others that of all
	// mirrors checked after it, upstream that of the upstream.
	first, others, upstream blobs.Answer
	checked                 int
	// relayed is the path at the upstream that was relayed last, empty for none.
	relayed    string
	singleHost bool
}

type scripted struct {
	script *script
	mirror bool
}

// Has returns the scripted answer.
func (s scripted) Has(context.Context, *blobs.Limit, string) blobs.Answer {
	if !s.mirror {
		return s.script.upstream
	}
	s.script.checked++
	if s.script.checked == 1 {
		return s.script.first
	}
	return s.script.others
}

// Fetch returns the response to a relayed request, of which only the kind is known
// without a network.
func (s *script) Fetch(_ context.Context, q *relay.Request) relay.Response {
	s.relayed = q.Path()
	if s.upstream == blobs.Absent {
		return relay.Response{Status: 404, Outcome: relay.Absent, Error: &oci.Error{Status: 404, Code: oci.ManifestUnknown, Message: "the upstream does not have it"}}
	}
	if q.Kind == oci.Blob && !s.singleHost {
		return relay.Response{Status: 307, Outcome: relay.Redirected}
	}
	return relay.Response{Status: 200, Outcome: relay.Fetched}
}

func newFunction(region string, c *config.Config, table ranges.Table) function {
	script := &script{singleHost: c.SingleHost}
	origins := redirect.Origins{Default: scripted{script, true}, Upstream: scripted{script, false}}
	for range c.Mirrors {
		origins.Mirrors = append(origins.Mirrors, scripted{script, true})
	}
	if c.Relays() {
		origins.Relay = script
	}
	handler := redirect.New(c, origins, nil, nil)
	handler.Ranges().Replace(table)
	return function{region, c, route.New(c), handler, script}
}

// run handles a request with a script. It also returns the URL that is relayed, empty if
// nothing is.
func (f function) run(ctx context.Context, s script, r redirect.Request) (redirect.Response, string) {
	s.singleHost = f.config.SingleHost
	*f.script = s
	resp := f.handler.Handle(ctx, r)
	if f.script.relayed == "" || resp.Location != "" { // of the signature upstream
		return resp, ""
	}
	return resp, f.config.Upstream + "/v2/" + f.script.relayed
}

// stage makes the functions of a stage, one per redirector region.
func (e *explainer) stage(s *stage.Stage) error {
	e.stageName, e.domain = s.Name, s.Domain
	for _, region := range s.Redirectors {
		c, err := s.Config(region)
		if err != nil {
			return fmt.Errorf("stage %q: %w", s.Name, err)
		}
		e.functions = append(e.functions, newFunction(region, c, e.table))
	}
	return nil
}

// function returns the one that a client reaches: the nearest to it, or the first
// if the place of the client is unknown.
func (e *explainer) function(at regions.Point, located bool) function {
	if len(e.functions) == 1 || !located {
		return e.functions[0]
	}
	var names []string
	for _, f := range e.functions {
		names = append(names, f.region)
	}
	return e.functions[max(0, stage.Nearest(names, at, -1))]
}

// locate returns where a client is: at its position, or else in its region.
func (e *explainer) locate(place ranges.Place) (regions.Point, bool) {
	if e.entry.positioned {
		return e.entry.viewer, true
	}
	at, ok := regions.Find(string(place.Cloud), place.Region)
	return at.Point, ok && at.Located
}
