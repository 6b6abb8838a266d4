// Command adapter is the usual way to run an HTTP server as a Lambda function: the
// handler is one of net/http, behind an adapter for the events of a load balancer.
// Its handler does the same work as archeio, the server of registry.k8s.io.
package main

import (
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/awslabs/aws-lambda-go-api-proxy/httpadapter"

	"archeio/lambda/config"
	"archeio/scripts/prove/bench/peers"
)

func main() {
	c, err := config.Load(os.Getenv)
	if err != nil {
		os.Stderr.WriteString("adapter: " + err.Error() + "\n")
		os.Exit(1)
	}
	lambda.Start(httpadapter.NewALB(peers.NewReference(c)).ProxyWithContext)
}
