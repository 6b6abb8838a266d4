package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"archeio/lambda/build"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/sample"
)

const ping = `{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/","multiValueHeaders":{}}`

// TestTerminateDuringInvocation checks that the response is sent first, then the
// metrics are written, and the process exits with 0.
func TestTerminateDuringInvocation(t *testing.T) {
	t.Parallel()
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	event, err := sample.Read(filepath.Join(eventsDir, "alb/blob-aws-mirror.json"), eventsDir)
	if err != nil {
		t.Fatal(err)
	}
	checked, respond := make(chan bool), make(chan bool)
	mirror := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		checked <- true
		<-respond
	}))
	defer mirror.Close()
	api, err := runtimeapi.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	out := &awaited{text: "SIGTERM received", seen: make(chan struct{})}
	process, err := api.Start(bootstrap, map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": "https://upstream.example",
		"DEFAULT_AWS_BASE_URL":       mirror.URL,
		"MIRROR_INDEX_REFRESH":       "none", // only the blob is requested
		"RANGES_REFRESH":             "none",
		"LOG_LEVEL":                  "debug",
	}, out)
	if err != nil {
		t.Fatal(err)
	}
	defer process.Stop()
	type result struct {
		payload []byte
		err     error
	}
	first := make(chan result, 1)
	go func() {
		payload, err := api.Invoke(t.Context(), event.Payload)
		first <- result{payload, err}
	}()
	select {
	case <-checked:
	case <-process.Exited():
		t.Fatalf("the process exited before it checked the blob: %s", out)
	}
	// An event that arrives now is left to the next process.
	second := make(chan result, 1)
	go func() {
		payload, err := api.Invoke(t.Context(), []byte(ping))
		second <- result{payload, err}
	}()
	if err := syscall.Kill(process.Pid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-out.seen: // before the mirror responds
	case <-process.Exited():
		t.Fatalf("the process exited during an invocation: %s", out)
	}
	respond <- true
	if r := <-first; r.err != nil || !strings.Contains(string(r.payload), mirror.URL) {
		t.Errorf("response %s, error %v; want a redirect to the mirror", r.payload, r.err)
	}
	<-process.Exited()
	if code := process.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
	if !strings.Contains(out.String(), `"Namespace":"Archeio"`) {
		t.Errorf("output has no metrics: %s", out)
	}
	next, err := api.Start(bootstrap, map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://upstream.example"}, out)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Stop()
	if r := <-second; r.err != nil || !strings.Contains(string(r.payload), `"statusCode":200`) {
		t.Errorf("response %s, error %v to the second event; want status 200", r.payload, r.err)
	}
}

// awaited is the output of a process. It is safe for concurrent use.
type awaited struct {
	text string
	seen chan struct{} // closed when the output has the text

	mu  sync.Mutex
	out bytes.Buffer
}

// Write implements io.Writer.
func (a *awaited) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	before := bytes.Contains(a.out.Bytes(), []byte(a.text))
	n, err := a.out.Write(p)
	if !before && bytes.Contains(a.out.Bytes(), []byte(a.text)) {
		close(a.seen)
	}
	return n, err
}

// String returns the output so far.
func (a *awaited) String() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.out.String()
}

// TestTerminateIdle checks that a process exits with 0 after its first event, and is
// killed by the signal before it.
func TestTerminateIdle(t *testing.T) {
	t.Parallel()
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name   string
		events int
		code   int // -1 is killed by a signal
	}{
		{"before-first-event", 0, -1},
		{"after-events", 2, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			api, err := runtimeapi.Listen()
			if err != nil {
				t.Fatal(err)
			}
			defer api.Close()
			var out bytes.Buffer
			process, err := api.Start(bootstrap, map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://upstream.example"}, &out)
			if err != nil {
				t.Fatal(err)
			}
			defer process.Stop()
			<-api.Ready()
			for range tt.events {
				if _, err := api.Invoke(t.Context(), []byte(ping)); err != nil {
					t.Fatal(err)
				}
			}
			if err := syscall.Kill(process.Pid(), syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			<-process.Exited()
			if code := process.ExitCode(); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			// The second request is written only at exit.
			if n := strings.Count(out.String(), `"Kind":"ping","Requests":1`); n != tt.events {
				t.Errorf("%d requests in the metrics, want %d: %s", n, tt.events, &out)
			}
		})
	}
}

// TestDeliver checks that a response which the Runtime API rejects is an error.
func TestDeliver(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		ok     bool
	}{
		{"accepted", http.StatusAccepted, true},
		{"too-large", http.StatusRequestEntityTooLarge, false},
		{"server-error", http.StatusInternalServerError, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			requested := ""
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requested = r.Method + " " + r.URL.Path
				w.WriteHeader(tt.status)
			}))
			defer api.Close()
			t.Setenv("AWS_LAMBDA_RUNTIME_API", strings.TrimPrefix(api.URL, "http://"))
			ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "7"})
			if err := deliver(ctx, []byte("{}")); (err == nil) != tt.ok {
				t.Errorf("error %v, want success: %v", err, tt.ok)
			}
			if want := "POST /2018-06-01/runtime/invocation/7/response"; requested != want {
				t.Errorf("request %s, want %s", requested, want)
			}
		})
	}
	if deliver(t.Context(), nil) == nil {
		t.Error("no error without an invocation in the context")
	}
}
