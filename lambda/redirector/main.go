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
	"archeio/lambda/rangetable"
	"archeio/lambda/redirect"
	"archeio/lambda/relay"
)

func main() {
	c, err := config.Load(os.Getenv)
	if err != nil {
		os.Stderr.WriteString("redirector: " + err.Error() + "\n")
		os.Exit(1)
	}
	log := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: c.LogLevel}))
	recorder := metrics.NewRecorder(os.Stdout, time.Now)
	transport := blobs.NewTransport()
	checker := blobs.New(blobs.Options{
		Transport:      transport,
		Timeout:        c.CheckTimeout,
		HealthInterval: c.HealthInterval,
		Observe:        recorder.Check,
		Index: blobs.IndexOptions{
			URL: c.IndexURL(), Refresh: c.IndexRefresh, MaxAge: c.IndexMaxAge,
			Observe: observeIndex(recorder, log),
		},
	})
	origins := redirect.NewOrigins(c, checker)
	if c.Relays() {
		origins.Relay = relay.New(c, checker, relay.Options{Observe: recorder.Relayed, ObserveToken: recorder.TokenFetch})
	}
	handler := redirect.New(c, origins, recorder, log)
	checker.Accompany(rangetable.New(rangetable.Options{
		URL: c.RangesURL(), Refresh: c.RangesRefresh, MaxAge: c.RangesMaxAge,
		Transport: transport, Current: handler.Ranges(), Observe: observeRanges(recorder, log),
	}))
	// The index and the range table are refreshed after a response is sent, so that
	// they do not compete with the request for the CPU.
	lambda.Start(newGraceful(gateway.New(c.ClientAddressHeader, handler.Handle, recorder.Flush), checker.Refresh, recorder.Close, log))
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

// observeRanges returns a function that records each load of the range table, and logs
// when another one is in use and when loading starts to fail.
func observeRanges(recorder *metrics.Recorder, log *slog.Logger) func(rangetable.Event) {
	var failed bool // loads are sequential
	return func(e rangetable.Event) {
		recorder.Ranges(e.Outcome, e.Age)
		switch {
		case e.Err != nil && !failed:
			log.Warn("range table not refreshed; using the last one", "ranges", e.Outcome, "age", e.Age.Round(time.Second).String(), "error", e.Err.Error())
		case e.Outcome == rangetable.Loaded:
			log.Info("range table refreshed", "age", e.Age.Round(time.Second).String())
		}
		failed = e.Err != nil
	}
}
