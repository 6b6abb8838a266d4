package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRun runs the command with substitutes for SAM and Docker.
func TestRun(t *testing.T) {
	programs := t.TempDir()
	for name, script := range map[string]string{
		"docker": "exit 0",
		// It prints the result that EVENT names, and fails without the arguments
		// of "sam local invoke".
		"sam": `
[ "$1 $2" = "local invoke" ] && [ -n "$DOCKER_HOST" ] || { echo "bad call: $*" >&2; exit 1; }
while [ "$1" != -e ]; do shift; done
echo '{"_aws":{}}' >&2
grep -q '"path":"/v2/"' "$2" && { echo START; echo '{"statusCode":200}'; exit 0; }
grep -q Records "$2" && { echo '{"errorType":"EventError"}'; exit 0; }
echo 'no container' >&2`,
	} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	path := programs + string(os.PathListSeparator) + os.Getenv("PATH")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"env.json":   `{"Parameters":{}}`,
		"ping.json":  `{"path":"/v2/"}`,
		"error.json": `{"Records":[]}`,
		"other.json": `{}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	event := func(name string) string { return filepath.Join(dir, name) }
	for _, tt := range []struct {
		name   string
		path   string
		args   []string
		code   int
		stdout string
		stderr string // a part of it
	}{
		{"results", path, []string{event("ping.json"), event("ping")}, 0, "{\"statusCode\":200}\n{\"statusCode\":200}\n", ""},
		{"verbose", path, []string{"-v", event("ping.json")}, 0, "{\"statusCode\":200}\n", `{"_aws":{}}`},
		{"function-error", path, []string{event("error.json"), event("ping.json")}, 1, "{\"errorType\":\"EventError\"}\n{\"statusCode\":200}\n", ""},
		{"no-result", path, []string{event("other.json")}, 2, "", "running sam local invoke: the result is not JSON: no container"},
		{"no-event", path, []string{""}, 2, "", "missing EVENT"},
		{"no-such-event", path, []string{"events/alb-ping.json"}, 2, "", "(did you mean "},
		{"unknown-flag", path, []string{"-x"}, 2, "", "not defined: -x"},
		{"no-sam", "/none", []string{"-python", "/none", event("ping.json")}, 2, "", `there is no "sam" in /none or PATH: install it with make python`},
		{"no-docker", "/none", []string{event("ping.json")}, 2, "", `there is no "docker" in PATH`},
		{"no-cdk", path, []string{"-cdk", "no-such-cdk synth", event("ping.json")}, 2, "", `there is no "no-such-cdk" in PATH`},
		{"cdk-fails", path, []string{"-cdk", "false", event("ping.json")}, 2, "", "running cdk synth: exit status 1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("PATH", tt.path)
			var stdout, stderr bytes.Buffer
			args := append([]string{"-python", programs, "-cdk", "true"}, tt.args...)
			if code := run(t.Context(), args, &stdout, &stderr); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if stdout.String() != tt.stdout || !strings.Contains(stderr.String(), tt.stderr) || tt.stderr == "" && stderr.Len() > 0 {
				t.Errorf("standard output %q, want %q; standard error %q, want %q", &stdout, tt.stdout, &stderr, tt.stderr)
			}
			if tt.code == 2 && strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("standard error %q, want one line", &stderr)
			}
		})
	}
}
