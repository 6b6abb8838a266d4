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

	"archeio/lambda/config"
	"archeio/lambda/index"
)

// ServeMirrors simulates the mirrors of the event on address, see the function of
// that name.
func (e *Event) ServeMirrors(ctx context.Context, address string) (stop func(), err error) {
	return ServeMirrors(ctx, e.dir, address)
}

// MirrorList returns the file with the blobs of the event's mirrors.
func (e *Event) MirrorList() string { return filepath.Join(e.dir, mirrorList) }

const mirrorList = "mirrors.txt"

// ServeMirrors simulates mirrors on address until stop is called. It responds with
// 200 to the paths that mirrors.txt of a folder lists, with 503 to paths that contain
// "/down/", and with 404 to all others. The blob index is empty, so every blob is
// checked. Below /v2/token/ it simulates an upstream that requires a token. If the address is in use, it waits up to ten seconds for it: another
// process may be simulating the same mirrors.
func ServeMirrors(ctx context.Context, dir, address string) (stop func(), err error) {
	list, err := os.ReadFile(filepath.Join(dir, mirrorList))
	if err != nil {
		return nil, fmt.Errorf("reading the blobs of the sample mirrors: %w", err)
	}
	stored := map[string]bool{}
	for line := range strings.Lines(string(list)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			stored[line] = true
		}
	}
	blobIndex, err := index.Encode(time.Now(), []string{"none"}, func(func(index.Digest) bool) {})
	if err != nil {
		return nil, fmt.Errorf("making an empty blob index: %w", err)
	}
	l, err := listen(ctx, address)
	if err != nil {
		return nil, err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case serveUpstream(w, r):
		case stored[r.URL.Path]:
		case strings.Contains(r.URL.Path, "/down/"):
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.HasSuffix(r.URL.Path, "/"+config.BlobPrefix+index.Name):
			w.Write(blobIndex)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})}
	go server.Serve(l)
	return func() { server.Close() }, nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	timeout := time.NewTimer(10 * time.Second)
	defer timeout.Stop()
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		l, err := net.Listen("tcp", address)
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return l, err
		}
		select {
		case <-retry.C:
		case <-timeout.C:
			return nil, fmt.Errorf("simulating the sample mirrors: %s is in use: stop the program that listens there, or set MIRROR_URL_TEMPLATE and DEFAULT_MIRROR_CHECK_URL to your own mirrors", address)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
