package main

import (
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
)

// work knows whether an invocation is under way, for SIGTERM: the process then
// ends between two of them, so that no client loses its answer. AWS sends it
// only where an extension is registered, and kills what waits too long; servers
// that run the function elsewhere, and a person, send it any time.
type work struct {
	running atomic.Int64
	ending  atomic.Bool
	idle    chan struct{} // told when ending and nothing runs any more
}

func newWork() *work { return &work{idle: make(chan struct{}, 1)} }

func (w *work) begin() { w.running.Add(1) }

// done tells that an answer is sent.
func (w *work) done() {
	if w.running.Add(-1) == 0 && w.ending.Load() {
		select {
		case w.idle <- struct{}{}:
		default:
		}
	}
}

// exitOnTerminate waits for SIGTERM, for the end of what is under way, calls
// last and ends the process. A second SIGTERM ends it at once.
func (w *work) exitOnTerminate(last func()) {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	go func() {
		<-terminate
		signal.Stop(terminate)
		w.ending.Store(true)
		for w.running.Load() > 0 {
			<-w.idle
		}
		last()
		os.Exit(0)
	}()
}
