// Command run is one of the programs that the redirector is compared with, as PEER
// says. Its configuration is that of the redirector.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/gateway"
	"archeio/lambda/metrics"
	"archeio/lambda/redirect"
	"archeio/lambda/relay"
	"archeio/scripts/prove/bench/peers"
)

func main() {
	if err := run(os.Getenv("PEER")); err != nil {
		os.Stderr.WriteString("run: " + err.Error() + "\n")
		os.Exit(1)
	}
}

func run(peer string) error {
	c, err := config.Load(os.Getenv)
	if err != nil {
		return err
	}
	recorder := metrics.NewRecorder(os.Stderr, time.Now)
	switch peer {
	case "unchecked":
		// The redirector as a function, without existence checks.
		h := redirect.New(c, allPresent(c), recorder, nil)
		lambda.Start(gateway.New(c.ClientAddressHeader, h.Handle, recorder.Flush))
	case "adapter":
		// The usual way to run an HTTP server as a function.
		lambda.Start(httpadapter.NewALB(peers.NewReference(c)).ProxyWithContext)
	case "reference-server":
		return serve(peers.NewReference(c))
	case "redirector-server":
		checker := blobs.New(blobs.Options{Timeout: c.CheckTimeout, HealthInterval: c.HealthInterval, Observe: recorder.Check})
		h := redirect.New(c, redirect.NewOrigins(c, checker), recorder, nil)
		return serve(peers.NewRedirector(h, recorder.Flush))
	case "relay-server":
		checker := blobs.New(blobs.Options{Timeout: c.CheckTimeout, HealthInterval: c.HealthInterval, Observe: recorder.Check})
		origins := redirect.NewOrigins(c, checker)
		origins.Relay = relay.New(c, checker, relay.Options{Observe: recorder.Relayed, ObserveToken: recorder.TokenFetch})
		return serve(peers.NewRedirector(redirect.New(c, origins, recorder, nil), recorder.Flush))
	case "reverse-proxy":
		h, err := peers.NewReverseProxy(c)
		if err != nil {
			return err
		}
		return serve(h)
	default:
		return fmt.Errorf("unknown PEER %q", peer)
	}
	return nil
}

// serve serves a handler on a free port of loopback, and prints its address.
func serve(h http.Handler) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(l.Addr())
	return http.Serve(l, h)
}

// present is a mirror that has every blob.
type present struct{}

func (present) Has(context.Context, *blobs.Limit, string) blobs.Answer { return blobs.Present }

// allPresent returns origins that have every blob.
func allPresent(c *config.Config) redirect.Origins {
	o := redirect.Origins{Default: present{}, Upstream: present{}}
	for range c.Mirrors {
		o.Mirrors = append(o.Mirrors, present{})
	}
	return o
}
