package main

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
)

// proxy forwards requests to a base URL that may be set after it has started.
type proxy struct {
	target atomic.Pointer[url.URL]
	// rewrite changes a request before it is forwarded; it may be nil.
	rewrite func(*http.Request)
	// modify changes a response; it may be nil.
	modify func(*http.Response) error
	// keepHost is whether the Host header is forwarded as it is.
	keepHost bool
}

func (p *proxy) setTarget(base string) error {
	u, err := url.Parse(base)
	if err == nil {
		p.target.Store(u)
	}
	return err
}

var forward = uncancelled{&http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true}}

// uncancelled completes a request although its client has gone: cancelling it
// can close the connection of the next one, which would get a 502
// (https://go.dev/issue/41600).
type uncancelled struct{ *http.Transport }

func (t uncancelled) RoundTrip(r *http.Request) (*http.Response, error) {
	return t.Transport.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	target := p.target.Load()
	if target == nil {
		http.Error(w, "the target has not started yet", http.StatusServiceUnavailable)
		return
	}
	(&httputil.ReverseProxy{
		Transport:      forward,
		ModifyResponse: p.modify,
		Rewrite: func(q *httputil.ProxyRequest) {
			q.SetURL(target)
			if p.keepHost {
				q.Out.Host = q.In.Host
			}
			if p.rewrite != nil {
				p.rewrite(q.Out)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() == nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
			}
		},
	}).ServeHTTP(w, r)
}
