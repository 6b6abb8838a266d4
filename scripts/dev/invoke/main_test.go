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
	ping = `{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/","headers":{}}`
	info = `{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/","headers":{}}`
)

// TestInvoke runs the built command as a shell does, with pipes: what it prints
// where, and its exit code.
func TestInvoke(t *testing.T) {
	t.Parallel()
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
		"info.json":    info,
		"other.json":   `{"Records":[{"eventSource":"aws:sqs"}]}`,
		"not-json.txt": `ping`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, args string
		env        []string
		exit       int
		stdout     string // a part of it
		stderr     string
	}{
		{"result", "ping.json", nil, 0, `"statusCode":200`, ""},
		{"without-ending", "ping", nil, 0, `"statusCode":200`, ""},
		{"metrics", "-v ping.json", nil, 0, `"statusCode":200`, `{"_aws":`},
		{"environment-of-the-folder", "info.json", nil, 0, `"https://file.example/"`, ""},
		{"shell-overrides", "info.json", []string{"INFO_URL=https://shell.example/"}, 0, `"https://shell.example/"`, ""},
		{"shell-overrides-with-empty", "info.json", []string{"INFO_URL="}, 0, `"statusCode":200`, ""},
		{"shell-sets-another-variable", "info.json", []string{"LOG_LEVEL=debug"}, 0, `"https://file.example/"`, `"decision"`},
		{"function-error", "other.json", nil, 1, `"errorType":"EventError"`, "decoding the event"},
		{"not-json", "not-json.txt", nil, 1, `"errorType":"EventError"`, "not JSON"},
		{"bad-configuration", "ping.json", []string{"LOG_LEVEL=loud"}, 2, "", `LOG_LEVEL="loud": `},
		{"no-such-event", "pong.json", nil, 2, "", `pong.json": no such file (did you mean "`},
		{"no-event", "", nil, 2, "", "missing EVENT"},
		{"two-events", "ping.json info.json", nil, 2, "", "unexpected argument"},
		{"unknown-flag", "-x ping.json", nil, 2, "", "not defined: -x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var args []string
			for _, arg := range strings.Fields(tt.args) {
				if arg[0] != '-' {
					arg = filepath.Join(dir, arg)
				}
				args = append(args, arg)
			}
			cmd := exec.Command(command, append([]string{"-bootstrap", bootstrap}, args...)...)
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
			if !strings.Contains(stderr.String(), tt.stderr) || tt.stderr == "" && stderr.Len() > 0 {
				t.Errorf("standard error %q, want %q", stderr.String(), tt.stderr)
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

func TestWithoutMetrics(t *testing.T) {
	t.Parallel()
	const metric, log = `{"_aws":{"Timestamp":1},"Requests":1}` + "\n", `{"level":"DEBUG","msg":"{\"_aws\":"}` + "\n"
	for _, tt := range []struct {
		name    string
		verbose bool
		writes  []string
		want    string
	}{
		{"metric", false, []string{metric}, ""},
		{"verbose", true, []string{metric, log}, metric + log},
		{"log", false, []string{log, metric, log}, log + log},
		{"several-lines", false, []string{metric + log + metric}, log},
		{"split", false, []string{metric[:4], metric[4:] + log[:3], log[3:]}, log},
		{"last-line", false, []string{log + "panic: x"}, log + "panic: x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			w := &withoutMetrics{out: &out, verbose: tt.verbose}
			for _, text := range tt.writes {
				if n, err := w.Write([]byte(text)); n != len(text) || err != nil {
					t.Errorf("wrote %d of %d bytes, error %v", n, len(text), err)
				}
			}
			if w.flush(); out.String() != tt.want {
				t.Errorf("%q, want %q", out.String(), tt.want)
			}
		})
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	const redirect = `{"statusCode":307,"statusDescription":"307 Temporary Redirect","headers":{"Location":"https://a.example/","X-Redirect-Reason":"aws-region"},"body":""}`
	for _, tt := range []struct {
		name, result, want string
		overrides          []string
		shown              string
	}{
		{"alb", redirect, redirect, nil, "status    307 Temporary Redirect\nlocation  https://a.example/\nreason    aws-region\nwant      PASS as in x.want.json\n"},
		{"multi-value", `{"statusCode":307,"statusDescription":"307 Temporary Redirect","multiValueHeaders":{"Location":["https://a.example/"]}}`, "", nil,
			"status    307 Temporary Redirect\nlocation  https://a.example/\nwant      nothing to compare with: there is no x.want.json\n"},
		{"function-url", `{"statusCode":404,"headers":{"x-redirect-reason":"bad-digest"},"body":"{}"}`, `{"statusCode":404,"headers":{"x-redirect-reason":"bad-digest"},"body":"{}"}`, nil,
			"status    404 Not Found\nreason    bad-digest\nbody      {}\nwant      PASS as in x.want.json\n"},
		{"edge", `{"status":"307","statusDescription":"Temporary Redirect","headers":{"location":[{"key":"Location","value":"https://a.example/"}]}}`, "", nil,
			"status    307 Temporary Redirect\nlocation  https://a.example/\nwant      nothing to compare with: there is no x.want.json\n"},
		{"error", `{"errorType":"EventError","errorMessage":"unknown event"}`, `{"errorType":"EventError","errorMessage":"unknown event"}`, nil,
			"error     EventError: unknown event\nwant      PASS as in x.want.json\n"},
		{"run", `{"run":"plan-20261126T101112.123Z","done":true}`, `{"run":"plan-TIME","done":true}`, nil,
			"result    {\"run\":\"plan-20261126T101112.123Z\",\"done\":true}\nwant      PASS as in x.want.json\n"},
		{"fail", `{"statusCode":200}`, "{\n  \"statusCode\": 404\n}\n", nil,
			"status    200 OK\nwant      FAIL differs from x.want.json\n\nresult: {\"statusCode\":200}\nwanted: {\"statusCode\":404}\n"},
		{"overridden", `{"statusCode":200}`, `{"statusCode":404}`, []string{"INFO_URL"},
			"status    200 OK\nwant      DIFFERS from x.want.json; the shell sets INFO_URL\n\nresult: {\"statusCode\":200}\nwanted: {\"statusCode\":404}\n"},
		{"overridden-without-effect", `{"statusCode":200}`, `{"statusCode":200}`, []string{"INFO_URL"},
			"status    200 OK\nwant      PASS as in x.want.json\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.json")
			if tt.want != "" {
				if err := os.WriteFile(strings.TrimSuffix(file, ".json")+".want.json", []byte(tt.want), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out strings.Builder
			if err := show(&out, false, []byte(tt.result), file, tt.overrides); err != nil {
				t.Fatal(err)
			}
			if out.String() != tt.shown {
				t.Errorf("shown\n%s\nwant\n%s", out.String(), tt.shown)
			}
		})
	}
}
