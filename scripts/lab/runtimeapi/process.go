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

// Process is a running function.
type Process struct {
	cmd    *exec.Cmd
	stderr tail
	exited chan struct{}
	err    error
}

// Start starts a built function. Its environment is env and nothing of this
// process but PATH, so a result does not depend on the machine. Its output goes
// to output.
func (a *API) Start(bootstrap string, env map[string]string, output io.Writer) (*Process, error) {
	p := &Process{exited: make(chan struct{})}
	p.cmd = exec.Command(bootstrap)
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "AWS_LAMBDA_RUNTIME_API=" + a.Address()}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		p.cmd.Env = append(p.cmd.Env, name+"="+env[name])
	}
	// In its own process group, so that Ctrl-C reaches only this process, which
	// then stops the function.
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

// Exited returns a channel that is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err returns an [*ExitError] with the reason why the process ended. Call it
// only after Exited is closed.
func (p *Process) Err() error {
	return &ExitError{LastLine: p.stderr.last(), err: p.err}
}

// ExitError is the error for a process that ended.
type ExitError struct {
	// LastLine is the last line that it wrote to standard error, if any.
	LastLine string
	err      error
}

// Error returns the last line of the function, or else how the process ended.
func (e *ExitError) Error() string {
	if e.LastLine != "" {
		return "the function exited: " + e.LastLine
	}
	return fmt.Sprintf("the function exited: %v", e.err)
}

// Pid returns the process ID.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// ExitCode returns the exit code, or -1 if a signal ended the process. Call it
// only after Exited is closed.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Stop terminates the process and waits until it has ended. A process that does
// not end within five seconds is killed.
func (p *Process) Stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
}

// locked serializes standard output and standard error into one writer.
type locked struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *locked) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(b)
}

// tail forwards what is written and keeps the end of it.
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

// last returns the last line.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := strings.TrimSpace(string(t.kept))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
