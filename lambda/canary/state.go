package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdkconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// stateBucket is the bucket for the state of the mirror functions.
type stateBucket struct{ name, region string }

// maxState is how many bytes an object may have.
const maxState = 64 << 10

// get returns an object, nil if it does not exist.
func (b stateBucket) get(ctx context.Context, name string) ([]byte, error) {
	c, err := sdkconfig.LoadDefaultConfig(ctx, sdkconfig.WithRegion(b.region))
	if err != nil {
		return nil, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	out, err := s3.NewFromConfig(c).GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(b.name), Key: aws.String(name)})
	if none := (*types.NoSuchKey)(nil); errors.As(err, &none) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the state %s: %w", name, err)
	}
	defer out.Body.Close()
	data, err := io.ReadAll(io.LimitReader(out.Body, maxState))
	if err != nil {
		return nil, fmt.Errorf("reading the state %s: %w", name, err)
	}
	return data, nil
}
