package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/aws/jsii-runtime-go"
)

const stages = `{
	"production": {"account": "123456789012", "mirrors": ["eu-west-1"], "redirectors": ["eu-west-1"], "upstream": {"endpoint": "https://a.example"}, "release": {}},
	"sandbox": {"account": "123456789012", "mirrors": ["eu-west-1"], "redirectors": ["eu-west-1"], "upstream": {"endpoint": "https://a.example"}}
}`

// runMain makes the test binary run the app, for TestErrorIsLastLine.
const runMain = "INFRA_TEST_RUN_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(runMain) != "" {
		main()
		return
	}
	code := m.Run()
	jsii.Close() // removes what importing the CDK created
	os.Exit(code)
}

func TestLoad(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		context map[string]any
		want    string // names of the stages, or the error
	}{
		{"all", nil, "production sandbox"},
		{"one", map[string]any{"stage": "sandbox"}, "sandbox"},
		{"empty", map[string]any{"stage": ""}, "production sandbox"},
		{"misspelled", map[string]any{"stage": "sanbox"}, `unknown stage "sanbox" (did you mean "sandbox"?)`},
		{"unknown", map[string]any{"stage": "test"}, `unknown stage "test": want production or sandbox`},
		{"text", map[string]any{"stages": strings.Replace(stages, "sandbox", "text", 1)}, "production text"},
		{"text-invalid", map[string]any{"stages": "{\n}}"}, "stages: line 2, column 2: invalid character '}' after top-level value"},
		{"no-stages", map[string]any{"stages": nil}, "no stages in the CDK context: run the app with the CDK CLI"},
		{"architecture", map[string]any{"architecture": "x86_64", "stage": "sandbox"}, "sandbox"},
		{"architecture-unknown", map[string]any{"architecture": "amd64"}, `context key architecture="amd64": want arm64 or x86_64`},
		{"release", map[string]any{"release": "none"}, "production sandbox"},
		{"release-unknown", map[string]any{"release": "fast"}, `context key release="fast": unknown traffic shift: want none or one of `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			context := map[string]any{}
			if err := json.Unmarshal([]byte(`{"stages": `+stages+`}`), &context); err != nil {
				t.Fatal(err)
			}
			for key, value := range tt.context {
				context[key] = value
			}
			all, err := load(func(key string) any { return context[key] })
			if err != nil {
				if !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("load: error %q, want %q", err, tt.want)
				}
				return
			}
			var names []string
			for _, s := range all {
				names = append(names, s.Name)
				if context["architecture"] == "x86_64" && s.Architecture != "x86_64" {
					t.Errorf("stage %s: architecture %s, want x86_64", s.Name, s.Architecture)
				}
				if context["release"] == "none" && s.Release != nil && !s.Release.Skipped {
					t.Errorf("stage %s: the release is not skipped", s.Name)
				}
			}
			if got := strings.Join(names, " "); got != tt.want {
				t.Errorf("load: stages %q, want %q", got, tt.want)
			}
		})
	}
}

// The message of an error is the last line, whatever the CDK prints.
func TestErrorIsLastLine(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("node"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("the app is not tested: there is no node in PATH")
		}
		t.Skip("the app is not tested: there is no node in PATH")
	}
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(executable)
	cmd.Env = append(os.Environ(), runMain+"=1", `CDK_CONTEXT_JSON={"stage": "sanbox", "stages": `+stages+`}`)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		t.Errorf("the app ended with %v, want exit status 1", err)
	}
	if want := "\nunknown stage \"sanbox\" (did you mean \"sandbox\"?)\n"; !strings.HasSuffix(stderr.String(), want) {
		t.Errorf("standard error\n%s\ndoes not end with the line %q", stderr.String(), want)
	}
}
