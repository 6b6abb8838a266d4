package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"archeio/lambda/build"
	"archeio/scripts/prove/cli"
)

// concurrency is how many invocations a process has at the same time.
const concurrency = 8

// concurrentLoad puts two processes with concurrent invocations and the race
// detector under load. They load the index again and again, and a mirror fails
// and recovers.
func (s *testSystem) concurrentLoad(ctx context.Context, images *testImages) (string, error) {
	binary, err := buildWithRaceDetector(ctx)
	if err != nil {
		return "", err
	}
	out := &transcript{out: s.log}
	own := *s
	own.function, own.log = binary, out
	t, err := own.newLoadTestbed(ctx, images, 2, map[string]string{
		"AWS_LAMBDA_MAX_CONCURRENCY": fmt.Sprint(concurrency), "GORACE": "halt_on_error=1 exitcode=66",
		"MIRROR_CHECK_TIMEOUT": "1s", "MIRROR_HEALTH_INTERVAL": "100ms", "MIRROR_INDEX_REFRESH": "200ms", "FAILOVER_BUDGET": "0",
	})
	if err != nil {
		return "", err
	}
	defer t.stop()
	healthy, err := newOracle(t.env, t.sets, false)
	if err != nil {
		return "", err
	}
	failing, err := newOracle(t.env, t.sets, true)
	if err != nil {
		return "", err
	}
	// While the mirror fails, a response depends on what is cached.
	exact, either := t.sets.mix(ctx, healthy), t.sets.mix(ctx, healthy, failing)
	observed := []string{fmt.Sprintf("%d concurrent invocations in each of 2 processes", concurrency)}
	for _, p := range []struct {
		name    string
		before  func()
		mix     []loadRequest
		clients int
		least   int
		time    time.Duration
	}{
		{"healthy", func() {}, exact, 32, 4000, 6 * time.Second},
		{"a mirror fails", func() { t.near.injectStatus(http.StatusInternalServerError) }, either, 32, 1000, 4 * time.Second},
		// Until the breaker of each process has let a check through and closed.
		{"it recovers", t.near.restore, either, 4, 1000, breakerTime + 2*time.Second},
		{"healthy again", func() {}, exact, 32, 1000, 2 * time.Second},
	} {
		p.before()
		r, err := t.runWhileAlive(ctx, loadOptions{requests: p.least, clients: p.clients, atLeast: p.time, atMost: 2 * time.Minute}, p.mix)
		observed = append(observed, fmt.Sprintf("%s: %d requests, %d wrong, %d failed", p.name, r.Requests, r.Wrong, r.Failed))
		if race := dataRace(out.String()); race != "" {
			err = errors.New(race)
		}
		if err != nil {
			return strings.Join(observed, "; "), err
		}
	}
	if t.near.heads.Load() == 0 {
		return strings.Join(observed, "; "), errors.New("the mirror was not checked")
	}
	return strings.Join(observed, "; ") + "; no data race", nil
}

// runWhileAlive runs a load until it ends or a process exits, as one does after a
// data race: requests would get no response then.
func (t *loadTestbed) runWhileAlive(ctx context.Context, o loadOptions, mix []loadRequest) (*loadResult, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, p := range t.processes {
		go func() {
			select {
			case <-p.Exited():
				cancel()
			case <-ctx.Done():
			}
		}()
	}
	r := t.run(ctx, o, mix, nil)
	for _, p := range t.processes {
		select {
		case <-p.Exited():
			return r, p.Err()
		default:
		}
	}
	return r, r.checkResponses(o)
}

// buildWithRaceDetector builds the function with the race detector.
func buildWithRaceDetector(ctx context.Context) (string, error) {
	compiler, err := exec.CommandContext(ctx, "go", "env", "CC").Output()
	if err != nil {
		return "", fmt.Errorf("go env CC: %w", err)
	}
	name, _, _ := strings.Cut(strings.TrimSpace(string(compiler)), " ")
	if _, err := exec.LookPath(name); err != nil {
		return "", fmt.Errorf("%w: the race detector needs a C compiler, and %q is not installed", cli.ErrSkipped, name)
	}
	root, err := build.Root()
	if err != nil {
		return "", err
	}
	binary := filepath.Join(root, ".build", "e2e", "race", "bootstrap")
	cmd := exec.CommandContext(ctx, "go", "build", "-race", "-buildvcs=false", "-tags", build.Tags, "-o", binary, "./lambda/redirector")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the function with the race detector: %w: %s", err, cli.LastLine(string(out)))
	}
	return binary, nil
}

// dataRace returns the first lines of a race detector's report in a text, as one
// line, or "".
func dataRace(text string) string {
	_, report, ok := strings.Cut(text, "WARNING: DATA RACE")
	if !ok {
		return ""
	}
	var lines []string
	for line := range strings.Lines(report) {
		if line = strings.TrimSpace(line); line != "" && len(lines) < 4 {
			lines = append(lines, line)
		}
	}
	return "data race: " + strings.Join(lines, ", ")
}
