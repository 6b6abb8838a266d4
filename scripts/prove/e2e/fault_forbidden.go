package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"archeio/lambda/blobs"
)

// forbiddenCold: S3 returns 403 for a missing blob, so a function that has not
// cached it as present sees no fault.
func (f *faultTest) forbiddenCold(ctx context.Context) (string, error) {
	t, err := f.testbed(ctx, nil)
	if err != nil {
		return "", err
	}
	defer t.stop()
	t.near.injectStatus(http.StatusForbidden)
	s := t.watchN(ctx, time.Millisecond, 30)
	return s.observed(), s.want("default-mirror", 30)
}

// forbiddenWarm: a mirror returns 403 for a blob that is cached as present. The
// health check requests the blob that the client requests, and so detects it.
func (f *faultTest) forbiddenWarm(ctx context.Context) (string, error) {
	t, err := f.testbed(ctx, nil)
	if err != nil {
		return "", err
	}
	defer t.stop()
	t.blobs = t.blobs[:1]
	if err := t.warmUp(ctx, 3); err != nil {
		return "", err
	}
	began := time.Now()
	t.near.injectStatus(http.StatusForbidden)
	s, observed, err := t.watchFault(ctx, began)
	observed += fmt.Sprintf("; a blob that no health check requests: up to %s; then %s", blobs.PresentFor, counted(without(s.reasons, "aws-region")))
	switch {
	case err != nil:
		return observed, err
	case s.reasons["default-mirror"] == 0:
		return observed, fmt.Errorf("no download came from the default mirror: %v", s.err)
	}
	// A 403 opens no breaker.
	recovered, err := t.watchRecovery(ctx, 2*healthInterval+checkTimeout+slack, func() error { return restored(t.near) })
	return observed + "; " + recovered, err
}
