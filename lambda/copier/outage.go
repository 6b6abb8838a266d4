package copier

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"

	"archeio/lambda/outage"
)

// NotifyOutages makes all clients of a configuration that are created afterwards
// call notify if an endpoint cannot be reached: within a few seconds, and once
// per host and outage. notify gets one line and must be safe for concurrent use.
func NotifyOutages(c *aws.Config, notify func(message string)) {
	attempts := c.RetryMaxAttempts
	if attempts == 0 {
		attempts = retry.DefaultMaxAttempts
	}
	next := c.HTTPClient
	if next == nil {
		next = awshttp.NewBuildableClient()
	}
	c.HTTPClient = &watchedClient{next, outage.New(notify, attempts)}
}

// watchedClient is an HTTP client of the AWS SDK.
type watchedClient struct {
	next    aws.HTTPClient
	outages *outage.Watcher
}

func (c *watchedClient) Do(r *http.Request) (*http.Response, error) {
	return c.outages.Watch(r, c.next.Do)
}
