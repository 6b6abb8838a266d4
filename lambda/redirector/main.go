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
		Index: blobs.IndexOptions{
			URL: c.IndexURL(), Refresh: c.IndexRefresh, MaxAge: c.IndexMaxAge,
			Observe: watch(recorder, log),
		},
	})
	handler := redirect.New(c, redirect.NewOrigins(c, checker), recorder, log)
	// Loading the index before an answer is sent would share the processor with it.
	lambda.Start(newWork(gateway.New(c.ClientAddressHeader, handler.Handle, recorder.Flush), checker.Refresh, recorder.Close))
}

// watch counts what becomes of the index, and warns once of each trouble until
// it is over.
func watch(recorder *metrics.Recorder, log *slog.Logger) func(blobs.IndexEvent) {
	var last string // attempts are made one after the other
	return func(e blobs.IndexEvent) {
		recorder.Index(e.Outcome, e.Age)
		if e.Err != nil && e.Outcome != last {
			log.Warn("the index is not used, or an older one is; blobs are looked for one by one", "index", e.Outcome, "error", e.Err.Error())
		}
		last = e.Outcome
	}
}
