// Command unchecked is the redirector without existence checks, which pulls are
// compared with: it assumes that every mirror has every blob.
package main

import (
	"context"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/gateway"
	"archeio/lambda/metrics"
	"archeio/lambda/redirect"
)

// present is a mirror that has every blob.
type present struct{}

func (present) Has(context.Context, *blobs.Limit, string) blobs.Answer { return blobs.Present }

func main() {
	c, err := config.Load(os.Getenv)
	if err != nil {
		os.Stderr.WriteString("unchecked: " + err.Error() + "\n")
		os.Exit(1)
	}
	origins := redirect.Origins{Default: present{}, Upstream: present{}}
	for range c.Mirrors {
		origins.Mirrors = append(origins.Mirrors, present{})
	}
	recorder := metrics.NewRecorder(os.Stdout, time.Now)
	lambda.Start(gateway.New(c.ClientAddressHeader, redirect.New(c, origins, recorder, nil).Handle, recorder.Flush))
}
