package system

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/config"
	"archeio/scripts/lab/pull"
)

// sampleRun is the run in the sample messages of events/mirror.
const sampleRun = "sample"

// PrepareSample pushes an image to the upstream and creates the state that the
// sample messages of events/mirror refer to: a run that found empty mirrors.
func (s *System) PrepareSample(ctx context.Context) error {
	fill := func(context.Context) error { return nil }
	if _, err := pull.Publish(ctx, s.Publisher()+"/"+pull.Repository, fill); err != nil {
		return err
	}
	bucket, key := StateBucket, config.RunPrefix+sampleRun+"/inventory"
	if _, err := s.S3(Regions[0]).PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key}); err != nil {
		return fmt.Errorf("putting %q into bucket %q: %w", key, bucket, err)
	}
	return nil
}
