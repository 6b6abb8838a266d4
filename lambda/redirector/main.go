// Command redirector is the Lambda function that redirects registry clients. It
// reads its configuration from the environment, see package config, and handles
// the events of every entry point, see package gateway.
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
			Observe: observeIndex(recorder, log),
		},
	})
	handler := redirect.New(c, redirect.NewOrigins(c, checker), recorder, log)
	// The index is refreshed after a response is sent, so that it does not compete
	// with the request for the CPU.
	lambda.Start(newGraceful(gateway.New(c.ClientAddressHeader, handler.Handle, recorder.Flush), checker.Refresh, recorder.Close))
}

// observeIndex returns a function that records each load of the blob index and what
// mirrors contradict, and logs a warning when loading starts to fail or fails in
// another way, and when the index does not count for a mirror any more.
func observeIndex(recorder *metrics.Recorder, log *slog.Logger) func(blobs.IndexEvent) {
	var last string // loads are sequential
	return func(e blobs.IndexEvent) {
		switch e.Outcome {
		case blobs.IndexContradicted:
			recorder.IndexContradicted(e.Mirror)
			return
		case blobs.IndexDisabled:
			recorder.IndexDisabled(e.Mirror)
			if e.Err != nil {
				log.Warn("blob index disabled for a mirror; falling back to HEAD checks", "mirror", e.Mirror, "error", e.Err.Error())
			}
			return
		}
		recorder.Index(e.Outcome, e.Age)
		if e.Err != nil && e.Outcome != last {
			log.Warn("blob index unavailable or stale; falling back to HEAD checks", "index", e.Outcome, "error", e.Err.Error())
		}
		last = e.Outcome
	}
}
