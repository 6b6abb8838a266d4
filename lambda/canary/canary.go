package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"archeio/lambda/config"
	"archeio/lambda/metrics"
	"archeio/lambda/testpull"
)

const (
	// maxBytes is how much one run may download through one entry point.
	maxBytes = 1 << 20

	// pullTimeout is the deadline of one pull.
	pullTimeout = 20 * time.Second
)

type entryPoint struct{ name, url string }

type canary struct {
	entryPoints []entryPoint
	image       string
	// state reads an object of the state bucket, nil if it does not exist.
	state     func(ctx context.Context, name string) ([]byte, error)
	transport http.RoundTripper
	metrics   io.Writer
	log       *slog.Logger
	now       func() time.Time
}

func (c *canary) load(getenv func(string) string) error {
	for point := range strings.SplitSeq(getenv("CANARY_ENTRY_POINTS"), ",") {
		name, url, ok := strings.Cut(point, "=")
		if !ok || name == "" || !strings.HasPrefix(url, "https://") {
			return fmt.Errorf("reading CANARY_ENTRY_POINTS: invalid entry point %q: want NAME=https://HOST", point)
		}
		c.entryPoints = append(c.entryPoints, entryPoint{name, url})
	}
	if c.image = getenv("CANARY_IMAGE"); c.image != "" {
		if _, ok := testpull.ParseImage(c.image); !ok {
			return fmt.Errorf("reading CANARY_IMAGE: invalid image %q: want NAME:TAG or NAME@DIGEST", c.image)
		}
		return nil
	}
	bucket, region, ok := strings.Cut(getenv("CANARY_STATE"), "@")
	if !ok {
		return errors.New("reading CANARY_STATE: missing: want NAME@REGION of the state bucket, or set CANARY_IMAGE")
	}
	c.state = stateBucket{bucket, region}.get
	return nil
}

// handle pulls through each entry point. Failed pulls are counted and logged; its error is
// that the image cannot be read.
func (c *canary) handle(ctx context.Context) error {
	image, err := c.find(ctx)
	for _, to := range c.entryPoints {
		c.pull(ctx, to, image)
	}
	return err
}

// find returns the image to pull, the zero value if none is known yet.
func (c *canary) find(ctx context.Context) (testpull.Image, error) {
	text := c.image
	if text == "" {
		data, err := c.state(ctx, config.CanaryImageName)
		if err != nil || data == nil {
			return testpull.Image{}, err
		}
		var found config.CanaryImage
		if err := json.Unmarshal(data, &found); err != nil {
			return testpull.Image{}, fmt.Errorf("reading the state %s: %w", config.CanaryImageName, err)
		}
		text = found.Image
	}
	image, ok := testpull.ParseImage(text)
	if !ok {
		return testpull.Image{}, fmt.Errorf("reading the state %s: invalid image %q: want NAME:TAG", config.CanaryImageName, text)
	}
	return image, nil
}

// pull pulls through an entry point and counts the result. Without an image it makes the
// API version check only.
func (c *canary) pull(ctx context.Context, to entryPoint, image testpull.Image) {
	ctx, cancel := context.WithTimeout(ctx, pullTimeout)
	defer cancel()
	client := testpull.Client{Transport: c.transport, Registry: to.url, MaxBytes: maxBytes}
	start := c.now()
	var p testpull.Pull
	var err error
	if image.Name == "" {
		err = client.Ping(ctx)
	} else {
		var done *testpull.Pull
		done, err = client.Pull(ctx, image)
		p = *done
	}
	failures := 0
	if err != nil {
		failures = 1
		c.log.Error("pull failed", "entryPoint", to.name, "url", to.url, "image", image.Name, "reference", image.Reference,
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
