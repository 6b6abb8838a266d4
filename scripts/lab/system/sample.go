package system

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/config"
	"archeio/scripts/lab/pull"
)

// sampleRun is the run that the sample messages of events/mirror are about.
const sampleRun = "sample"

// PrepareSample pushes an image to the upstream and makes the state that the
// sample messages of events/mirror speak of: a run that found empty mirrors.
func (s *System) PrepareSample(ctx context.Context) error {
	nothing := func(context.Context) error { return nil }
	if _, err := pull.Publish(ctx, s.Source()+"/"+pull.Repository, nothing); err != nil {
		return err
	}
	bucket, key := StateBucket, config.RunPrefix+sampleRun+"/held"
	if _, err := s.S3(Regions[0]).PutObject(ctx, &s3.PutObjectInput{Bucket: &bucket, Key: &key}); err != nil {
		return fmt.Errorf("putting %q into bucket %q: %w", key, bucket, err)
	}
	return nil
}
