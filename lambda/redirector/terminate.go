package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
)

// graceful wraps a handler so that SIGTERM ends the process between two
// invocations and no client loses its response. Lambda sends SIGTERM only if an
// extension is registered, and kills the process if it takes too long; the local
// runtime and operators may send it at any time.
// https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html#runtimes-lifecycle-shutdown
type graceful struct {
	lambda.Handler
	// afterEach is called after each response is sent, atExit before the
	// process exits.
	afterEach, atExit func()
	log               *slog.Logger

	listen      sync.Once
	running     atomic.Int64 // invocations
	terminating atomic.Bool
	idle        chan struct{} // receives when terminating and nothing is running
}

func newGraceful(h lambda.Handler, afterEach, atExit func(), log *slog.Logger) *graceful {
	return &graceful{Handler: h, afterEach: afterEach, atExit: atExit, log: log, idle: make(chan struct{}, 1)}
}

// Invoke handles an event. While the process is terminating, Invoke sends the
// response itself and does not return, as the loop of the runtime would then fetch
// another event that would get no response. A response that the Runtime API rejects
// is returned to that loop.
func (g *graceful) Invoke(ctx context.Context, event []byte) ([]byte, error) {
	g.listen.Do(g.exitOnTerminate)
	g.running.Add(1)
	response, err := g.Handler.Invoke(ctx, event)
	if err == nil && g.terminating.Load() && deliver(ctx, response) == nil {
		g.done()
		select {}
	}
	context.AfterFunc(ctx, g.done) // the context ends after the response is sent
	return response, err
}

func (g *graceful) done() {
	if g.running.Add(-1) == 0 && g.terminating.Load() {
		select {
		case g.idle <- struct{}{}:
		default:
		}
	}
	g.afterEach()
}

// deliver sends the response of an invocation to the Runtime API.
// https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
func deliver(ctx context.Context, response []byte) error {
	invocation, ok := lambdacontext.FromContext(ctx)
	if !ok {
		return errors.New("sending the response: no invocation in the context")
	}
	client := http.Client{Transport: &http.Transport{}} // ignores proxies of the environment
	resp, err := client.Post("http://"+os.Getenv("AWS_LAMBDA_RUNTIME_API")+"/2018-06-01/runtime/invocation/"+invocation.AwsRequestID+"/response",
		"application/json", bytes.NewReader(response))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("sending the response: the Runtime API returned %s", resp.Status)
	}
	return nil
}

// exitOnTerminate starts to wait for SIGTERM. At SIGTERM it waits for the running
// invocations and exits; a second SIGTERM kills the process at once. So does one
// before the first event: there is nothing to lose then, and listening for signals
// needs a thread, which takes 5 % of the start-up time.
func (g *graceful) exitOnTerminate() {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() {
		<-terminate
		signal.Stop(terminate)
		g.terminating.Store(true)
		if g.running.Load() > 0 {
			// Not an Info line: an invocation counts until the runtime has seen that its
			// response was taken, so a signal right after a response can find one running.
			g.log.Debug("SIGTERM received; exiting after the running invocation")
		}
		for g.running.Load() > 0 {
			<-g.idle
		}
		g.atExit()
		os.Exit(0)
	}()
}
