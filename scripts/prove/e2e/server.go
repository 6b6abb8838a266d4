package main

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// server is an HTTP server on loopback that records requests and injects
// faults.
type server struct {
	name, url, address string

	recorder *recorder // nil records nothing
	// ignore reports whether a request is not recorded; it may be nil.
	ignore  func(*http.Request) bool
	handler http.Handler
	fault   atomic.Pointer[http.HandlerFunc] // used instead of handler; may be nil
	heads   atomic.Int64                     // HEAD requests so far
	indexes atomic.Int64                     // responses with an index so far, see injectIndex
	issued  atomic.Int64                     // requests for a token so far

	mu     sync.Mutex
	server *http.Server
}

// listen starts a server on a free port.
func listen(name string, r *recorder, h http.Handler) (*server, error) {
	return listenOn("127.0.0.1:0", name, r, h)
}

func listenOn(address, name string, r *recorder, h http.Handler) (*server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &server{name: name, address: l.Addr().String(), recorder: r, handler: h}
	s.url = "http://" + s.address
	s.serve(l)
	return s, nil
}

func (s *server) serve(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, Protocols: protocols}
	go s.server.Serve(l)
}

// close closes the port and every connection.
func (s *server) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server.Close()
}

// reopen opens the port again after close.
func (s *server) reopen() error {
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	s.serve(l)
	return nil
}

// inject makes h handle every request.
func (s *server) inject(h http.HandlerFunc) { s.fault.Store(&h) }

// restore ends what inject began.
func (s *server) restore() { s.fault.Store(nil) }

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		s.heads.Add(1)
	}
	if r.URL.Path == "/token" {
		s.issued.Add(1)
	}
	if s.recorder != nil && (s.ignore == nil || !s.ignore(r)) {
		w = &statusWriter{ResponseWriter: w, observe: func(status int, header http.Header) {
			p, query, _ := strings.Cut(r.RequestURI, "?")
			s.recorder.add(hop{
				Server: s.name, Host: r.Host, Method: r.Method, Path: p, Query: query, Status: status,
				Reason: header.Get("X-Redirect-Reason"), Location: header.Get("Location"), UserAgent: r.UserAgent(),
				Auth: status == http.StatusUnauthorized || header.Get("WWW-Authenticate") != "" || r.Header.Get("Authorization") != "",
			})
		}}
	}
	if f := s.fault.Load(); f != nil {
		(*f)(w, r)
		return
	}
	s.handler.ServeHTTP(w, r)
}

// closeAll shuts servers down, the last one first.
func closeAll(servers []*server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for i := len(servers) - 1; i >= 0; i-- {
		if servers[i].server.Shutdown(ctx) != nil {
			servers[i].close()
		}
	}
}
