package sample

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ServeMirrors plays the mirrors until stop is called: 200 for what mirrors.txt in
// the event's folder lists, 503 for what has "/down/" in it, and 404 for
// everything else. Where another process plays them on the same address it
// waits for a few seconds until that one is done.
func (e *Event) ServeMirrors(ctx context.Context, address string) (stop func(), err error) {
	list, err := os.ReadFile(filepath.Join(e.dir, "mirrors.txt"))
	if err != nil {
		return nil, fmt.Errorf("reading what the sample mirrors hold: %w", err)
	}
	held := map[string]bool{}
	for line := range strings.Lines(string(list)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			held[line] = true
		}
	}
	l, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case held[r.URL.Path]:
		case strings.Contains(r.URL.Path, "/down/"):
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})}
	go server.Serve(l)
	return func() { server.Close() }, nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	giveUp := time.NewTimer(10 * time.Second)
	defer giveUp.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		l, err := net.Listen("tcp", address)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
		select {
		case <-again.C:
		case <-giveUp.C:
			return nil, fmt.Errorf("playing the sample mirrors: port %s is in use; stop what listens there, or set MIRROR_URL_TEMPLATE and DEFAULT_MIRROR_CHECK_URL to mirrors of your own", address)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
