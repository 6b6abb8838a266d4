package main

import (
	"net/http"
	"strings"
	"sync/atomic"
)

// splitter is a registry for clients that also write: an entry point is
// read-only. It sends GET and HEAD requests to the entry point, and everything
// else, with all requests of an upload, to the upstream. Clients follow the
// redirects of the entry point themselves.
type splitter struct {
	upstream, entryPoint     proxy
	reads, redirects, writes atomic.Int64
}

func newSplitter(upstream, entryPoint string) (*splitter, error) {
	s := &splitter{}
	if err := s.upstream.setTarget(upstream); err != nil {
		return nil, err
	}
	return s, s.entryPoint.setTarget(entryPoint)
}

func (s *splitter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !read || strings.Contains(r.URL.Path, "/blobs/uploads/") {
		s.writes.Add(1)
		s.upstream.ServeHTTP(w, r)
		return
	}
	s.reads.Add(1)
	s.entryPoint.ServeHTTP(&statusWriter{ResponseWriter: w, observe: func(status int, _ http.Header) {
		if status == http.StatusTemporaryRedirect {
			s.redirects.Add(1)
		}
	}}, r)
}
