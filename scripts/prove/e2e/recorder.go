package main

import (
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"

	"archeio/lambda/config"
)

// hop is one request as a server saw it, with its response.
type hop struct {
	Server, Host, Method, Path, Query string
	Status                            int
	Reason, Location                  string
	UserAgent                         string
	// Auth is set if the response required credentials or the request had some.
	Auth bool
}

// fromFunction reports whether the function sent the request: no client here
// has Go's own User-Agent, or that of the relay.
func (h hop) fromFunction() bool {
	return h.UserAgent == "" || h.UserAgent == "archeio" || strings.HasPrefix(h.UserAgent, "Go-http-client")
}

// stored is the path of a blob in the storage of the distribution project's registry.
var stored = regexp.MustCompile(`/docker/registry/v2/blobs/sha256/[0-9a-f]{2}/([0-9a-f]{64})/data$`)

// digest returns the digest of the requested blob, or "" for anything else.
func (h hop) digest() string {
	if m := stored.FindStringSubmatch(h.Path); m != nil {
		return "sha256:" + m[1]
	}
	if strings.Contains(h.Path, "/blobs/") || strings.Contains(h.Path, "/"+config.BlobPrefix) {
		if d, err := url.PathUnescape(path.Base(h.Path)); err == nil {
			return d
		}
	}
	return ""
}

// recorder keeps the hops at all servers in the order of their responses. It is
// safe for concurrent use.
type recorder struct {
	mu   sync.Mutex
	hops []hop
}

func (r *recorder) add(h hop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hops = append(r.hops, h)
}

// drain returns the hops since the last drain.
func (r *recorder) drain() []hop {
	r.mu.Lock()
	defer r.mu.Unlock()
	hops := r.hops
	r.hops = nil
	return hops
}

// statusWriter calls observe with the status and the header before they are
// sent.
type statusWriter struct {
	http.ResponseWriter
	observe func(int, http.Header)
	done    bool
}

func (w *statusWriter) WriteHeader(status int) {
	if !w.done && status >= 200 {
		w.done = true
		w.observe(status, w.Header())
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if !w.done {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(b)
}

func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
