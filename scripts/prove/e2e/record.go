package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// hop is one request as the server saw it, with what it answered.
type hop struct {
	Server, Method, Path, Query string
	Status                      int
	Reason, Location            string
	// Agent is the User-Agent; Token tells that a token was asked for or sent.
	Agent string
	Token bool
}

// own tells that the function asked, and not a client: no client here sends
// Go's own User-Agent.
func (h hop) own() bool { return strings.HasPrefix(h.Agent, "Go-http-client") || h.Agent == "" }

// digest is the blob's that was asked for; empty where it was none.
func (h hop) digest() string {
	if strings.Contains(h.Path, "/blobs/") || strings.Contains(h.Path, "/containers/images/") {
		if d, err := url.PathUnescape(path.Base(h.Path)); err == nil {
			return d
		}
	}
	return ""
}

// recorder keeps the hops at all servers in the order in which they were
// answered. It is safe for concurrent use.
type recorder struct {
	mu   sync.Mutex
	hops []hop
}

func (r *recorder) add(h hop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hops = append(r.hops, h)
}

// take answers the hops since the last take.
func (r *recorder) take() []hop {
	r.mu.Lock()
	defer r.mu.Unlock()
	hops := r.hops
	r.hops = nil
	return hops
}

// server is a port of this machine before something real. It writes down what
// passes, and can be made to fail.
type server struct {
	name, base, address string

	recorder *recorder // nil writes nothing down
	handler  http.Handler
	fault    atomic.Pointer[http.HandlerFunc] // answers instead, where it is set
	heads    atomic.Int64                     // how many HEAD requests came

	mu     sync.Mutex
	server *http.Server
}

func listenAs(name string, r *recorder, h http.Handler) (*server, error) {
	return listenOn("127.0.0.1:0", name, r, h)
}

func listenOn(address, name string, r *recorder, h http.Handler) (*server, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &server{name: name, address: l.Addr().String(), recorder: r, handler: h}
	s.base = "http://" + s.address
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

// down closes the port and every connection; up opens it again.
func (s *server) down() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.server.Close()
}

func (s *server) up() error {
	l, err := net.Listen("tcp", s.address)
	if err != nil {
		return err
	}
	s.serve(l)
	return nil
}

// fail has every request answered by h; nil ends that.
func (s *server) fail(h http.HandlerFunc) {
	if h == nil {
		s.fault.Store(nil)
		return
	}
	s.fault.Store(&h)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		s.heads.Add(1)
	}
	if s.recorder != nil {
		w = &noting{ResponseWriter: w, note: func(status int, answer http.Header) {
			p, query, _ := strings.Cut(r.RequestURI, "?")
			s.recorder.add(hop{
				Server: s.name, Method: r.Method, Path: p, Query: query, Status: status,
				Reason: answer.Get("X-Redirect-Reason"), Location: answer.Get("Location"), Agent: r.UserAgent(),
				Token: status == http.StatusUnauthorized || answer.Get("WWW-Authenticate") != "" || r.Header.Get("Authorization") != "",
			})
		}}
	}
	if f := s.fault.Load(); f != nil {
		(*f)(w, r)
		return
	}
	s.handler.ServeHTTP(w, r)
}

// noting tells of the status before the client gets it.
type noting struct {
	http.ResponseWriter
	note func(int, http.Header)
	done bool
}

func (n *noting) WriteHeader(status int) {
	if !n.done && status >= 200 {
		n.done = true
		n.note(status, n.Header())
	}
	n.ResponseWriter.WriteHeader(status)
}

func (n *noting) Write(b []byte) (int, error) {
	if !n.done {
		n.WriteHeader(http.StatusOK)
	}
	return n.ResponseWriter.Write(b)
}

func (n *noting) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// proxy passes everything on to a base URL that becomes known later.
type proxy struct {
	target atomic.Pointer[url.URL]
	// change may alter a request first.
	change func(*http.Request)
}

func (p *proxy) to(base string) error {
	u, err := url.Parse(base)
	if err == nil {
		p.target.Store(u)
	}
	return err
}

var passOn = toTheEnd{&http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}

// toTheEnd cuts no request off when its client goes: that can close the connection
// of the next one, which would get 502 (https://go.dev/issue/41600).
type toTheEnd struct{ *http.Transport }

func (t toTheEnd) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.Transport.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := p.target.Load()
	if target == nil {
		http.Error(w, "not up yet", http.StatusServiceUnavailable)
		return
	}
	(&httputil.ReverseProxy{
		Transport: passOn,
		Rewrite: func(q *httputil.ProxyRequest) {
			q.SetURL(target)
			if p.change != nil {
				p.change(q.Out)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
			}
		},
	}).ServeHTTP(w, r)
}

// closeAll ends servers, the last one first.
func closeAll(servers []*server) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for i := len(servers) - 1; i >= 0; i-- {
		if servers[i].server.Shutdown(ctx) != nil {
			servers[i].down()
		}
	}
}
