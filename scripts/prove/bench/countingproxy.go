package main

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// countingProxy forwards requests to a server and counts them.
type countingProxy struct {
	requests atomic.Int64
	listener net.Listener
	server   *http.Server
}

func newCountingProxy(target string) (*countingProxy, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	p := &countingProxy{}
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(u)
		r.Out.Host = r.In.Host // part of S3's signature
	}}
	p.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.requests.Add(1)
		forward.ServeHTTP(w, r)
	})}
	go p.server.Serve(p.listener)
	return p, nil
}

func (p *countingProxy) base() string { return "http://" + p.listener.Addr().String() }

func (p *countingProxy) close() { p.server.Close() }
