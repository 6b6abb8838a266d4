package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/gateway"
	"archeio/lambda/metrics"
	"archeio/lambda/redirect"
	"archeio/scripts/prove/bench/peers"
)

// environment is that of a function with six mirrors.
var environment = map[string]string{
	"UPSTREAM_REGISTRY_ENDPOINT": "https://us-docker.pkg.dev",
	"UPSTREAM_REGISTRY_PATH":     "example-project/images",
	"DEFAULT_AWS_BASE_URL":       "https://d111111abcdef8.cloudfront.net",
	"MIRROR_REGIONS":             "us-east-1,us-west-2,eu-central-1,eu-west-1,ap-southeast-1,ap-northeast-1",
	"MIRROR_URL_TEMPLATE":        "https://mirror-{region}.s3.dualstack.{region}.amazonaws.com",
	// Longer than the measurement, so that every mirror stays healthy.
	"MIRROR_HEALTH_INTERVAL": "1h",
}

// payloads returns n events of a load balancer, each for another blob from another
// client.
func payloads(n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = blobEvent(fmt.Sprintf("team-%d/pause", i), blobOf(i), clientOf(i))
	}
	return out
}

// clientOf returns the address of the client in a payload.
func clientOf(i int) string { return fmt.Sprintf("35.180.%d.%d", i>>8&255, i&255) }

// blobOf returns the digest of the blob in a payload.
func blobOf(i int) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(fmt.Append(nil, i))) }

func blobEvent(repository, digest, client string) []byte {
	return fmt.Appendf(nil, `{"requestContext":{"elb":{"targetGroupArn":"arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/archeio/49e9d65c45c6791a"}},`+
		`"httpMethod":"GET","path":"/v2/%s/blobs/%s","multiValueQueryStringParameters":{},`+
		`"multiValueHeaders":{"accept":["*/*"],"accept-encoding":["gzip"],"host":["registry.example.com"],"user-agent":["containerd/1.7.13"],`+
		`"x-amzn-trace-id":["Root=1-5c536348-3d683b8b04734faae651f476"],"x-forwarded-for":["%s"],"x-forwarded-port":["443"],"x-forwarded-proto":["https"]},`+
		`"body":"","isBase64Encoded":false}`, repository, digest, client)
}

// allBlobs is a network in which every mirror has every blob.
type allBlobs struct{}

func (allBlobs) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}

// newHandler returns the handler that the gateway and the adapter share.
func newHandler(c *config.Config, recorder *metrics.Recorder) *redirect.Handler {
	checker := blobs.New(blobs.Options{Timeout: c.CheckTimeout, HealthInterval: c.HealthInterval, Transport: allBlobs{}, Observe: recorder.Check})
	return redirect.New(c, redirect.NewOrigins(c, checker), recorder, slog.New(slog.NewJSONHandler(io.Discard, nil)))
}

// measureEvent compares handling of a blob event, with the blob cached as present.
func measureEvent(ctx context.Context, b *bench) error {
	c, err := config.Load(func(name string) string { return environment[name] })
	if err != nil {
		return err
	}
	all := payloads(b.pick(4096, 512))
	recorder := metrics.NewRecorder(io.Discard, time.Now)
	h := newHandler(c, recorder)
	ours := gateway.New(c.ClientAddressHeader, h.Handle, recorder.Flush)
	adapter := lambda.NewHandler(httpadapter.NewALB(peers.NewRedirector(h, recorder.Flush)).ProxyWithContext)
	for _, payload := range all {
		if err := sameLocation(ctx, payload, ours, adapter); err != nil {
			return err
		}
	}

	decode := func(_ context.Context, payload []byte) ([]byte, error) {
		var e events.ALBTargetGroupRequest
		err := json.Unmarshal(payload, &e)
		return []byte(e.Path), err
	}
	handlers := []func(context.Context, []byte) ([]byte, error){ours.Invoke, decode, adapter.Invoke}
	var sides []side
	for _, handle := range handlers {
		next, turn := 0, len(all)/4 // enough for a side to collect its own garbage
		sides = append(sides, func(ctx context.Context) (float64, error) {
			part := all[next : next+turn]
			next = (next + turn) % len(all)
			began := time.Now()
			for _, payload := range part {
				if out, err := handle(ctx, payload); err != nil || len(out) == 0 {
					return 0, errors.Join(errors.New("an event got no response"), err)
				}
			}
			return float64(time.Since(began)) / float64(turn), nil
		})
	}
	v, err := b.interleave(ctx, 31, 4, sides...)
	if err != nil {
		return err
	}
	const what, decoding, adapting = "blob event", "encoding/json, decoding only", "our handler behind an adapter"
	b.report.compare(what, decoding, ns, v[0], v[1], ratioOf(0.4))
	b.report.compare(what, adapting, ns, v[0], v[2], ratioOf(1.0/8))

	allocated := make([][]float64, len(handlers))
	for i, handle := range handlers {
		allocated[i] = []float64{testing.AllocsPerRun(b.pick(1000, 10), func() { handle(ctx, all[0]) })}
	}
	b.report.compare(what+", allocations", decoding, allocations, allocated[0], allocated[1], atMost(8))
	b.report.compare(what+", allocations", adapting, allocations, allocated[0], allocated[2], budget{})
	return nil
}

// sameLocation returns an error unless all handlers redirect an event to the same
// location.
func sameLocation(ctx context.Context, payload []byte, handlers ...lambda.Handler) error {
	first := ""
	for _, h := range handlers {
		out, err := h.Invoke(ctx, payload)
		if err != nil {
			return err
		}
		var a events.ALBTargetGroupResponse
		if err := json.Unmarshal(out, &a); err != nil {
			return err
		}
		location := http.Header(a.MultiValueHeaders).Get("Location")
		if location == "" || first != "" && location != first {
			return fmt.Errorf("the handlers redirect to %q and to %q", first, location)
		}
		first = location
	}
	return nil
}
