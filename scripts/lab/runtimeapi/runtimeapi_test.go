package runtimeapi

import (
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archeio/lambda/build"
)

var environment = map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://registry.example"}

func TestSeveralProcessesShareTheEvents(t *testing.T) {
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	api, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	for range 2 {
		p, err := api.Start(bootstrap, environment, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Stop)
	}
	results := make(chan error, 32)
	for range cap(results) {
		go func() {
			out, err := api.Invoke(t.Context(), []byte(`{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/"}`))
			if err == nil && !strings.Contains(string(out), `"statusCode":200`) {
				err = errors.New(string(out))
			}
			results <- err
		}()
	}
	for range cap(results) {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

func TestFunctionError(t *testing.T) {
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	_, err = InvokeOnce(t.Context(), bootstrap, environment, []byte(`{"hello":"world"}`), io.Discard)
	var reported *FunctionError
	if !errors.As(err, &reported) || !strings.Contains(string(reported.Payload), `"errorType":"EventError"`) {
		t.Errorf("error %v, want the function's own EventError", err)
	}
}

func TestProcessThatEndsAtOnce(t *testing.T) {
	script := filepath.Join(t.TempDir(), "bootstrap")
	if err := os.WriteFile(script, []byte("#!/bin/sh\necho first >&2\necho 'the last line' >&2\nexit 3\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := InvokeOnce(t.Context(), script, nil, []byte("{}"), io.Discard); err == nil || err.Error() != "the function ended: the last line" {
		t.Errorf("error %v", err)
	}
	if _, err := InvokeOnce(t.Context(), filepath.Join(t.TempDir(), "none"), nil, nil, io.Discard); err == nil {
		t.Error("a function that is not there was started")
	}
}

// What a process has taken is lost with it; what waits is for the next one.
func TestLose(t *testing.T) {
	api, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	results := make(chan error, 2)
	for range cap(results) {
		go func() {
			_, err := api.Invoke(t.Context(), []byte("{}"))
			results <- err
		}()
	}
	take := func() string {
		resp, err := http.Get("http://" + api.Address() + "/2018-06-01/runtime/invocation/next")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
	}
	take()
	ended := errors.New("it ended")
	api.FailInFlight(ended)
	if err := <-results; err != ended {
		t.Errorf("the one that was taken: %v", err)
	}
	resp, err := http.Post("http://"+api.Address()+"/2018-06-01/runtime/invocation/"+take()+"/response", "", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := <-results; err != nil {
		t.Errorf("the one that waited: %v", err)
	}
}
