package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"syscall"
	"time"
)

// terminated sends SIGTERM to the function while it waits for a mirror: the
// request in progress gets its response. Lambda sends SIGTERM to idle functions only.
func (f *faultTest) terminated(ctx context.Context) (string, error) {
	const delay = 300 * time.Millisecond
	t, err := f.testbed(ctx, map[string]string{"MIRROR_CHECK_TIMEOUT": "1s"})
	if err != nil {
		return "", err
	}
	defer t.stop()
	v := f.supervise(t)
	defer v.stop()
	waiting := make(chan struct{}, 64)
	t.near.inject(func(w http.ResponseWriter, r *http.Request) {
		waiting <- struct{}{}
		pause(r.Context(), delay)
		t.near.handler.ServeHTTP(w, r)
	})
	inProgress := make(chan sample, 1)
	go func() { inProgress <- t.download(ctx, t.blobs[0]) }()
	select {
	case <-waiting:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if err := syscall.Kill(t.processes[0].Pid(), syscall.SIGTERM); err != nil {
		return "", err
	}
	signalled := time.Now()
	first := <-inProgress
	t.near.restore()
	// Lambda sends no event to a function that it terminates. The Runtime API of
	// the testbed would, so the next request waits for the exit.
	for ctx.Err() == nil && len(v.exits()) == 0 && time.Since(signalled) < 5*time.Second {
		pause(ctx, 5*time.Millisecond)
	}
	next := t.download(ctx, t.blobs[1])
	s := t.watchN(ctx, time.Millisecond, 50)
	exits := v.exits()
	observed := fmt.Sprintf("request in progress: %s; the next one: %s, %s after the signal; then %d errors in 50; exit codes %v",
		first, next, seconds(next.at.Add(next.latency).Sub(signalled)), s.failed, exits)
	switch {
	case first.err != nil || first.reason != "aws-region":
		return observed, fmt.Errorf("the request in progress failed: %v", first.err)
	case next.err != nil || s.failed > 0:
		return observed, fmt.Errorf("requests after it failed: %v, %v", next.err, s.err)
	case !slices.Equal(exits, []int{0}):
		return observed, fmt.Errorf("the function exited with codes %v, want [0]", exits)
	}
	return observed, nil
}
