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

// TestEvents sends every sample event to the built function, each to a new process,
// and compares the response with the .want.json file of the event. The sample
// mirrors have a fixed port, so no other test here that uses them is parallel.
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
		t.Fatalf("%d sample events, want at least 30", len(names))
	}
	first, err := sample.Read(filepath.Join(eventsDir, names[0]+".json"), eventsDir)
	if err != nil {
		t.Fatal(err)
	}
	stop, err := first.ServeMirrors(t.Context(), first.MirrorAddress())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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
				t.Errorf("response\n%s\nwant\n%s", got, text)
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

// TestInvalidConfiguration checks that the function exits before its first event,
// with one line that says what is wrong.
func TestInvalidConfiguration(t *testing.T) {
	t.Parallel()
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

// TestMetricsAreWritten checks the metrics of a request and of its existence checks.
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
			t.Errorf("output has no %s:\n%s", want, out.String())
		}
	}
}
