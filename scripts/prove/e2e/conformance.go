package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"archeio/scripts/lab/system"
	"archeio/scripts/prove/cli"
)

const (
	conformanceName    = "OCI distribution-spec suite"
	conformanceTimeout = 3 * time.Minute
)

// tooLarge matches the tests that relay a manifest larger than a load balancer sends.
var tooLarge = regexp.MustCompile(`^large-manifest/`)

// runConformance runs the OCI conformance suite against an upstream with the
// referrers API and digests of sha512: first directly, then with reads through
// both kinds of entry points. A test that passes directly must pass through
// them. If reading from the upstream requires a token, the suite gets one itself
// for the first run, and must not be asked for one by the entry points.
func (s *testSystem) runConformance(ctx context.Context, o *options, images *testImages) (checks []check) {
	if !o.selects("conformance", conformanceName) {
		return nil
	}
	began := time.Now()
	add := func(kind, observed string, err error) {
		checks = append(checks, newCheck("conformance", conformanceName, kind, observed, began, err))
		began = time.Now()
	}
	direct, err := s.directConformance(ctx)
	add("none: upstream", direct.String(), err)
	if err != nil {
		return checks
	}
	for _, kind := range kinds {
		if ctx.Err() != nil {
			break
		}
		observed, err := s.conformanceThrough(ctx, kind, images, direct)
		add(kind, observed, err)
	}
	return checks
}

// directConformance returns the results of the upstream alone. All tests must
// pass, because a test that fails here proves nothing about the entry points.
func (s *testSystem) directConformance(ctx context.Context) (conformanceResults, error) {
	upstream, stop, err := s.local.StartOlareg(ctx)
	if err != nil {
		return nil, err
	}
	defer stop()
	results, err := s.conformance(ctx, upstream)
	if err == nil {
		err = results.failures(nil)
	}
	return results, err
}

// conformanceThrough runs the suite with reads through an entry point, and
// compares its results with those of the upstream alone.
func (s *testSystem) conformanceThrough(ctx context.Context, kind string, images *testImages, direct conformanceResults) (observed string, err error) {
	upstream, stop, err := s.local.StartOlareg(ctx)
	if err != nil {
		return "", err
	}
	defer stop()
	env := map[string]string{
		"UPSTREAM_REGISTRY_ENDPOINT": upstream,
		"UPSTREAM_REGISTRY_PATH":     "", // the suite reads what it wrote by the same name
	}
	if s.token() {
		env["UPSTREAM_BLOB_HOSTS"], env["UPSTREAM_RATE"] = strings.TrimPrefix(upstream, "http://"), "100000"
	}
	bed, err := s.newTestbed(ctx, images, kind, 1, env)
	if err != nil {
		return "", err
	}
	defer bed.stop()
	split, err := newSplitter(upstream, bed.entryPoint.url)
	if err != nil {
		return "", err
	}
	if s.token() {
		split.restart = func() error { return s.restart(ctx, bed) }
	}
	registry, err := bed.listen(split)
	if err != nil {
		return "", err
	}
	results, err := s.conformance(ctx, registry.url)
	if err != nil {
		return "", err
	}
	observed = fmt.Sprintf("%s; %s", results, split)
	if err := split.check(); err != nil {
		return observed, err
	}
	if s.token() && kind == loadBalancer {
		failed := 0
		direct, _ = direct.without(tooLarge)
		if results, failed = results.without(tooLarge); failed > 0 {
			observed += fmt.Sprintf("; %d failed as expected: a load balancer sends at most 1 MB", failed)
		}
	}
	return observed, results.failures(direct)
}

// restart replaces the processes of a testbed by one that has nothing cached.
// No request may be in flight.
func (s *testSystem) restart(ctx context.Context, t *testbed) error {
	next, err := s.startFunctions(ctx, 1, t.env)
	if err != nil {
		return err
	}
	t.functions.stop()
	t.functions = next
	return nil
}

// conformance runs the suite against the registry at a base URL. An error means
// that there are no results, not that tests failed.
func (s *testSystem) conformance(ctx context.Context, base string) (conformanceResults, error) {
	ctx, cancel := context.WithTimeout(ctx, conformanceTimeout)
	defer cancel()
	binary, err := system.ConformanceSuite(ctx)
	if err != nil {
		return nil, err
	}
	dir, remove, err := tempDir("conformance")
	if err != nil {
		return nil, err
	}
	defer remove()
	cmd := exec.CommandContext(ctx, binary)
	// The suite reads oci-conformance.yaml in its directory, which is empty.
	cmd.Dir = dir
	cmd.Env = []string{
		"HOME=" + dir, "TMPDIR=" + dir,
		"OCI_REGISTRY=" + strings.TrimPrefix(base, "http://"),
		"OCI_TLS=disabled",
		"OCI_RESULTS_DIR=" + dir,
		// olareg accepts only manifests with all layers present.
		"OCI_DATA_NONDISTRIBUTABLE=false",
	}
	cmd.WaitDelay = time.Second
	stderr := &transcript{out: s.log}
	cmd.Stdout, cmd.Stderr = s.log, stderr
	// Exit code 1 is a failed test; errors of the suite itself are exit code 0
	// without the file.
	if err := cmd.Run(); err != nil && cmd.ProcessState.ExitCode() != 1 {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("conformance suite: did not finish within %s", conformanceTimeout)
		}
		return nil, fmt.Errorf("conformance suite: %w: %s", err, cli.LastLine(stderr.String()))
	}
	file, err := os.Open(filepath.Join(dir, "junit.xml"))
	if err != nil {
		return nil, fmt.Errorf("conformance suite: no results: %s", cli.LastLine(stderr.String()))
	}
	defer file.Close()
	return parseConformance(io.LimitReader(file, 256<<20))
}
