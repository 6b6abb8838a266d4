package runtimeapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
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
	p.stderr.out = output
	p.cmd.Stdout, p.cmd.Stderr = output, &p.stderr
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
	return &Ended{Line: p.stderr.last(), err: p.err}
}

// Ended is the error for a process that ended by itself.
type Ended struct {
	// Line is the last that it wrote; empty for none.
	Line string
	err  error
}

func (e *Ended) Error() string {
	if e.Line != "" {
		return "the function ended: " + e.Line
	}
	return fmt.Sprintf("the function ended: %v", e.err)
}

// Pid is the process's number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

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

// Build builds the redirector for this machine into a folder of the
// repository, with the flags of a deployment, and answers its path. It is
// quick when nothing has changed.
func Build(ctx context.Context) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	bootstrap := filepath.Join(root, ".build", "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "lambda.norpc", "-ldflags=-s -w", "-o", bootstrap, "./lambda/redirector")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", errors.New(`building the function: there is no "go" on this machine; install Go 1.26 or newer`)
		}
		return "", fmt.Errorf("building the function: %w\n%s", err, bytes.TrimSpace(out))
	}
	return bootstrap, nil
}

// Root is the folder of the repository, found upwards from the working one.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module archeio\n") {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("this is not a clone of the project: there is no go.mod of module archeio here or above")
		}
		dir = filepath.Dir(dir)
	}
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
