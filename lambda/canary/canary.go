package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"archeio/lambda/metrics"
	"archeio/lambda/testpull"
	"archeio/lambda/testpull/image"
)

type entryPoint struct{ name, url string }

type canary struct {
	entryPoints []entryPoint
	image       *image.Source
	transport   http.RoundTripper
	metrics     io.Writer
	log         *slog.Logger
	now         func() time.Time
}

func (c *canary) load(getenv func(string) string) error {
	for point := range strings.SplitSeq(getenv("CANARY_ENTRY_POINTS"), ",") {
		name, url, ok := strings.Cut(point, "=")
		if !ok || name == "" || !strings.HasPrefix(url, "https://") {
			return fmt.Errorf("reading CANARY_ENTRY_POINTS: invalid entry point %q: want NAME=https://HOST", point)
		}
		c.entryPoints = append(c.entryPoints, entryPoint{name, url})
	}
	var err error
	if c.image, err = image.Load(getenv); err == nil && c.image == nil {
		err = fmt.Errorf("reading %s: missing: want NAME@REGION of the state bucket, or set %s", image.StateVariable, image.Variable)
	}
	return err
}

// handle pulls through each entry point. Failed pulls are counted and logged; its error is
// that the image cannot be read.
func (c *canary) handle(ctx context.Context) error {
	found, err := c.image.Find(ctx)
	for _, to := range c.entryPoints {
		c.pull(ctx, to, found)
	}
	return err
}

// pull pulls through an entry point and counts the result. Without an image it makes the
// API version check only.
func (c *canary) pull(ctx context.Context, to entryPoint, what testpull.Image) {
	ctx, cancel := context.WithTimeout(ctx, testpull.Timeout)
	defer cancel()
	client := testpull.Client{Transport: c.transport, Registry: to.url, MaxBytes: testpull.MaxBytes(len(c.entryPoints))}
	start := c.now()
	var p testpull.Pull
	var err error
	if what.Name == "" {
		err = client.Ping(ctx)
	} else {
		var done *testpull.Pull
		done, err = client.Pull(ctx, what)
		p = *done
	}
	failures := 0
	if err != nil {
		failures = 1
		c.log.Error("pull failed", "entryPoint", to.name, "url", to.url, "image", what.Name, "reference", what.Reference,
			"reason", p.Blob.Reason, "source", p.Blob.Source, "error", err.Error())
	}
	now := c.now()
	metrics.Write(c.metrics, now, metrics.EntryPoint, to.name,
		metrics.Datum{Name: metrics.CanaryFailures, Unit: "Count", Value: failures},
		metrics.Datum{Name: metrics.CanaryLatency, Unit: "Milliseconds", Value: float64(now.Sub(start).Microseconds()) / 1000})
	if p.Blob.Reason != "" {
		metrics.Write(c.metrics, now, metrics.Reason, p.Blob.Reason, metrics.Datum{Name: metrics.CanaryBlobs, Unit: "Count", Value: 1})
	}
}
