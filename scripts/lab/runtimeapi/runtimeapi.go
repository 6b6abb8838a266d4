// Package runtimeapi runs built Lambda functions on this machine. It implements
// the Lambda Runtime API on loopback:
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html.
//
// One API serves any number of processes of one function; each process receives
// the next waiting event. All methods are safe for concurrent use.
package runtimeapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// DefaultTimeout is the timeout of an invocation if the context passed to Invoke
// has no deadline.
const DefaultTimeout = 10 * time.Second

// FunctionError is an error that the function reported to the Runtime API.
type FunctionError struct {
	// Payload is the error in JSON, with errorMessage and errorType.
	Payload []byte
}

// Error returns a message with the payload.
func (e *FunctionError) Error() string { return "the function reported an error: " + string(e.Payload) }

// API is a Runtime API on a port of the loopback interface.
type API struct {
	listener net.Listener
	server   *http.Server
	queue    chan *invocation

	mu      sync.Mutex
	running map[string]*invocation
	next    int

	// polled is closed when a process requests its first event.
	polled     chan struct{}
	polledOnce sync.Once
}

type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	inFlight bool // received by a process; guarded by API.mu
	done     chan struct{}
	result   []byte
	err      error
}

// Listen opens an API on a free port.
func Listen() (*API, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("opening a Runtime API: %w", err)
	}
	a := &API{listener: l, queue: make(chan *invocation), running: map[string]*invocation{}, polled: make(chan struct{})}
	a.server = &http.Server{Handler: a, ReadHeaderTimeout: time.Minute}
	go a.server.Serve(l)
	return a, nil
}

// Address returns the value for AWS_LAMBDA_RUNTIME_API.
func (a *API) Address() string { return a.listener.Addr().String() }

// Close closes the listener and all connections. Stop the processes first.
func (a *API) Close() error { return a.server.Close() }

// Ready returns a channel that is closed when a process requests its first event.
func (a *API) Ready() <-chan struct{} { return a.polled }

// Invoke invokes the function with an event and returns its result. The error
// is a [*FunctionError] if the function reported one.
func (a *API) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(DefaultTimeout)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	i := &invocation{payload: payload, deadline: deadline, done: make(chan struct{})}
	a.mu.Lock()
	a.next++
	i.id = fmt.Sprintf("%08x-0000-4000-8000-000000000000", a.next)
	a.running[i.id] = i
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.running, i.id)
		a.mu.Unlock()
	}()
	select {
	case a.queue <- i:
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the function to receive the event: %w", context.Cause(ctx))
	}
	select {
	case <-i.done:
		return i.result, i.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the function's result: %w", context.Cause(ctx))
	}
}

// FailInFlight makes Invoke return err for every event that a process has
// received and not yet finished, as Lambda does when that process exits. It is
// for an API with one process: with several, it would fail the events of all.
func (a *API) FailInFlight(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, i := range a.running {
		if i.inFlight {
			delete(a.running, id)
			i.err = err
			close(i.done)
		}
	}
}

// ServeHTTP implements the Runtime API.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, "/2018-06-01/runtime/")
	if !ok {
		http.NotFound(w, r)
		return
	}
	if path == "invocation/next" {
		a.serveNext(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if path == "init/error" {
		w.WriteHeader(http.StatusAccepted)
		return
	}
	id, action, _ := strings.Cut(strings.TrimPrefix(path, "invocation/"), "/")
	a.mu.Lock()
	i := a.running[id]
	delete(a.running, id)
	a.mu.Unlock()
	switch {
	case i == nil:
		http.Error(w, `{"errorType":"InvalidRequestID"}`, http.StatusBadRequest)
		return
	case action == "response":
		i.result = body
	case action == "error":
		i.err = &FunctionError{body}
	default:
		i.err = fmt.Errorf("unknown Runtime API path %q", path)
	}
	close(i.done)
	w.WriteHeader(http.StatusAccepted)
}

func (a *API) serveNext(w http.ResponseWriter, r *http.Request) {
	a.polledOnce.Do(func() { close(a.polled) })
	select {
	case i := <-a.queue:
		a.mu.Lock()
		i.inFlight = true
		a.mu.Unlock()
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", i.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:us-east-1:012345678912:function:archeio")
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0")
		w.Write(i.payload)
	case <-r.Context().Done():
	}
}
