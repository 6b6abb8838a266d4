package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"

	"archeio/lambda/build"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/sample"
)

const ping = `{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/","multiValueHeaders":{}}`

// TestTerminateInMidRequest: the answer that is under way is sent first, then
// what was counted is written, and the process ends without an error.
func TestTerminateInMidRequest(t *testing.T) {
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	event, err := sample.Read(filepath.Join(eventsDir, "alb/blob-aws-mirror.json"), eventsDir)
	if err != nil {
		t.Fatal(err)
	}
	asked, answer := make(chan bool), make(chan bool)
	mirror := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- true
		<-answer
	}))
	defer mirror.Close()
	api, err := runtimeapi.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	var out bytes.Buffer
	process, err := api.Start(bootstrap, map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": "https://upstream.example",
		"DEFAULT_AWS_BASE_URL":       mirror.URL,
		"MIRROR_INDEX_REFRESH":       "none", // the blob is all that is asked for
	}, &out)
	if err != nil {
		t.Fatal(err)
	}
	defer process.Stop()
	type result struct {
		payload []byte
		err     error
	}
	answered := make(chan result, 1)
	go func() {
		payload, err := api.Invoke(t.Context(), event.Payload)
		answered <- result{payload, err}
	}()
	<-asked
	// One that waits meanwhile is left to the next process.
	waited := make(chan result, 1)
	go func() {
		payload, err := api.Invoke(t.Context(), []byte(ping))
		waited <- result{payload, err}
	}()
	if err := syscall.Kill(process.Pid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// The signal is taken before the mirror answers: a process that it ends does
	// so within this time, and one that it does not end goes on waiting.
	select {
	case <-process.Exited():
		t.Error("it ended in the midst of an invocation")
	case <-time.After(100 * time.Millisecond):
	}
	answer <- true
	if r := <-answered; r.err != nil || !strings.Contains(string(r.payload), mirror.URL) {
		t.Errorf("answer %s, error %v", r.payload, r.err)
	}
	<-process.Exited()
	if code := process.ExitCode(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if !strings.Contains(out.String(), `"Namespace":"Archeio"`) {
		t.Errorf("no metrics in %s", &out)
	}
	next, err := api.Start(bootstrap, map[string]string{"UPSTREAM_REGISTRY_ENDPOINT": "https://upstream.example"}, &out)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Stop()
	if r := <-waited; r.err != nil || !strings.Contains(string(r.payload), `"statusCode":200`) {
		t.Errorf("answer %s, error %v of the one that waited", r.payload, r.err)
	}
}

// TestTerminateIdle: a process that has answered ends as it wants, one that was
// never asked as every other.
func TestTerminateIdle(t *testing.T) {
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		asked int
		code  int
	}{
		{"never-asked", 0, -1},
		{"asked", 2, 0},
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
			for range tt.asked {
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
			// The second request is counted, and written only at the end.
			if n := strings.Count(out.String(), `"Kind":"ping","Requests":1`); n != tt.asked {
				t.Errorf("%d requests in the metrics, want %d: %s", n, tt.asked, &out)
			}
		})
	}
}

// TestDeliver: what the Runtime API does not accept is not taken for delivered.
func TestDeliver(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		ok     bool
	}{
		{"accepted", http.StatusAccepted, true},
		{"too-large", http.StatusRequestEntityTooLarge, false},
		{"broken", http.StatusInternalServerError, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			asked := ""
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked = r.Method + " " + r.URL.Path
				w.WriteHeader(tt.status)
			}))
			defer api.Close()
			t.Setenv("AWS_LAMBDA_RUNTIME_API", strings.TrimPrefix(api.URL, "http://"))
			ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "7"})
			if err := deliver(ctx, []byte("{}")); (err == nil) != tt.ok {
				t.Errorf("error %v", err)
			}
			if want := "POST /2018-06-01/runtime/invocation/7/response"; asked != want {
				t.Errorf("asked %s, want %s", asked, want)
			}
		})
	}
	if deliver(t.Context(), nil) == nil {
		t.Error("delivered without an invocation")
	}
}
