package main

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// loadResult is what a load has measured.
type loadResult struct {
	Requests  int64   `json:"requests"`
	Clients   int     `json:"clients"`
	Processes int     `json:"processes"`
	Kinds     int     `json:"kinds"` // different requests
	Wrong     int64   `json:"wrong"` // responses
	Failed    int64   `json:"failed"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"perSecond"`
	// Latencies at the client.
	P50 float64 `json:"p50Milliseconds"`
	P99 float64 `json:"p99Milliseconds"`
	Max float64 `json:"maxMilliseconds"`
	// ExistenceChecks are the HEAD requests that the mirrors got.
	ExistenceChecks int64          `json:"existenceChecks"`
	Statuses        map[string]int `json:"statuses"`
	Reasons         map[string]int `json:"reasons"`
	// Memory of each process in kB, once a second.
	Memory []memoryCurve `json:"memory"`

	first   string // the first wrong response or failed request
	timeout string // set if the load did not finish
}

// result returns the result after the last client has ended, without Memory.
func (l *load) result() *loadResult {
	slices.Sort(l.latencies)
	quantile := func(q float64) float64 {
		if len(l.latencies) == 0 {
			return 0
		}
		return float64(l.latencies[int(q*float64(len(l.latencies)-1))].Microseconds()) / 1000
	}
	elapsed := time.Since(l.began).Seconds()
	return &loadResult{
		Requests: int64(len(l.latencies)), Clients: l.options.clients, Processes: len(l.processes), Kinds: len(l.mix),
		Wrong: l.wrong.Load(), Failed: l.failed.Load(), first: l.first,
		Seconds: elapsed, PerSecond: float64(len(l.latencies)) / elapsed,
		P50: quantile(0.5), P99: quantile(0.99), Max: quantile(1),
		ExistenceChecks: l.existenceChecks(), Statuses: l.statuses, Reasons: l.reasons,
	}
}

// checkResponses returns an error if a response was wrong, a request failed, or the
// load was smaller than it had to be.
func (r *loadResult) checkResponses(o loadOptions) error {
	switch {
	case r.Wrong+r.Failed > 0:
		return fmt.Errorf("%d wrong responses, %d failed requests; the first: %s", r.Wrong, r.Failed, r.first)
	case r.timeout != "":
		return fmt.Errorf("%s: %d requests of %d", r.timeout, r.Requests, o.requests)
	case r.Requests < int64(o.requests) || r.Seconds < o.atLeast.Seconds():
		return fmt.Errorf("%d requests in %.0fs, want at least %d and %s", r.Requests, r.Seconds, o.requests, o.atLeast)
	}
	return nil
}

// checkMemory returns an error if the memory of a process grew.
func (r *loadResult) checkMemory() error {
	if len(r.Memory) == 0 {
		return errors.New("the memory of no process was read")
	}
	for i, c := range r.Memory {
		if !c.flat() {
			return fmt.Errorf("process %d has %.1f MB at the end and %.1f MB when warm, want at most %d MB more", i+1, mb(c.at(1)), mb(c.at(warmUp)), growth>>10)
		}
	}
	return nil
}

func (r *loadResult) String() string {
	return fmt.Sprintf("%d requests of %d kinds from %d clients to %d processes in %.0fs: %.0f per second, p50 %.1f ms, p99 %.1f ms; %d wrong, %d failed; %d existence checks; %s",
		r.Requests, r.Kinds, r.Clients, r.Processes, r.Seconds, r.PerSecond, r.P50, r.P99, r.Wrong, r.Failed, r.ExistenceChecks, counted(r.Statuses))
}

// largest describes the process with the most memory.
func (r *loadResult) largest() string {
	var warm, end int
	for _, c := range r.Memory {
		warm, end = max(warm, c.at(warmUp)), max(end, c.at(1))
	}
	return fmt.Sprintf("largest process: %.1f MB when warm, %.1f MB at the end, at most %d MB more", mb(warm), mb(end), growth>>10)
}
