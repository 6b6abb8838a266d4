package runtimeapi

import (
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is one running function.
type Process struct {
	cmd    *exec.Cmd
	stderr tail
	exited chan struct{}
	err    error
}

// Start runs a built function. Its environment is env and nothing of this
// process but PATH, so that what is tried here depends on nothing else. What
// it writes goes to output.
func (a *API) Start(bootstrap string, env map[string]string, output io.Writer) (*Process, error) {
	p := &Process{exited: make(chan struct{})}
	p.cmd = exec.Command(bootstrap)
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "AWS_LAMBDA_RUNTIME_API=" + a.Address()}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		p.cmd.Env = append(p.cmd.Env, name+"="+env[name])
	}
	// A group of its own, so that Ctrl-C reaches only the one who stops all.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	both := &locked{out: output}
	p.stderr.out = both
	p.cmd.Stdout, p.cmd.Stderr = both, &p.stderr
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting the function: %w", err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err tells why the process ended, with the last line that it wrote. Call it
// only after Exited.
func (p *Process) Err() error {
	return &ExitError{LastLine: p.stderr.last(), err: p.err}
}

// ExitError is the error for a process that ended by itself.
type ExitError struct {
	// Line is the last that it wrote; empty for none.
	LastLine string
	err      error
}

func (e *ExitError) Error() string {
	if e.LastLine != "" {
		return "the function ended: " + e.LastLine
	}
	return fmt.Sprintf("the function ended: %v", e.err)
}

// Pid is the process's number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// ExitCode is how the process ended, -1 if a signal ended it. Call it only after
// Exited.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Stop ends the process and waits for it.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// locked lets standard output and standard error go to one place.
type locked struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

// tail passes on what is written and keeps the last line.
type tail struct {
	out io.Writer

	mu   sync.Mutex
	kept []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	t.kept = append(t.kept, b...)
	if len(t.kept) > 8<<10 {
		t.kept = t.kept[len(t.kept)-4<<10:]
	}
	t.mu.Unlock()
	return t.out.Write(b)
}

func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(string(t.kept))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
