// Command server is a net/http server on a free port of loopback, which it prints. Its
// handler is the redirector's, or one that does the same work as archeio, the server
// of registry.k8s.io, if HANDLER is "reference".
package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/metrics"
	"archeio/lambda/redirect"
	"archeio/scripts/prove/bench/peers"
)

func main() {
	if err := serve(); err != nil {
		os.Stderr.WriteString("server: " + err.Error() + "\n")
		os.Exit(1)
	}
}

func serve() error {
	c, err := config.Load(os.Getenv)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h := peers.NewReference(c)
	if os.Getenv("HANDLER") != "reference" {
		h = redirector(c)
	}
	fmt.Println(l.Addr())
	return http.Serve(l, h)
}

// redirector returns the redirector's handler with the parts that it has as a
// function, except for the index.
func redirector(c *config.Config) http.Handler {
	recorder := metrics.NewRecorder(os.Stderr, time.Now)
	checker := blobs.New(blobs.Options{Timeout: c.CheckTimeout, HealthInterval: c.HealthInterval, Observe: recorder.Check})
	return peers.NewRedirector(redirect.New(c, redirect.NewOrigins(c, checker), recorder, nil), recorder.Flush)
}
