package mirror

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

// maxIdle is how many connections to a bucket are kept for the next request. The AWS SDK
// keeps 10: of more requests at once, each would close one and the next open another.
const maxIdle = 512

// keepConnections makes the clients of a configuration keep maxIdle connections.
func keepConnections(c *aws.Config) {
	if client, ok := c.HTTPClient.(*awshttp.BuildableClient); ok {
		c.HTTPClient = client.WithTransportOptions(func(t *http.Transport) { t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, maxIdle })
	}
}
