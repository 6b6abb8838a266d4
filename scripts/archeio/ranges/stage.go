package ranges

import (
	"fmt"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/route"
	"archeio/ranges"
)

// firstIn returns a function that returns where blobs come from first in a stage for
// a client at a place.
func firstIn(s *stage.Stage) (func(ranges.Place) string, error) {
	var redirectors []*config.Config
	for _, region := range s.Redirectors {
		c, err := s.Config(region)
		if err != nil {
			return nil, fmt.Errorf("stage %q: %w", s.Name, err)
		}
		redirectors = append(redirectors, c)
	}
	return route.First(redirectors, !s.HasDistribution()), nil
}
