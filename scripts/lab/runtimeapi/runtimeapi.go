// Package runtimeapi runs Lambda functions on this machine: the built binary
// of one, under an HTTP server that speaks the Runtime API on loopback, as
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html describes it.
//
// One API serves any number of processes of one function; each takes the next
// event that waits. All methods are safe for concurrent use.
package runtimeapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Timeout is how long an invocation may take where the context of Invoke has
// no deadline.
const Timeout = 10 * time.Second

// FunctionError is an error that the function reported itself.
type FunctionError struct {
	// Payload is the error JSON: errorMessage, errorType.
	Payload []byte
}

func (e *FunctionError) Error() string { return "the function reported an error: " + string(e.Payload) }

// API is a Runtime API on a port of this machine.
type API struct {
	listener net.Listener
	server   *http.Server
	queue    chan *invocation

	mu      sync.Mutex
	running map[string]*invocation
	next    int

	// polled is closed when a process has asked for its first event.
	polled     chan struct{}
	polledOnce sync.Once
}

type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	taken    bool // by a process; guarded by API.mu
	done     chan struct{}
	answer   []byte
	err      error
}

// Listen opens an API on a free port of the loopback interface.
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

// Address is the value of AWS_LAMBDA_RUNTIME_API.
func (a *API) Address() string { return a.listener.Addr().String() }

// Close ends all connections. Stop the processes first.
func (a *API) Close() error { return a.server.Close() }

// Ready is closed when a process asks for its first event.
func (a *API) Ready() <-chan struct{} { return a.polled }

// Invoke hands an event to the function and answers what it answers. The
// error is a *FunctionError where the function reported one.
func (a *API) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(Timeout)
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
		return nil, fmt.Errorf("waiting for the function to take an event: %w", context.Cause(ctx))
	}
	select {
	case <-i.done:
		return i.answer, i.err
	case <-ctx.Done():
		return nil, fmt.Errorf("waiting for the function's answer: %w", context.Cause(ctx))
	}
}

// FailInFlight ends the invocations that were taken and not answered with an error, as
// the service does when the process that has them ends. It is for an API with
// one process: which of several has an invocation is not known.
func (a *API) FailInFlight(why error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, i := range a.running {
		if i.taken {
			delete(a.running, id)
			i.err = why
			close(i.done)
		}
	}
}

// ServeHTTP is the API itself.
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
	id, what, _ := strings.Cut(strings.TrimPrefix(path, "invocation/"), "/")
	a.mu.Lock()
	i := a.running[id]
	delete(a.running, id)
	a.mu.Unlock()
	switch {
	case i == nil:
		http.Error(w, `{"errorType":"InvalidRequestID"}`, http.StatusBadRequest)
		return
	case what == "response":
		i.answer = body
	case what == "error":
		i.err = &FunctionError{body}
	default:
		i.err = errors.New("the function called an unknown path of the Runtime API: " + strconv.Quote(path))
	}
	close(i.done)
	w.WriteHeader(http.StatusAccepted)
}

func (a *API) serveNext(w http.ResponseWriter, r *http.Request) {
	a.polledOnce.Do(func() { close(a.polled) })
	select {
	case i := <-a.queue:
		a.mu.Lock()
		i.taken = true
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
