package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"archeio/lambda/build"
)

const (
	ping   = `{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/","headers":{}}`
	people = `{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/","headers":{}}`
)

// TestInvoke runs the built command as a shell does: what it prints where, and
// how it ends.
func TestInvoke(t *testing.T) {
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	command := filepath.Join(dir, "invoke")
	if out, err := exec.Command("go", "build", "-o", command, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for name, text := range map[string]string{
		"env.json":     `{"Parameters":{"UPSTREAM_REGISTRY_ENDPOINT":"https://registry.example","INFO_URL":"https://file.example/"}}`,
		"ping.json":    ping,
		"people.json":  people,
		"other.json":   `{"Records":[{"eventSource":"aws:sqs"}]}`,
		"not-json.txt": `ping`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, event string
		env         []string
		exit        int
		stdout      string // a part of it
		stderr      string
	}{
		{"answer", "ping.json", nil, 0, `"statusCode":200`, ""},
		{"environment-of-the-folder", "people.json", nil, 0, `"https://file.example/"`, ""},
		{"shell-wins", "people.json", []string{"INFO_URL=https://shell.example/"}, 0, `"https://shell.example/"`, ""},
		{"shell-wins-with-nothing", "people.json", []string{"INFO_URL="}, 0, `"statusCode":404`, ""},
		{"shell-names-another-variable", "people.json", []string{"LOG_LEVEL=debug"}, 0, `"https://file.example/"`, `"decision"`},
		{"function-error", "other.json", nil, 1, `"errorType":"EventError"`, ""},
		{"no-json", "not-json.txt", nil, 1, `"errorType":"EventError"`, ""},
		{"wrong-configuration", "ping.json", []string{"LOG_LEVEL=loud"}, 2, "", `LOG_LEVEL="loud": unknown level: want debug`},
		{"no-such-event", "none.json", nil, 2, "", "none.json"},
		{"no-event", "", nil, 2, "", "name one event"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"-bootstrap", bootstrap}
			if tt.event != "" {
				args = append(args, filepath.Join(dir, tt.event))
			}
			cmd := exec.Command(command, args...)
			cmd.Env = append(os.Environ(), tt.env...)
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			err := cmd.Run()
			var failed *exec.ExitError
			if err != nil && !errors.As(err, &failed) {
				t.Fatal(err)
			}
			if code := cmd.ProcessState.ExitCode(); code != tt.exit {
				t.Errorf("exit code %d, want %d", code, tt.exit)
			}
			if !strings.Contains(stderr.String(), tt.stderr) {
				t.Errorf("standard error %q, want %q in it", stderr.String(), tt.stderr)
			}
			if tt.exit == 2 {
				if stdout.Len() > 0 || strings.Count(stderr.String(), "\n") != 1 {
					t.Errorf("standard output %q, standard error %q; want nothing and one line", stdout.String(), stderr.String())
				}
				return
			}
			if !json.Valid(stdout.Bytes()) || !strings.Contains(stdout.String(), tt.stdout) {
				t.Errorf("standard output %q, want JSON with %q", stdout.String(), tt.stdout)
			}
		})
	}
}
