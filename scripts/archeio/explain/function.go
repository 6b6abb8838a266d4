package explain

import (
	"context"
	"fmt"

	"archeio/infra/stage"
	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/redirect"
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

func newFunction(region string, c *config.Config, table ranges.Table) function {
	script := &script{}
	origins := redirect.Origins{Default: scripted{script, true}, Upstream: scripted{script, false}}
	for range c.Mirrors {
		origins.Mirrors = append(origins.Mirrors, scripted{script, true})
	}
	handler := redirect.New(c, origins, nil, nil)
	handler.Ranges().Replace(table)
	return function{region, c, route.New(c), handler, script}
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
