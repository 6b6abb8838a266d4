package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
)

func (t *ruleTest) http2(ctx context.Context) (string, error) {
	p := &http.Protocols{}
	p.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: p}
	defer transport.CloseIdleConnections()
	a, err := t.getBlob(ctx, transport, t.at.url+t.path, nil, "aws-region")
	if err != nil {
		return "", err
	}
	if a.first.ProtoMajor != 2 || a.last.ProtoMajor != 2 {
		return "", fmt.Errorf("the responses came over %s and %s", a.first.Proto, a.last.Proto)
	}
	return a.String() + " over " + a.first.Proto, nil
}

// keepAlive sends different requests, some of which get errors, and counts the
// connections.
func (t *ruleTest) keepAlive(ctx context.Context) (string, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 1}
	defer transport.CloseIdleConnections()
	connections, proto := 0, ""
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) {
		if !i.Reused {
			connections++
		}
	}})
	methods := []string{http.MethodGet, http.MethodHead, http.MethodPost}
	paths := []string{t.path, "/v2/" + singleRepository + "/manifests/" + tag, "/v2/", "/v2/BAD/tags/list"}
	for i := range 60 {
		r, err := http.NewRequestWithContext(ctx, methods[i%len(methods)], t.at.url+paths[i%len(paths)], nil)
		if err != nil {
			return "", err
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			return "", err
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		proto = resp.Proto
	}
	if connections != 1 {
		return "", fmt.Errorf("%d connections for 60 requests, want 1", connections)
	}
	return "1 connection, " + proto, nil
}
