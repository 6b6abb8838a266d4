package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"archeio/scripts/prove/cli"
)

// commandTimeout is how long one command of a client may run.
const commandTimeout = time.Minute

// tools runs clients in a home directory of their own, so that no login, cache
// or setting of the user has an effect.
type tools struct{ dir string }

func newTools() (t tools, remove func(), err error) {
	dir, remove, err := tempDir("e2e")
	if err != nil {
		return t, nil, err
	}
	t.dir = dir
	for file, text := range map[string]string{t.policy(): `{"default":[{"type":"insecureAcceptAnything"}]}`, t.auth(): "{}"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			remove()
			return t, nil, err
		}
	}
	return t, remove, nil
}

// policy and auth are the files of containers-policy.json(5) and
// containers-auth.json(5).
func (t tools) policy() string { return filepath.Join(t.dir, "policy.json") }
func (t tools) auth() string   { return filepath.Join(t.dir, "auth.json") }

// command runs a client and returns its standard output.
func (t tools) command(ctx context.Context, name string, args ...string) (string, error) {
	stdout, _, err := t.commandWith(ctx, nil, name, args...)
	return stdout, err
}

// commandWith runs a client with more variables of the environment, "NAME=VALUE" each, and
// returns what it printed.
func (t tools) commandWith(ctx context.Context, env []string, name string, args ...string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(ctx, commandTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = t.dir
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "HOME=" + t.dir, "TMPDIR=" + t.dir, "XDG_RUNTIME_DIR=" + t.dir,
		"DOCKER_CONFIG=" + t.dir, "DOCKER_HOST=unix://" + filepath.Join(t.dir, "docker.sock"),
		"REGISTRY_AUTH_FILE=" + t.auth(), "COSIGN_PASSWORD=for-this-machine-only",
	}, env...)
	cmd.WaitDelay = time.Second
	var out, errors bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errors
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", "", fmt.Errorf("%s %s: did not finish within %s", name, args[0], commandTimeout)
		}
		return "", "", fmt.Errorf("%s %s: %v: %s", name, args[0], err, cli.LastLine(errors.String()))
	}
	return out.String(), errors.String(), nil
}
