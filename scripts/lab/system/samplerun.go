package system

import (
	"context"

	"archeio/scripts/lab/pull"
)

// PrepareSample pushes the image to the upstream that the sample messages of
// events/mirror refer to.
func (s *System) PrepareSample(ctx context.Context) error {
	fill := func(context.Context) error { return nil }
	_, err := pull.Publish(ctx, s.Publisher()+"/"+pull.Repository, fill)
	return err
}
