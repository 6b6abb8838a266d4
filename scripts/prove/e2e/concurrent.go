package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"archeio/lambda/build"
)

// raced builds the function with the race detector.
func raced(ctx context.Context) (string, error) {
	compiler, err := exec.CommandContext(ctx, "go", "env", "CC").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its C compiler: %w", err)
	}
	name, _, _ := strings.Cut(strings.TrimSpace(string(compiler)), " ")
	if _, err := exec.LookPath(name); err != nil {
		return "", fmt.Errorf("%w: the race detector needs a C compiler, there is no %q", errSkipped, name)
	}
	root, err := build.Root()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(root, ".build", "e2e", "race", "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-race", "-buildvcs=false", "-tags", "lambda.norpc", "-o", binary, "./lambda/redirector")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the function with the race detector: %w: %s", err, lastLine(string(out)))
	}
	return binary, nil
}

// transcript is what processes write, as far as it has a race report in it.
type transcript struct {
	out io.Writer

	mu   sync.Mutex
	text bytes.Buffer
}

func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.text.Len() < 1<<20 {
		t.text.Write(b)
	}
	return t.out.Write(b)
}

// report is a race report's first lines, in one; empty if there is none.
func (t *transcript) report() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, found, ok := strings.Cut(t.text.String(), "WARNING: DATA RACE")
	if !ok {
		return ""
	}
	var parts []string
	for line := range strings.Lines(found) {
		if line = strings.TrimSpace(line); line != "" && len(parts) < 4 {
			parts = append(parts, line)
		}
	}
	return "data race: " + strings.Join(parts, ", ")
}

// atATime is how many invocations one process of the concurrent mode has.
const atATime = 8

// concurrent asks two processes that answer several events at once, while the
// index is loaded again and again, and has a mirror fail and return.
func (w *world) concurrent(ctx context.Context, images *images) (string, error) {
	binary, err := raced(ctx)
	if err != nil {
		return "", err
	}
	said := &transcript{out: w.log}
	own := *w
	own.function, own.log = binary, said
	x, err := own.loadLab(ctx, images, 2, map[string]string{
		"AWS_LAMBDA_MAX_CONCURRENCY": fmt.Sprint(atATime), "GORACE": "halt_on_error=1 exitcode=66",
		"MIRROR_CHECK_TIMEOUT": "1s", "MIRROR_HEALTH_INTERVAL": "100ms", "MIRROR_INDEX_REFRESH": "200ms", "FAILOVER_BUDGET": "0",
	})
	if err != nil {
		return "", err
	}
	defer x.close()
	whole, err := oracle(x.env, x.shelves, false)
	if err != nil {
		return "", err
	}
	failing, err := oracle(x.env, x.shelves, true)
	if err != nil {
		return "", err
	}
	// What a request may get while the mirror of us-east-1 fails depends on what
	// is remembered of it.
	both, exact := x.shelves.mix(ctx, whole, failing), x.shelves.mix(ctx, whole)
	total := int64(0)
	var saw []string
	phase := func(name string, mix []asked, o load) error {
		// A race report ends a process, and then nobody answers.
		bounded, cancel := context.WithCancel(ctx)
		defer cancel()
		for _, p := range x.processes {
			go func() {
				select {
				case <-p.Exited():
					cancel()
				case <-bounded.Done():
				}
			}()
		}
		r := x.run(bounded, o, mix, nil)
		total += r.Requests
		saw = append(saw, fmt.Sprintf("%s: %d requests, %d wrong, %d lost", name, r.Requests, r.Wrong, r.Lost))
		if report := said.report(); report != "" {
			return fmt.Errorf("%s", report)
		}
		for _, p := range x.processes {
			select {
			case <-p.Exited():
				return p.Err()
			default:
			}
		}
		return r.answers(o)
	}
	all := func() string {
		return fmt.Sprintf("%d at a time in each of 2 processes; ", atATime) + strings.Join(saw, "; ")
	}
	o := load{requests: 4000, clients: 32, least: 6 * time.Second, most: 2 * time.Minute}
	if err := phase("all well", exact, o); err != nil {
		return all(), err
	}
	answer(500)(x.near)
	o.requests, o.least = 1000, 4*time.Second
	if err := phase("a mirror fails", both, o); err != nil {
		return all(), err
	}
	x.near.fail(nil)
	// Until the breaker of each process has let a check through and closed.
	o.clients, o.least = 4, breakerTime+2*time.Second
	if err := phase("it is back, the breaker closes", both, o); err != nil {
		return all(), err
	}
	o.clients, o.least = 32, 2*time.Second
	if err := phase("all well again", exact, o); err != nil {
		return all(), err
	}
	if x.near.heads.Load() == 0 {
		return all(), fmt.Errorf("the mirror was not asked")
	}
	return all() + "; no race report", nil
}
