package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
)

const deploymentID, executionID = "d-EXAMPLE", "an execution of the hook"

// codeDeploy simulates AWS CodeDeploy: it records the status that a hook reports.
type codeDeploy struct {
	mu       sync.Mutex
	statuses []string
}

// serve starts the server and returns its URL.
func (d *codeDeploy) serve() (url string, stop func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: d}
	go server.Serve(l)
	return "http://" + l.Addr().String(), func() { server.Close() }, nil
}

// ServeHTTP supports one action.
// https://docs.aws.amazon.com/codedeploy/latest/APIReference/API_PutLifecycleEventHookExecutionStatus.html
func (d *codeDeploy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var input struct{ DeploymentID, LifecycleEventHookExecutionID, Status string }
	err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&input)
	target := r.Header.Get("X-Amz-Target")
	valid := err == nil && r.Method == http.MethodPost && target == "CodeDeploy_20141006.PutLifecycleEventHookExecutionStatus" &&
		input.DeploymentID == deploymentID && input.LifecycleEventHookExecutionID == executionID
	d.mu.Lock()
	defer d.mu.Unlock()
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if !valid {
		d.statuses = append(d.statuses, fmt.Sprintf("%s %s with %+v, error %v", r.Method, target, input, err))
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d.statuses = append(d.statuses, input.Status)
	fmt.Fprintf(w, `{"lifecycleEventHookExecutionId":%q}`, executionID)
}

// expect returns an error unless exactly one status is reported during call.
func (d *codeDeploy) expect(call func() error, status string) error {
	d.mu.Lock()
	d.statuses = nil
	d.mu.Unlock()
	if err := call(); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return want(slices.Equal(d.statuses, []string{status}), "reported %q, want %q once", d.statuses, status)
}
