// Package image finds the image for automatic test pulls: the configured one, or the
// smallest that the mirror functions have recorded in the state bucket.
package image

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"archeio/lambda/config"
	"archeio/lambda/testpull"
)

// The environment variables of a function that pulls.
const (
	Variable      = "CANARY_IMAGE" // NAME:TAG or NAME@DIGEST
	StateVariable = "CANARY_STATE" // NAME@REGION of the state bucket, without Variable
)

// Source is where the image is found.
type Source struct {
	// Image is the configured one, the zero value for the recorded one.
	Image testpull.Image
	// State returns an object of the state bucket, nil if it does not exist.
	State func(ctx context.Context, key string) ([]byte, error)
}

// Load reads the variables of a function. It returns nil if none is set.
func Load(getenv func(string) string) (*Source, error) {
	if text := getenv(Variable); text != "" {
		i, ok := testpull.ParseImage(text)
		if !ok {
			return nil, fmt.Errorf("reading %s: invalid image %q: want NAME:TAG or NAME@DIGEST", Variable, text)
		}
		return &Source{Image: i}, nil
	}
	state := getenv(StateVariable)
	if state == "" {
		return nil, nil
	}
	bucket, region, ok := strings.Cut(state, "@")
	if !ok || bucket == "" || region == "" {
		return nil, fmt.Errorf("reading %s: invalid bucket %q: want NAME@REGION", StateVariable, state)
	}
	return &Source{State: func(ctx context.Context, key string) ([]byte, error) {
		c, err := sdkconfig.LoadDefaultConfig(ctx, sdkconfig.WithRegion(region))
		if err != nil {
			return nil, fmt.Errorf("loading the AWS configuration: %w", err)
		}
		// An S3 server of one's own may have no names for its buckets.
		client := s3.NewFromConfig(c, func(o *s3.Options) {
			o.UsePathStyle = getenv("AWS_ENDPOINT_URL_S3") != "" || getenv("AWS_ENDPOINT_URL") != ""
		})
		return Get(ctx, client, bucket, key)
	}}, nil
}

// Find returns the image, the zero value if none is recorded yet.
func (s *Source) Find(ctx context.Context) (testpull.Image, error) {
	if s.Image.Name != "" {
		return s.Image, nil
	}
	data, err := s.State(ctx, config.CanaryImageName)
	if err != nil {
		return testpull.Image{}, fmt.Errorf("reading the state %s: %w", config.CanaryImageName, err)
	}
	if data == nil {
		return testpull.Image{}, nil
	}
	var found config.CanaryImage
	if err := json.Unmarshal(data, &found); err != nil {
		return testpull.Image{}, fmt.Errorf("reading the state %s: %w", config.CanaryImageName, err)
	}
	i, ok := testpull.ParseImage(found.Image)
	if !ok {
		return testpull.Image{}, fmt.Errorf("reading the state %s: invalid image %q: want NAME:TAG", config.CanaryImageName, found.Image)
	}
	return i, nil
}

// maxObject is how many bytes of an object are read.
const maxObject = 64 << 10

// Get returns an object of a bucket, nil if it does not exist.
func Get(ctx context.Context, client *s3.Client, bucket, key string) ([]byte, error) {
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if none := (*types.NoSuchKey)(nil); errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(io.LimitReader(out.Body, maxObject))
}
