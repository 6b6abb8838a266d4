// Command redirector is the Lambda function. It reads its configuration from
// the environment (see package config), and answers the events of every front
// that package gateway knows.
package main

import (
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/gateway"
	"archeio/lambda/metrics"
	"archeio/lambda/redirect"
)

func main() {
	c, err := config.Load(os.Getenv)
	if err != nil {
		os.Stderr.WriteString("redirector: " + err.Error() + "\n")
		os.Exit(1)
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	recorder := metrics.NewRecorder(os.Stdout, time.Now)
	checker := blobs.New(blobs.Options{
		Timeout:        c.CheckTimeout,
		HealthInterval: c.HealthInterval,
		Observe:        recorder.Check,
	})
	handler := redirect.New(c, redirect.Ask(c, checker), recorder, log)
	lambda.Start(gateway.New(c.ClientAddressHeader, handler.Handle, recorder.Flush))
}
