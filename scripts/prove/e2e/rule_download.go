package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

func (t *ruleTest) headMatchesGet(ctx context.Context) (string, error) {
	head, err := fetch(ctx, t.transport, http.MethodHead, t.at.url+t.path, nil)
	if err != nil {
		return "", err
	}
	get, err := t.get(ctx, t.path, nil)
	if err != nil {
		return "", err
	}
	if a, b := head.first.Header.Get("Location"), get.first.Header.Get("Location"); a != b || a == "" {
		return "", fmt.Errorf("HEAD redirects to %q, GET to %q", a, b)
	}
	if len(head.body) > 0 || head.last.ContentLength != int64(len(get.body)) {
		return "", fmt.Errorf("HEAD has a body of %d bytes and Content-Length %d, the blob has %d bytes", len(head.body), head.last.ContentLength, len(get.body))
	}
	return fmt.Sprintf("%s, Content-Length %d", head, head.last.ContentLength), checkDigest(get.body, t.digest)
}

func (t *ruleTest) rangeRequest(ctx context.Context) (string, error) {
	full, err := t.get(ctx, t.path, nil)
	if err != nil {
		return "", err
	}
	part, err := t.get(ctx, t.path, map[string]string{"Range": "bytes=1000-1999"})
	if err != nil {
		return "", err
	}
	if part.last.StatusCode != http.StatusPartialContent || len(full.body) < 2000 || !bytes.Equal(part.body, full.body[1000:2000]) {
		return "", fmt.Errorf("status %s with %d bytes, want 206 with bytes 1000 to 1999", part.last.Status, len(part.body))
	}
	return part.String(), nil
}

func (t *ruleTest) resumedDownload(ctx context.Context) (string, error) {
	t.mirror.inject(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.Header.Get("Range") == "" {
			w = &halfWriter{ResponseWriter: w}
		}
		t.mirror.handler.ServeHTTP(w, r)
	})
	defer t.mirror.restore()
	cut, err := t.get(ctx, t.path, nil)
	if err == nil {
		return "", errors.New("the download was not cut")
	}
	rest, err := t.get(ctx, t.path, map[string]string{"Range": "bytes=" + strconv.Itoa(len(cut.body)) + "-"})
	if err != nil {
		return "", err
	}
	observed := fmt.Sprintf("%d bytes, then %d with Range", len(cut.body), len(rest.body))
	return observed, checkDigest(append(cut.body, rest.body...), t.digest)
}

func (t *ruleTest) escapedDigest(ctx context.Context) (string, error) {
	a, err := t.getBlob(ctx, t.transport, t.at.url+strings.Replace(t.path, "sha256:", "sha256%3A", 1), nil, "aws-region")
	if err != nil {
		return "", err
	}
	return a.String(), nil
}

// halfWriter sends half of a body and aborts the connection.
type halfWriter struct {
	http.ResponseWriter
	left int64
}

func (h *halfWriter) Unwrap() http.ResponseWriter { return h.ResponseWriter }

func (h *halfWriter) WriteHeader(status int) {
	n, _ := strconv.ParseInt(h.Header().Get("Content-Length"), 10, 64)
	h.left = n / 2
	h.ResponseWriter.WriteHeader(status)
}

func (h *halfWriter) Write(b []byte) (int, error) {
	n, err := h.ResponseWriter.Write(b[:min(int64(len(b)), h.left)])
	h.left -= int64(n)
	if err == nil && h.left <= 0 {
		http.NewResponseController(h.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return len(b), err
}
