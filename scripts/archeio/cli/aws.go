package cli

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
)

// LoadAWS returns the configuration of the AWS SDK, for a profile if it is not empty.
// The SDK logs nothing: its warnings are about how it searches for credentials.
func LoadAWS(ctx context.Context, profile string) (aws.Config, error) {
	c, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile), config.WithLogger(logging.Nop{}))
	if err != nil {
		return aws.Config{}, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	return c, nil
}

// NoCredentials returns the error for AWS credentials that are missing or that AWS did
// not accept.
func NoCredentials(err error) error {
	return fmt.Errorf("no valid AWS credentials: %w; log in, for example with aws sso login", err)
}

// CheckCredentials returns an error if there are no AWS credentials. AWS is not called
// to check them.
func CheckCredentials(ctx context.Context, c aws.Config) error {
	if _, err := c.Credentials.Retrieve(ctx); err != nil {
		return NoCredentials(err)
	}
	return nil
}
