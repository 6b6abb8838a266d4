package main

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"archeio/lambda/build"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/system"
)

// runName matches the name of a run, which contains its start time.
var runName = regexp.MustCompile(`(plan|status)-[0-9]{8}T[0-9]{6}\.[0-9]{3}Z`)

// TestEvents sends every sample event to the built function under the Runtime API
// and compares each response with the .want.json file next to the event.
func TestEvents(t *testing.T) {
	t.Parallel()
	root, err := build.Root()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "events", "mirror", "*.want.json"))
	if err != nil || len(files) < 5 {
		t.Fatalf("%d responses, error %v", len(files), err)
	}
	s, err := system.Start(t.Context(), system.Options{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	f, err := s.StartFiller(t.Context(), nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.PrepareSample(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".want.json")
		t.Run(name, func(t *testing.T) {
			payload, err := os.ReadFile(strings.TrimSuffix(file, ".want.json") + ".json")
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := f.API.Invoke(t.Context(), payload)
			if reported := (*runtimeapi.FunctionError)(nil); errors.As(err, &reported) {
				got = reported.Payload
			} else if err != nil {
				t.Fatal(err)
			}
			// A run starts only if no work of an earlier one is left.
			if err := f.Queue.Drain(t.Context(), 1, f.API.Invoke); err != nil {
				t.Fatal(err)
			}
			var x, y any
			if err := errors.Join(json.Unmarshal(runName.ReplaceAll(got, []byte("$1-TIME")), &x), json.Unmarshal(want, &y)); err != nil {
				t.Fatalf("%v in %s", err, got)
			}
			if !reflect.DeepEqual(x, y) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}
