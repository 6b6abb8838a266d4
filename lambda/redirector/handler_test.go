package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/gateway"
	"archeio/lambda/metrics"
	"archeio/lambda/redirect"
)

// fullMirrors is a transport to mirrors that have every blob.
type fullMirrors struct{}

func (fullMirrors) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
}

// newGateway returns the function as main builds it, except for the transport.
func newGateway(tb testing.TB) *gateway.Gateway {
	tb.Helper()
	env := map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": "https://us-docker.pkg.dev",
		"UPSTREAM_REGISTRY_PATH":     "example-project/images",
		"DEFAULT_AWS_BASE_URL":       "https://d111111abcdef8.cloudfront.net",
		"MIRROR_REGIONS":             "us-east-1,us-west-2,eu-central-1,eu-west-1,ap-southeast-1,ap-northeast-1",
		"MIRROR_URL_TEMPLATE":        "https://mirror-{region}.s3.dualstack.{region}.amazonaws.com",
		"MIRROR_HEALTH_INTERVAL":     "1h",
	}
	c, err := config.Load(func(name string) string { return env[name] })
	if err != nil {
		tb.Fatal(err)
	}
	recorder := metrics.NewRecorder(io.Discard, time.Now)
	checker := blobs.New(blobs.Options{Timeout: c.CheckTimeout, HealthInterval: c.HealthInterval, Transport: fullMirrors{}, Observe: recorder.Check})
	handler := redirect.New(c, redirect.NewOrigins(c, checker), recorder, slog.New(slog.NewJSONHandler(io.Discard, nil)))
	return gateway.New(c.ClientAddressHeader, handler.Handle, recorder.Flush)
}

// blobEvents returns events of a load balancer: requests for different blobs of
// different clients.
func blobEvents(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		digest := sha256.Sum256(fmt.Append(nil, i))
		out[i] = fmt.Appendf(nil, `{"requestContext":{"elb":{"targetGroupArn":"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/archeio/49e9d65c45c6791a"}},`+
			`"httpMethod":"GET","path":"/v2/team-%d/pause/blobs/sha256:%x","multiValueQueryStringParameters":{},`+
			`"multiValueHeaders":{"accept":["*/*"],"accept-encoding":["gzip"],"host":["registry.example.com"],"user-agent":["containerd/1.7.13"],`+
			`"x-amzn-trace-id":["Root=1-5c536348-3d683b8b04734faae651f476"],"x-forwarded-for":["35.180.%d.%d"],"x-forwarded-port":["443"],"x-forwarded-proto":["https"]},`+
			`"body":"","isBase64Encoded":false}`, i, digest, i>>8&255, i&255)
	}
	return out
}

// TestEventAllocations has a generous budget, so that only a change of design
// exceeds it. scripts/prove/bench measures the exact number.
func TestEventAllocations(t *testing.T) {
	const budget = 8
	g := newGateway(t)
	payload := blobEvents(1)[0]
	response, err := g.Invoke(t.Context(), payload)
	if err != nil || !strings.Contains(string(response), "mirror-eu-central-1") {
		t.Fatalf("response %s, error %v; want a redirect to eu-central-1", response, err)
	}
	if n := testing.AllocsPerRun(1000, func() { g.Invoke(t.Context(), payload) }); n > budget {
		t.Errorf("a blob event allocates %v times, want at most %d", n, budget)
	}
}
