package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"archeio/lambda/index"
	"archeio/scripts/lab/runtimeapi"
)

// keeper starts the function again when it ends, as the service does.
type keeper struct {
	mu      sync.Mutex
	ended   []error // why, in order
	codes   []int   // and with which exit codes
	current *runtimeapi.Process
	stopped bool
}

// A function that ends again and again is started so often at most, and after a
// pause each time.
const (
	mostStarts = 200
	beforeNext = 50 * time.Millisecond
)

// keep looks after a lab's only process until the lab is stopped.
func (w *world) keep(l *lab) *keeper {
	k := &keeper{current: l.processes[0]}
	end := l.stop
	var looking sync.WaitGroup
	l.stop = func() {
		k.mu.Lock()
		k.stopped = true
		last := k.current
		k.mu.Unlock()
		last.Stop()
		looking.Wait()
		end()
	}
	looking.Go(func() {
		for range mostStarts {
			k.mu.Lock()
			p := k.current
			k.mu.Unlock()
			<-p.Exited()
			k.mu.Lock()
			if k.stopped {
				k.mu.Unlock()
				return
			}
			k.ended, k.codes = append(k.ended, p.Err()), append(k.codes, p.ExitCode())
			l.api.Lose(p.Err())
			wait(context.Background(), beforeNext)
			next, err := l.api.Start(w.function, l.env, w.log)
			if err == nil {
				k.current = next
			}
			k.mu.Unlock()
			if err != nil {
				return
			}
		}
	})
	return k
}

// ends are why the function ended, so often.
func (k *keeper) ends() []error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]error{}, k.ended...)
}

// code is the exit code with which the function ended first, -1 for none.
func (k *keeper) code() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.codes) == 0 {
		return -1
	}
	return k.codes[0]
}

// terminated ends the function while it waits for a mirror. The service sends
// SIGTERM to one that is idle.
func (f *atFront) terminated(ctx context.Context) (string, error) {
	const late = 300 * time.Millisecond
	l, err := f.lab(ctx, 1, map[string]string{"MIRROR_CHECK_TIMEOUT": "1s"})
	if err != nil {
		return "", err
	}
	k := f.keep(l)
	defer func() { l.stop() }()
	waiting := make(chan struct{}, 64)
	l.near.fail(func(w http.ResponseWriter, r *http.Request) {
		waiting <- struct{}{}
		wait(r.Context(), late)
		l.near.handler.ServeHTTP(w, r)
	})
	under := make(chan sample, 1)
	go func() { under <- l.get(ctx, l.blobs[0]) }()
	select {
	case <-waiting:
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
	if err := syscall.Kill(l.processes[0].Pid(), syscall.SIGTERM); err != nil {
		return "", err
	}
	told := time.Now()
	first := <-under
	l.near.fail(nil)
	// The service hands nothing more to a function that it ends; the API here
	// does not know, so the next request comes when the function has ended.
	for ctx.Err() == nil && len(k.ends()) == 0 && time.Since(told) < 5*time.Second {
		wait(ctx, 5*time.Millisecond)
	}
	second := l.get(ctx, l.blobs[1])
	back := second.at.Add(second.took).Sub(told)
	after := sum(l.watch(ctx, time.Millisecond, time.Minute, times(50)))
	ends, code := k.ends(), k.code()
	saw := fmt.Sprintf("the request under way: %s; the next one: %s, %s after the signal; then %d errors in 50; exit code %d",
		fate(first), fate(second), seconds(back), after.bad, code)
	switch {
	case first.err != nil || first.reason != "aws-region":
		return saw, fmt.Errorf("the request under way was not answered: %v", first.err)
	case second.err != nil || after.bad > 0:
		return saw, fmt.Errorf("after it: %v, %v", second.err, after.err)
	case len(ends) != 1 || code != 0:
		return saw, fmt.Errorf("the function ended %d times, the first time with %d", len(ends), code)
	}
	return saw, nil
}

// fate tells in a word or two what became of a request.
func fate(s sample) string {
	if s.err != nil {
		return "failed, " + s.err.Error()
	}
	return fmt.Sprintf("%s in %dms", s.reason, s.took.Milliseconds())
}

const (
	// million is how many blobs the index has where memory is short.
	million = 1_000_000
	// tight is too little memory to load that index again and again, ample the
	// smallest that a function can be given.
	tight, ample = 20 << 20, 128 << 20
)

// memoryGroup makes a control group with a limit of memory, version 1 or 2 of
// them; limit is the file that holds it. A process in it is killed when it needs more, as the service does.
func memoryGroup(name string, bytes int) (dir, limit string, err error) {
	for parent, file := range map[string]string{"/sys/fs/cgroup/memory": "memory.limit_in_bytes", "/sys/fs/cgroup": "memory.max"} {
		if _, e := os.Stat(filepath.Join(parent, "cgroup.procs")); e != nil {
			err = e
			continue
		}
		dir = filepath.Join(parent, name)
		if err = os.Mkdir(dir, 0o700); err != nil {
			continue
		}
		limit = filepath.Join(dir, file)
		if err = os.WriteFile(limit, []byte(strconv.Itoa(bytes)), 0o600); err == nil {
			return dir, limit, nil
		}
		os.Remove(dir)
	}
	return "", "", err
}

// shortMemory gives the function less memory than it takes with the index of a
// million blobs, and then as much as it needs.
func (f *atFront) shortMemory(ctx context.Context) (string, error) {
	prefixes := make([]uint64, million)
	for i := range prefixes {
		prefixes[i] = uint64(i+1) * 0x9e3779b97f4a7c15
	}
	p, _ := index.Prefix(phantom)
	b, err := index.Make(time.Now(), append(prefixes, p))
	if err != nil {
		return "", err
	}
	data := &atomic.Pointer[[]byte]{}
	data.Store(&b)
	dir, err := os.MkdirTemp("", "archeio-memory-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	group, limit, err := memoryGroup(filepath.Base(dir), tight)
	if err != nil {
		return "", fmt.Errorf("%w: no limit of memory can be set: %v", errSkipped, err)
	}
	defer os.Remove(group)
	wrapper := filepath.Join(dir, "bootstrap")
	script := fmt.Sprintf("#!/bin/sh\necho $$ >'%s/cgroup.procs' && exec '%s'\n", group, f.function)
	if err := os.WriteFile(wrapper, []byte(script), 0o700); err != nil {
		return "", err
	}
	limited := *f.world
	limited.function = wrapper
	l, err := limited.lab(ctx, f.images, f.shape, 1, map[string]string{"MIRROR_INDEX_REFRESH": "1s", "MIRROR_INDEX_MAX_AGE": "1h"})
	if err != nil {
		return "", err
	}
	k := limited.keep(l)
	defer func() { l.stop() }()
	for _, x := range []*server{l.near, l.far, l.check} {
		shelve(x, data, &atomic.Pointer[string]{})
	}
	s := sum(l.watch(ctx, 20*time.Millisecond, 30*time.Second, func(s []sample) bool { return time.Since(s[0].at) > 4*time.Second }))
	killed := len(k.ends())
	saw := fmt.Sprintf("%d MB: killed %d times, %d of %d requests failed, those under way then", tight>>20, killed, s.bad, s.bad+s.good)
	if killed == 0 || s.bad > killed || s.good == 0 {
		return saw, fmt.Errorf("each end costs at most one request: %v", s.err)
	}
	if err := os.WriteFile(limit, []byte(strconv.Itoa(ample)), 0o600); err != nil {
		return saw, err
	}
	after, used := l.believed(ctx, 10*time.Second)
	before := len(k.ends())
	s = sum(l.watch(ctx, 20*time.Millisecond, time.Minute, times(100)))
	saw += fmt.Sprintf("; %d MB: the index is used after %s, %d errors in 100, killed %d times", ample>>20, seconds(after), s.bad, len(k.ends())-before)
	if !used || s.bad > 0 || len(k.ends()) > before {
		return saw, fmt.Errorf("%d failed: %v", s.bad, s.err)
	}
	return saw, nil
}
