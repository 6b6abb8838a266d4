package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"archeio/scripts/lab/runtimeapi"
)

const (
	// maxRestarts and restartDelay bound how often a function is restarted.
	maxRestarts  = 200
	restartDelay = 50 * time.Millisecond
)

// supervisor restarts the only process of a testbed when it exits, as Lambda
// does.
type supervisor struct {
	system  *testSystem
	testbed *testbed
	ended   chan struct{}

	mu      sync.Mutex
	codes   []int // the exit codes so far
	current *runtimeapi.Process
	stopped bool
}

// supervise starts a supervisor. It must be stopped before the testbed.
func (s *testSystem) supervise(t *testbed) *supervisor {
	v := &supervisor{system: s, testbed: t, current: t.processes[0], ended: make(chan struct{})}
	go func() {
		defer close(v.ended)
		for range maxRestarts {
			if !v.restart() {
				return
			}
		}
	}()
	return v
}

// restart waits until the process exits and starts the next one. It returns
// false if there is no next one.
func (v *supervisor) restart() bool {
	v.mu.Lock()
	p := v.current
	v.mu.Unlock()
	<-p.Exited()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.stopped {
		return false
	}
	v.codes = append(v.codes, p.ExitCode())
	v.testbed.api.FailInFlight(p.Err())
	pause(context.Background(), restartDelay)
	next, err := v.testbed.api.Start(v.system.function, v.testbed.env, v.system.log)
	if err == nil {
		v.current = next
	}
	return err == nil
}

// exits returns the exit codes so far, -1 for a process that was killed.
func (v *supervisor) exits() []int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Clone(v.codes)
}

func (v *supervisor) stop() {
	v.mu.Lock()
	v.stopped = true
	last := v.current
	v.mu.Unlock()
	last.Stop()
	<-v.ended
}
