package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// work stands before the handler and knows whether an invocation is under way.
// At SIGTERM the process ends between two of them, so that no client loses its
// answer. AWS sends it only where an extension is registered, and kills what
// waits too long; servers that run the function elsewhere, and people, send it
// any time.
type work struct {
	lambda.Handler
	// sent is called when an answer is sent, last before the process ends.
	sent, last func()
	first      sync.Once
	running    atomic.Int64
	ending     atomic.Bool
	idle       chan struct{} // told when ending and nothing runs any more
}

func newWork(h lambda.Handler, sent, last func()) *work {
	return &work{Handler: h, sent: sent, last: last, idle: make(chan struct{}, 1)}
}

// Invoke answers an event. In a process that is ending it hands the answer over
// itself and does not return, as the runtime's loop would then take one more
// event, which nobody would answer. What the Runtime API does not accept goes
// back to that loop.
func (w *work) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	w.first.Do(w.exitOnTerminate)
	w.running.Add(1)
	answer, err := w.Handler.Invoke(ctx, event)
	if err == nil && w.ending.Load() && deliver(ctx, answer) == nil {
		w.done()
		select {}
	}
	context.AfterFunc(ctx, w.done) // it ends when the answer is sent
	return answer, err
}

func (w *work) done() {
	if w.running.Add(-1) == 0 && w.ending.Load() {
		select {
		case w.idle <- struct{}{}:
		default:
		}
	}
	w.sent()
}

// deliver is the call of the Runtime API that ends an invocation.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func deliver(ctx context.Context, answer []byte) error {
	invocation, ok := lambdacontext.FromContext(ctx)
	if !ok {
		return errors.New("the context is not of an invocation")
	}
	client := http.Client{Transport: &http.Transport{}} // past any proxy of the environment
	resp, err := client.Post("http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+"/2018-06-01/runtime/invocation/"+invocation.AwsRequestID+"/response",
		"application/json", bytes.NewReader(answer))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("the Runtime API answers %s", resp.Status)
	}
	return nil
}

// exitOnTerminate waits for SIGTERM and for the end of what is under way, and ends
// the process. A second SIGTERM ends it at once, as does one before the first
// event: there is nothing to lose then, and to listen takes a thread, which costs a
// twentieth of the start.
func (w *work) exitOnTerminate() {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() {
		<-terminate
		signal.Stop(terminate)
		w.ending.Store(true)
		for w.running.Load() > 0 {
			<-w.idle
		}
		w.last()
		os.Exit(0)
	}()
}
