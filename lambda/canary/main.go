// Command canary is the Lambda function that pulls an image every few minutes as a client
// does, through each entry point of its region: the API version check, a manifest and its
// smallest blob, whose digests are checked. It writes metrics and logs failures.
//
// Its environment has
//
//	CANARY_ENTRY_POINTS  what is pulled through, as NAME=URL, comma-separated
//	CANARY_IMAGE         the image, as NAME:TAG or NAME@DIGEST
//	CANARY_STATE         the state bucket of the mirror functions, as NAME@REGION, which
//	                     has the smallest image if CANARY_IMAGE is empty
package main

import (
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// Each pull connects again, as that of another client does.
	transport.DisableKeepAlives = true
	c := canary{transport: transport, metrics: os.Stdout, log: log, now: time.Now}
	if err := c.load(os.Getenv); err != nil {
		log.Error("reading the configuration failed", "error", err.Error())
		os.Exit(1)
	}
	lambda.Start(c.handle)
}
