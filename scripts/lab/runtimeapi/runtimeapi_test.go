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

func redirector(t *testing.T) string {
	t.Helper()
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	return bootstrap
}

func listen(t *testing.T) *API {
	t.Helper()
	api, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { api.Close() })
	return api
}

// TestFunction runs the built redirector. Its parts are one test, so that the
// function is built once.
func TestFunction(t *testing.T) {
	t.Parallel()
	bootstrap := redirector(t)
	t.Run("several-processes", func(t *testing.T) {
		t.Parallel()
		api := listen(t)
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
	})
	t.Run("function-error", func(t *testing.T) {
		t.Parallel()
		_, err := InvokeOnce(t.Context(), bootstrap, environment, []byte(`{"hello":"world"}`), io.Discard)
		var reported *FunctionError
		if !errors.As(err, &reported) || !strings.Contains(string(reported.Payload), `"errorType":"EventError"`) {
			t.Errorf("error %v, want the function's own EventError", err)
		}
	})
}

// TestExit runs scripts that it writes itself. It is not parallel: a process that
// another test starts could inherit the open file, and then the script cannot
// be run ("text file busy").
func TestExit(t *testing.T) {
	for _, tt := range []struct{ name, script, want string }{
		{"last-line", "echo first >&2\necho 'the last line' >&2\nexit 3\n", "the function exited: the last line"},
		{"no-output", "exit 3\n", "the function exited: exit status 3"},
		{"missing", "", "starting the function: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "bootstrap")
			if tt.script != "" {
				if err := os.WriteFile(file, []byte("#!/bin/sh\n"+tt.script), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := InvokeOnce(t.Context(), file, nil, []byte("{}"), io.Discard); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// TestFailInFlight fails the event that a process has received; the event that
// waits goes to the next process.
func TestFailInFlight(t *testing.T) {
	t.Parallel()
	api := listen(t)
	results := make(chan error, 2)
	for range cap(results) {
		go func() {
			_, err := api.Invoke(t.Context(), []byte("{}"))
			results <- err
		}()
	}
	receive := func() (requestID string) {
		resp, err := http.Get("http://" + api.Address() + "/2018-06-01/runtime/invocation/next")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		return resp.Header.Get("Lambda-Runtime-Aws-Request-Id")
	}
	receive()
	exited := errors.New("the process exited")
	api.FailInFlight(exited)
	if err := <-results; err != exited {
		t.Errorf("the event in flight: error %v, want %v", err, exited)
	}
	resp, err := http.Post("http://"+api.Address()+"/2018-06-01/runtime/invocation/"+receive()+"/response", "", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if err := <-results; err != nil {
		t.Errorf("the event that waited: error %v", err)
	}
}
