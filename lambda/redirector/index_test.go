package main

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"archeio/lambda/blobs"
	"archeio/lambda/metrics"
	"archeio/lambda/rangetable"
)

// Events of the range table become metrics. What is wrong is logged when it begins.
func TestObserveRanges(t *testing.T) {
	t.Parallel()
	var out, log bytes.Buffer
	recorder := metrics.NewRecorder(&out, time.Now)
	observe := observeRanges(recorder, slog.New(slog.NewJSONHandler(&log, nil)))
	for _, e := range []rangetable.Event{
		{Outcome: rangetable.Corrupt, Age: time.Hour, Err: errors.New("damaged")},
		{Outcome: rangetable.Corrupt, Age: time.Hour, Err: errors.New("damaged")}, // is not logged again
		{Outcome: rangetable.Loaded, Age: time.Minute},
		{Outcome: rangetable.Unchanged, Age: 2 * time.Minute},
	} {
		observe(e)
	}
	recorder.Close()
	for _, want := range []string{`"Ranges":"corrupt","RangesLoads":2`, `"Ranges":"loaded","RangesLoads":1`, `"RangesAge":120`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("metrics without %s: %s", want, out.String())
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), `"ranges":"corrupt","age":"1h0m0s","error":"damaged"`) || !strings.Contains(log.String(), "range table refreshed") {
		t.Errorf("%d lines in the log, want one of the failure and one of the load: %s", n, log.String())
	}
}

// Events of the index become metrics. What is wrong is logged when it begins.
func TestObserveIndex(t *testing.T) {
	t.Parallel()
	var out, log bytes.Buffer
	recorder := metrics.NewRecorder(&out, time.Now)
	observe := observeIndex(recorder, slog.New(slog.NewJSONHandler(&log, nil)))
	wrong := errors.New("wrong")
	for _, e := range []blobs.IndexEvent{
		{Outcome: blobs.IndexTooLarge, Err: wrong},
		{Outcome: blobs.IndexContradicted, Mirror: "eu-west-1"},
		{Outcome: blobs.IndexDisabled, Mirror: "eu-west-1", Err: wrong},
		{Outcome: blobs.IndexTooLarge, Err: wrong}, // is not logged again
		{Outcome: blobs.IndexDisabled, Mirror: "eu-west-1"},
		{Outcome: blobs.IndexLoaded, Age: time.Minute},
	} {
		observe(e)
	}
	recorder.Close()
	for _, want := range []string{
		`"Index":"too-large","IndexLoads":2`, `"Index":"loaded","IndexLoads":1`, `"IndexAge":60`,
		`"Mirror":"eu-west-1","IndexContradicted":1`, `"Mirror":"eu-west-1","IndexDisabled":2`,
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("metrics without %s: %s", want, out.String())
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 2 || !strings.Contains(log.String(), `"mirror":"eu-west-1","error":"wrong"`) || !strings.Contains(log.String(), `"index":"too-large","error":"wrong"`) {
		t.Errorf("%d lines in the log, want one of the load and one of the mirror: %s", n, log.String())
	}
}
