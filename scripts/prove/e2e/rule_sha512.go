package main

import (
	"bytes"
	"context"
	"crypto/sha512"
	"fmt"
	"net/http"
	"strings"

	"archeio/scripts/lab/system"
)

// sha512Blob downloads blobs that no mirror can have. They come from the upstream, and
// no mirror gets a request.
func (t *ruleTest) sha512Blob(ctx context.Context) (string, error) {
	const n = 20
	var content [n][]byte
	var paths [n]string // at the upstream
	for i := range n {
		content[i] = blobOf("sha512", i)
		paths[i] = fmt.Sprintf("/v2/%s/%s/blobs/sha512:%x", system.Prefix, singleRepository, sha512.Sum512(content[i]))
	}
	t.upstream.inject(func(w http.ResponseWriter, r *http.Request) {
		for i, path := range paths {
			if r.URL.Path == path {
				w.Write(content[i])
				return
			}
		}
		http.NotFound(w, r)
	})
	defer t.upstream.restore()
	t.recorder.drain()
	for i, path := range paths {
		a, err := t.get(ctx, strings.Replace(path, system.Prefix+"/", "", 1), nil)
		if err != nil {
			return "", err
		}
		if location := a.first.Header.Get("Location"); a.reason() != "upstream-digest" || location != t.upstream.url+path || !bytes.Equal(a.body, content[i]) {
			return "", fmt.Errorf("%s, Location %q, %d bytes, want upstream-digest, %q, %d bytes", a, location, len(a.body), t.upstream.url+path, len(content[i]))
		}
	}
	requests := map[string]int{}
	for _, h := range t.recorder.drain() {
		requests[h.Server]++
	}
	observed := "requests: " + counted(requests)
	if len(requests) != 2 || requests[t.at.kind] != n || requests["upstream"] != n {
		return observed, fmt.Errorf("%s, want %d each to the entry point and the upstream, and none to a mirror", observed, n)
	}
	return observed, nil
}
