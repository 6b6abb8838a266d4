package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"
)

// frozenFor is how long a function is frozen. It is longer than the three seconds
// after which the function does not trust its connections.
const frozenFor = 4 * time.Second

// frozenFunction is what happens to the connections of a function to the nearest
// mirror while it is frozen.
type frozenFunction struct{ fault func(*link) }

// run freezes the function with SIGSTOP, as Lambda does between invocations, and
// injects the fault. SIGCONT comes with the next request, for a blob that was not
// checked before: the mirror serves it, without delay.
func (x frozenFunction) run(f *faultTest, ctx context.Context) (string, error) {
	proxy, err := listenTCP()
	if err != nil {
		return "", err
	}
	defer proxy.close()
	t, err := f.testbed(ctx, map[string]string{
		"MIRROR_URL_OVERRIDES": "us-east-1=" + proxy.url + "/mirror-us-east-1,eu-central-1=" + f.local.MirrorURL("eu-central-1"),
		"MIRROR_CHECK_TIMEOUT": "1s",
	})
	if err != nil {
		return "", err
	}
	defer t.stop()
	proxy.forwardTo(t.near.address)
	all := t.blobs
	t.blobs = all[:1]
	if err := t.warmUp(ctx, 3); err != nil {
		return "", err
	}
	t.transport.CloseIdleConnections() // the client's own go through the proxy too

	pid := t.processes[0].Pid()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return "", err
	}
	defer syscall.Kill(pid, syscall.SIGCONT)
	pause(ctx, frozenFor)
	broken := proxy.inject(x.fault)
	first := make(chan sample, 1)
	go func() { first <- t.download(ctx, all[1]) }()
	pause(ctx, 50*time.Millisecond) // so that the event is there first
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		return "", err
	}
	fresh := <-first
	cached := t.download(ctx, all[0])
	t.blobs = all
	s := t.watchN(ctx, 50*time.Millisecond, 20)
	observed := fmt.Sprintf("%d connections after %s; a blob that was not checked before: %s; one that was: %s; then %s", broken, frozenFor, fresh, cached, s.observed())
	switch {
	case broken == 0:
		err = errors.New("the function had no connection to the mirror")
	case fresh.err != nil || fresh.reason != "aws-region" || fresh.latency > slack:
		err = fmt.Errorf("the first download after the freeze: %s, want aws-region in at most %dms", fresh, slack.Milliseconds())
	case cached.err != nil || cached.reason != "aws-region" || cached.latency > slack:
		err = fmt.Errorf("a download after the freeze: %s, want aws-region in at most %dms", cached, slack.Milliseconds())
	case s.failed > 0 || s.reasons["aws-region"] != 20:
		err = fmt.Errorf("later downloads: %d failed (%v), reasons are %s", s.failed, s.err, counted(s.reasons))
	}
	return observed, err
}
