package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
)

// dial sends every host of AWS to the emulator, the stage's own names to what
// stands in for them, and the registry's address to the registry.
func (e *emulator) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	switch {
	case "http://"+address == e.upstream:
		address = strings.Replace(address, "localhost", "127.0.0.1", 1)
	case host == domain || host == "alb."+domain:
		address = e.domains
	default:
		address = "127.0.0.1:" + e.port
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// serveProxy lets other programs of this machine reach the same hosts: a proxy
// on loopback that knows only CONNECT.
func (e *emulator) serveProxy() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "this proxy takes CONNECT only", http.StatusMethodNotAllowed)
			return
		}
		there, err := e.dial(r.Context(), "tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer there.Close()
		here, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer here.Close()
		io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			io.Copy(there, here)
			there.Close()
		}()
		io.Copy(here, there)
	})}
	go server.Serve(l)
	e.closers = append(e.closers, func() { server.Close() })
	e.proxy = l.Addr().String()
	return nil
}
