package copier

import (
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// NewS3Client returns a client for the buckets of a region. It uses path-style
// addresses if the environment names an endpoint, because an S3 server of one's
// own rarely has a host name for each bucket.
func NewS3Client(c aws.Config, region string) *s3.Client {
	return s3.NewFromConfig(c, func(o *s3.Options) {
		o.Region = region
		o.UsePathStyle = os.Getenv("AWS_ENDPOINT_URL_S3") != "" || os.Getenv("AWS_ENDPOINT_URL") != ""
	})
}
