package main

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
)

// splitter is a registry for clients that also write: an entry point is
// read-only. It sends GET and HEAD requests to the entry point, and everything
// else, with all requests of an upload, to the upstream. Clients follow the
// redirects of the entry point themselves.
type splitter struct {
	upstream, entryPoint proxy
	// restart replaces the function by one that has nothing cached. It is nil if
	// the function caches no responses.
	restart func() error

	reads, redirects, relayed, challenges, writes, restarts atomic.Int64

	mu sync.Mutex // held during a request if restart is not nil
	// read has the paths that the function was asked for, and whether something
	// was written since.
	read map[string]bool
}

func newSplitter(upstream, entryPoint string) (*splitter, error) {
	s := &splitter{read: map[string]bool{}}
	if err := s.upstream.setTarget(upstream); err != nil {
		return nil, err
	}
	return s, s.entryPoint.setTarget(entryPoint)
}

func (s *splitter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.restart != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	if !read || strings.Contains(r.URL.Path, "/blobs/uploads/") {
		s.writes.Add(1)
		s.upstream.ServeHTTP(w, r)
		for path := range s.read {
			s.read[path] = true
		}
		return
	}
	s.reads.Add(1)
	if err := s.renew(r.URL.RequestURI()); err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	s.entryPoint.ServeHTTP(&statusWriter{ResponseWriter: w, observe: func(status int, header http.Header) {
		switch {
		case status == http.StatusTemporaryRedirect:
			s.redirects.Add(1)
		case status == http.StatusUnauthorized || header.Get("WWW-Authenticate") != "":
			s.challenges.Add(1)
		case status == http.StatusOK && header.Get("X-Redirect-Reason") != "ping":
			s.relayed.Add(1)
		}
	}}, r)
}

// renew restarts the function if it was asked for the path before the last
// write.
func (s *splitter) renew(path string) error {
	if s.restart == nil {
		return nil
	}
	if s.read[path] {
		s.restarts.Add(1)
		if err := s.restart(); err != nil {
			return err
		}
		clear(s.read)
	}
	s.read[path] = false
	return nil
}

// String returns the numbers of requests.
func (s *splitter) String() string {
	if s.restart == nil {
		return fmt.Sprintf("%d reads, %d redirected; %d writes", s.reads.Load(), s.redirects.Load(), s.writes.Load())
	}
	return fmt.Sprintf("%d reads, %d relayed; %d writes, %d restarts", s.reads.Load(), s.relayed.Load(), s.writes.Load(), s.restarts.Load())
}

// check returns an error if reads were not redirected, or not relayed, as the
// access requires.
func (s *splitter) check() error {
	switch {
	case s.challenges.Load() > 0:
		return fmt.Errorf("%d reads were challenged", s.challenges.Load())
	case s.restart == nil && s.redirects.Load() == 0:
		return errors.New("no read was redirected")
	case s.restart != nil && s.relayed.Load() == 0:
		return errors.New("no read was relayed")
	}
	return nil
}
