package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMain makes the test binary a substitute for SAM if it is called as such: it
// serves the functions of the template that it is given.
func TestMain(m *testing.M) {
	if i := slices.Index(os.Args, "start-lambda"); i > 0 {
		serveAsSAM(os.Args[i:])
	}
	os.Exit(m.Run())
}

func serveAsSAM(args []string) {
	value := func(name string) string { return args[slices.Index(args, name)+1] }
	template, err := os.ReadFile(value("-t"))
	if err != nil || os.Getenv("DOCKER_HOST") == "" {
		fmt.Fprintln(os.Stderr, "bad call", args, err)
		os.Exit(1)
	}
	if strings.Contains(string(template), "broken") {
		fmt.Fprintln(os.Stderr, "Traceback:\ndocker.errors.APIError: 500 Server Error: no port\nhttps://github.com/aws/aws-sam-cli/issues/new?title=APIError")
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, `{"_aws":{}}`)
	var functions struct {
		Resources map[string]struct {
			Metadata map[string]string
		}
	}
	if err := json.Unmarshal(template, &functions); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	// Like SAM, which runs the file bootstrap of the code's folder.
	code := func(name string) string {
		file := filepath.Join(filepath.Dir(value("-t")), functions.Resources[name].Metadata["aws:asset:path"], "bootstrap")
		text, err := os.ReadFile(file)
		if err != nil {
			return err.Error()
		}
		return string(text)
	}
	http.ListenAndServe(net.JoinHostPort(value("--host"), value("--port")), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		event, _ := io.ReadAll(r.Body)
		name := strings.Split(r.URL.Path, "/")[3]
		switch {
		case !strings.Contains(string(template), `"`+name+`"`):
			http.Error(w, "no function "+name, http.StatusNotFound)
		case strings.Contains(string(event), "Records"):
			io.WriteString(w, `{"errorType":"EventError"}`)
		case strings.Contains(string(event), `"path"`):
			fmt.Fprintf(w, `{"statusCode": 200, "function": %q, "code": %q}`, name, code(name))
		default:
			http.Error(w, "no container", http.StatusBadGateway)
		}
	}))
}

// TestRun runs the command with substitutes for SAM, Docker, the CDK and Go.
func TestRun(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	programs := t.TempDir()
	for name, script := range map[string]string{
		"sam":    "exec " + self + ` "$@"`,
		"docker": "exit 0",
		"cdk": `while [ "$1" != -o ]; do shift; done
mkdir -p $2/asset.1 && echo built >$2/asset.1/bootstrap
echo '{"Resources":{"Redirector":{"Type":"AWS::Lambda::Function","Properties":{"FunctionName":"x"},"Metadata":{"aws:cdk:path":"x","aws:asset:path":"asset.1"}},"Other":{}}}' >$2/archeio-smallest-redirector-eu-central-1.template.json`,
		"go": `while [ "$1" != -o ]; do shift; done
echo mirrors >$2`,
	} {
		if err := os.WriteFile(filepath.Join(programs, name), []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	path := programs + string(os.PathListSeparator) + os.Getenv("PATH")
	dir := t.TempDir()
	for name, text := range map[string]string{
		"env.json":        `{"Parameters":{"MIRROR_URL_TEMPLATE":"http://127.0.0.1:18580/{region}"}}`,
		"ping.env.json":   `{"Parameters":{"MIRROR_URL_TEMPLATE":""}}`,
		"mirrors.txt":     "",
		"ping.json":       `{"path":"/v2/"}`,
		"blob.json":       `{"path":"/v2/x/blobs/y"}`,
		"error.env.json":  `{"Parameters":{"MIRROR_URL_TEMPLATE":""}}`,
		"error.json":      `{"Records":[]}`,
		"other.env.json":  `{"Parameters":{"MIRROR_URL_TEMPLATE":""}}`,
		"other.json":      `{}`,
		"broken.env.json": `{"Parameters":{"MIRROR_URL_TEMPLATE":"","INFO_URL":"broken"}}`,
		"broken.json":     `{"path":"/v2/"}`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	event := func(name string) string { return filepath.Join(dir, name) }
	ok := func(i int, code string) string {
		return fmt.Sprintf("{\"statusCode\":200,\"function\":\"RedirectorEvent%d\",\"code\":%q}\n", i, code+"\n")
	}
	const withMirrors = "#!/bin/sh\nexec /var/task/mirrors /var/task 127.0.0.1:18580 /var/task/function"
	for _, tt := range []struct {
		name   string
		path   string
		args   []string
		code   int
		stdout string
		stderr string // a part of it
	}{
		{"results", path, []string{event("ping.json"), event("ping")}, 0, ok(0, "built") + ok(1, "built"), ""},
		{"mirrors", path, []string{event("ping.json"), event("blob.json")}, 0, ok(0, "built") + ok(1, withMirrors), ""},
		{"verbose", path, []string{"-v", event("ping.json")}, 0, ok(0, "built"), `{"_aws":{}}`},
		{"function-error", path, []string{event("error.json"), event("ping.json")}, 1, "{\"errorType\":\"EventError\"}\n" + ok(1, "built"), ""},
		{"no-result", path, []string{event("other.json")}, 2, "", "invoking other: SAM responded with 502 Bad Gateway: no container"},
		{"sam-exits", path, []string{event("broken.json")}, 2, "", "it exited: docker.errors.APIError: 500 Server Error: no port"},
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
			args := append([]string{"-python", programs, "-cdk", "cdk"}, tt.args...)
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
