package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"archeio/lambda/build"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/sample"
)

const eventsDir = "../../events"

// TestEvents sends every sample event to the built binary, each to a process
// of its own, and compares the answer with the one beside the event.
func TestEvents(t *testing.T) {
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(eventsDir, "*", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range files {
		dir, base := filepath.Split(strings.TrimSuffix(file, ".json"))
		name := filepath.Base(dir) + "/" + base
		if filepath.Base(dir) != "mirror" && !strings.HasSuffix(name, ".want") && !strings.HasSuffix(name, ".env") {
			names = append(names, name)
		}
	}
	if len(names) < 30 {
		t.Fatalf("there are only %d sample events", len(names))
	}
	first, err := sample.Read(filepath.Join(eventsDir, names[0]+".json"), eventsDir)
	if err != nil {
		t.Fatal(err)
	}
	stop, err := first.ServeMirrors(t.Context(), first.MirrorAddress())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(eventsDir, name+".json")
			event, err := sample.Read(file, eventsDir)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(strings.TrimSuffix(file, ".json") + ".want.json")
			if err != nil {
				t.Fatal(err)
			}
			got, err := runtimeapi.InvokeOnce(t.Context(), bootstrap, event.Env, event.Payload, io.Discard)
			var reported *runtimeapi.FunctionError
			if errors.As(err, &reported) {
				got = reported.Payload
			} else if err != nil {
				t.Fatal(err)
			}
			if !equal(t, got, text) {
				t.Errorf("answer\n%s\nwant\n%s", got, text)
			}
		})
	}
}

func equal(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatalf("%s: %v", b, err)
	}
	return reflect.DeepEqual(x, y)
}

// A wrong configuration stops the function before its first event, with one
// line that says what is wrong.
func TestWrongConfiguration(t *testing.T) {
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"required", nil, `UPSTREAM_REGISTRY_ENDPOINT="": required`},
		{"not-https", map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "http://registry.example"}, `UPSTREAM_REGISTRY_ENDPOINT="http://registry.example": not https: want an https URL`},
		{"duration", map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example", "MIRROR_CHECK_TIMEOUT": "fast"}, `MIRROR_CHECK_TIMEOUT="fast": not a duration`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := runtimeapi.InvokeOnce(context.Background(), bootstrap, tt.env, []byte("{}"), io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
}

// The function writes what it counted about an answer and about the mirrors
// that it asked.
func TestMetricsAreWritten(t *testing.T) {
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	event, err := sample.Read(filepath.Join(eventsDir, "alb/blob-aws-mirror.json"), eventsDir)
	if err != nil {
		t.Fatal(err)
	}
	stop, err := event.ServeMirrors(t.Context(), event.MirrorAddress())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	var out bytes.Buffer
	if _, err := runtimeapi.InvokeOnce(t.Context(), bootstrap, event.Env, event.Payload, &out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"Namespace":"Archeio"`, `"Kind":"blob"`, `"Cloud":"AWS"`, `"Reason":"aws-region"`, ` present"`, `"ColdStarts":1`, `"TotalLatency"`, `"CheckLatency"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%s is missing in what the function wrote:\n%s", want, out.String())
		}
	}
}
