package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// mirrorFault is a fault of the nearest mirror.
type mirrorFault struct {
	inject  func(*server)
	restore func(*server) error
	// reason is that of a function that has not checked the mirror before.
	reason string
	// invisible is set if clients are still redirected to the mirror.
	invisible bool
	// blobTimeout is how long the client waits for a blob during the fault; 0
	// is as long as ever.
	blobTimeout time.Duration
}

var (
	mirrorDown = mirrorFault{reason: "default-mirror", inject: (*server).close, restore: (*server).reopen}

	mirrorHangs = mirrorFault{reason: "default-mirror", restore: restored, inject: func(s *server) {
		s.inject(hang)
	}, blobTimeout: 500 * time.Millisecond}

	mirrorResets = mirrorFault{reason: "default-mirror", restore: restored, inject: func(s *server) {
		s.inject(func(w http.ResponseWriter, r *http.Request) { reset(w) })
	}}

	mirrorReturns500 = mirrorFault{reason: "default-mirror", restore: restored, inject: func(s *server) {
		s.injectStatus(http.StatusInternalServerError)
	}}

	endlessHeadBody = mirrorFault{reason: "aws-region", restore: restored, invisible: true, inject: func(s *server) {
		s.inject(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodHead {
				endless(w)
				return
			}
			s.handler.ServeHTTP(w, r)
		})
	}}
)

func restored(s *server) error {
	s.restore()
	return nil
}

// injectStatus makes a server return a status for every request.
func (s *server) injectStatus(status int) {
	s.inject(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
}

// run injects the fault before a function has checked the mirror, and again after
// a function has found it healthy.
func (m mirrorFault) run(f *faultTest, ctx context.Context) (string, error) {
	cold, err := m.cold(f, ctx)
	if err != nil {
		return cold, err
	}
	warm, err := m.warm(f, ctx)
	return cold + "; " + warm, err
}

func (m mirrorFault) cold(f *faultTest, ctx context.Context) (string, error) {
	t, err := f.testbed(ctx, nil)
	if err != nil {
		return "", err
	}
	defer t.stop()
	m.inject(t.near)
	s := t.watchN(ctx, time.Millisecond, 20)
	observed := fmt.Sprintf("cold: no error, slowest response %dms", s.slowest.Milliseconds())
	switch bound := checkTimeout + slack; {
	case s.failed > 0:
		return "", fmt.Errorf("cold: %d of 20 downloads failed: %v", s.failed, s.err)
	case !s.mostly(m.reason, 20):
		return "", fmt.Errorf("cold: reasons are %s, want %s", counted(s.reasons), m.reason)
	case s.slowest > bound:
		return observed, fmt.Errorf("cold: a response took %s, want at most %s", s.slowest, bound)
	}
	return observed, nil
}

func (m mirrorFault) warm(f *faultTest, ctx context.Context) (string, error) {
	t, err := f.testbed(ctx, nil)
	if err != nil {
		return "", err
	}
	defer t.stop()
	if err := t.warmUp(ctx, 3*len(t.blobs)); err != nil {
		return "", err
	}
	blobTimeout := t.blobTimeout
	if m.blobTimeout > 0 {
		t.blobTimeout = m.blobTimeout
	}
	began := time.Now()
	m.inject(t.near)
	s, observed, err := t.watchFault(ctx, began)
	observed = "warm: " + observed
	if m.invisible {
		if err == nil && s.failed > 0 {
			err = fmt.Errorf("%d downloads failed: %v", s.failed, s.err)
		}
		return observed + ", then " + counted(s.reasons), err
	}
	observed += ", then " + counted(without(s.reasons, "aws-region"))
	if err != nil {
		return observed, err
	}
	t.blobTimeout = blobTimeout
	recovered, err := t.watchRecovery(ctx, breakerTime+slack+time.Second, func() error { return m.restore(t.near) })
	return observed + "; " + recovered, err
}

// warmUp downloads n blobs from the nearest mirror.
func (t *testbed) warmUp(ctx context.Context, n int) error {
	if s := t.watchN(ctx, time.Millisecond, n); s.failed > 0 || s.reasons["aws-region"] != n {
		return fmt.Errorf("before the fault, %d downloads failed (%v), reasons are %s", s.failed, s.err, counted(s.reasons))
	}
	return nil
}

// watchFault downloads blobs while the nearest mirror has a fault, and checks
// how long after its beginning downloads still failed.
func (t *testbed) watchFault(ctx context.Context, began time.Time) (s summary, observed string, err error) {
	bound := healthInterval + checkTimeout
	s = t.watchFor(ctx, 25*time.Millisecond, began, bound+slack+time.Second)
	failedFor := s.failedFor(began)
	observed = fmt.Sprintf("%d errors in the first %s (bound %s)", s.failed, seconds(failedFor), seconds(bound))
	if failedFor > bound+slack {
		err = fmt.Errorf("downloads failed for %s: %v", failedFor, s.err)
	}
	return s, observed, err
}

// watchRecovery ends the fault of the nearest mirror, and downloads blobs until
// one comes from there.
func (t *testbed) watchRecovery(ctx context.Context, bound time.Duration, restore func() error) (observed string, err error) {
	began := time.Now()
	if err := restore(); err != nil {
		return "", err
	}
	s := summarize(t.watch(ctx, 50*time.Millisecond, bound+10*time.Second, func(s []sample) bool {
		return s[len(s)-1].reason == "aws-region"
	}))
	if s.failed > 0 || s.reasons["aws-region"] == 0 {
		return "", fmt.Errorf("after the fault, %d downloads failed (%v), reasons are %s", s.failed, s.err, counted(s.reasons))
	}
	after := s.last.at.Sub(began)
	if after > bound {
		err = fmt.Errorf("the mirror was used again after %s, want at most %s", after, bound)
	}
	return "used again after " + seconds(after), err
}

func without(m map[string]int, name string) map[string]int {
	delete(m, name)
	return m
}

// endless sends the status 200 and then a body until the client closes the
// connection, 64 MiB at most.
func endless(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	out := bufio.NewWriter(c)
	fmt.Fprint(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := "1000\r\n" + strings.Repeat("x", 0x1000) + "\r\n"
	for range 64 << 20 / 0x1000 {
		if _, err := out.WriteString(chunk); err != nil {
			return
		}
	}
}

// reset closes a connection with a TCP reset.
func reset(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if t, ok := c.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	c.Close()
}
