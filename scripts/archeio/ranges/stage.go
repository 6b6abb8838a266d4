package ranges

import (
	"fmt"
	"slices"

	"archeio/infra/stage"
	"archeio/lambda/route"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// firstIn returns a function that returns where blobs come from first in a stage for
// a client at a place. The client reaches the nearest redirector.
func firstIn(s *stage.Stage) (func(ranges.Place) string, error) {
	var planners []*route.Planner
	for _, region := range s.Redirectors {
		c, err := s.Config(region)
		if err != nil {
			return nil, fmt.Errorf("stage %q: %w", s.Name, err)
		}
		planners = append(planners, route.New(c))
	}
	balancer := !s.HasDistribution()
	return func(place ranges.Place) string {
		if at, ok := regions.Find(string(place.Cloud), place.Region); ok && at.Located {
			return planners[max(0, stage.Nearest(s.Redirectors, at.Point, -1))].First(place, balancer)
		}
		// The redirector that the client reaches is unknown.
		var all []string
		for _, p := range planners {
			if first := p.First(place, balancer); !slices.Contains(all, first) {
				all = append(all, first)
			}
		}
		if len(all) > 1 {
			return "mirror of the nearest redirector"
		}
		return all[0]
	}, nil
}
