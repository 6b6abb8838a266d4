package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
)

// dial connects to the emulator for the hosts of AWS, to the server of the domains
// for names in the hosted zone, and to the registries and their storage for theirs.
func (e *emulator) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	switch {
	case "http://"+address == e.upstream, e.token != nil && "http://"+address == e.token.Storage:
		address = strings.Replace(address, "localhost", "127.0.0.1", 1)
	case strings.HasSuffix(host, "."+zoneName):
		address = e.domains
	default:
		address = "127.0.0.1:" + e.port
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// serveProxy starts a proxy on loopback through which other programs reach the same
// hosts. It supports CONNECT only.
func (e *emulator) serveProxy() error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			http.Error(w, "this proxy supports CONNECT only", http.StatusMethodNotAllowed)
			return
		}
		target, err := e.dial(r.Context(), "tcp", r.Host)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer target.Close()
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer client.Close()
		io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
		go func() {
			io.Copy(target, client)
			target.Close()
		}()
		io.Copy(client, target)
	})}
	go server.Serve(l)
	e.closers = append(e.closers, func() { server.Close() })
	e.proxy = l.Addr().String()
	return nil
}
