package sample

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// folder writes files, by path relative to a new folder that it returns.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"env.json":   `{"Parameters":{"UPSTREAM_CLOUDS":"GCP","INFO_URL":"https://a.example/","MIRROR_URL_TEMPLATE":"http://127.0.0.1:1/{region}"}}`,
		"x.json":     `{"event":1}`,
		"x.env.json": `{"Parameters":{"UPSTREAM_CLOUDS":"none","CLIENT_ADDRESS_HEADER":"X-Real-IP"}}`,
	})
	e, err := Read(filepath.Join(dir, "x.json"), "")
	if err != nil {
		t.Fatal(err)
	}
	shell := map[string]string{"INFO_URL": "", "LOG_LEVEL": "debug", "PATH": "/bin", "AWS_REGION": "eu-west-1"}
	e.Override(func(name string) (string, bool) {
		v, ok := shell[name]
		return v, ok
	})
	for name, want := range map[string]string{
		"UPSTREAM_CLOUDS":       "none",      // of the event, over env.json
		"CLIENT_ADDRESS_HEADER": "X-Real-IP", // of the event only
		"LOG_LEVEL":             "debug",     // of the shell only
		"AWS_REGION":            "us-east-1",
	} {
		if e.Env[name] != want {
			t.Errorf("%s is %q, want %q", name, e.Env[name], want)
		}
	}
	if v, ok := e.Env["INFO_URL"]; !ok || v != "" {
		t.Errorf("INFO_URL is %q, %v; want the empty value of the shell", v, ok)
	}
	if _, ok := e.Env["PATH"]; ok {
		t.Error("PATH of the shell is in the environment, want configuration variables only")
	}
	if e.Name != "x" || string(e.Payload) != `{"event":1}` || e.MirrorAddress() != "127.0.0.1:1" {
		t.Errorf("name %q, payload %s, mirrors at %q", e.Name, e.Payload, e.MirrorAddress())
	}
	e.Override(func(name string) (string, bool) {
		return "https://elsewhere.example/{region}", name == "MIRROR_URL_TEMPLATE"
	})
	if got := e.MirrorAddress(); got != "" {
		t.Errorf("mirrors at %q after an override, want none", got)
	}
}

func TestBadFiles(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no-event", map[string]string{"env.json": "{}"}, "reading the event"},
		{"no-environment", map[string]string{"x.json": "{}"}, "reading the environment"},
		{"bad-environment", map[string]string{"x.json": "{}", "env.json": "{"}, "env.json"},
		{"bad-own-environment", map[string]string{"x.json": "{}", "env.json": "{}", "x.env.json": "[]"}, "x.env.json"},
		{"own-environment-in-another-form", map[string]string{"x.json": "{}", "env.json": "{}", "x.env.json": `{"LOG_LEVEL":"debug"}`}, "x.env.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, tt.files)
			_, err := Read(filepath.Join(dir, "x.json"), filepath.Join(dir, "none"))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
}

func TestMirrors(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"env.json": "{}", "x.json": "{}", "mirrors.txt": "# stored\n/eu/containers/images/sha256:a\n"})
	e, err := Read(filepath.Join(dir, "x.json"), "")
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	stop, err := e.ServeMirrors(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for path, want := range map[string]int{
		"/eu/containers/images/sha256:a":   http.StatusOK,
		"/eu/containers/images/sha256:b":   http.StatusNotFound,
		"/eu/containers/images/index.v2":   http.StatusOK,
		"/down/containers/images/index.v2": http.StatusServiceUnavailable,
		"/down/x":                          http.StatusServiceUnavailable,
		"/v2/token/a/manifests/3.9":        http.StatusUnauthorized,
		"/token":                           http.StatusOK,
	} {
		resp, err := http.Head("http://" + address + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"events/env.json":              "{}",
		"events/alb/ping.json":         "{}",
		"events/alb/ping.want.json":    "{}",
		"events/alb/blob-aws.json":     "{}",
		"events/alb/blob-aws.env.json": "{}",
		"events/edge/ping.json":        "{}",
		"events/edge/viewer-ping.json": "{}",
		"own":                          "{}",
	})
	events := filepath.Join(dir, "events")
	for _, tt := range []struct{ name, file, want, suggestion string }{
		{"file", "events/alb/ping.json", "events/alb/ping.json", ""},
		{"without-ending", "events/alb/ping", "events/alb/ping.json", ""},
		{"elsewhere", "own", "own", ""},
		{"misspelled", "events/alb/pin.json", "", "events/alb/ping.json"},
		{"misspelled-folder", "events/edg/viewer-ping.json", "", "events/edge/viewer-ping.json"},
		{"misspelled-without-ending", "events/alb/blob-awss", "", "events/alb/blob-aws.json"},
		{"flat", "events/alb-ping.json", "", "events/alb/ping.json"},
		{"without-folder", "events/ping.json", "", "events/alb/ping.json"},
		{"without-folder-misspelled", "viewer-pin", "", "events/edge/viewer-ping.json"},
		{"other-folder", "events/url/viewer-ping.json", "", "events/edge/viewer-ping.json"},
		{"folder", "events/alb", "", "events/alb/ping.json"},
		{"nothing-close", "events/alb/manifest-by-digest.json", "", "events/alb/ping.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Find(filepath.Join(dir, tt.file), events)
			if tt.want != "" {
				if err != nil || got != filepath.Join(dir, tt.want) {
					t.Errorf("%q, error %v; want %q", got, err, tt.want)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), `"`+filepath.Join(dir, tt.suggestion)+`"`) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %s", err, tt.suggestion)
			}
		})
	}
}

func TestWant(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{"x.json": "{}", "x.want.json": `{"a":1}`, "y.json": "{}"})
	for file, want := range map[string]string{"x.json": `{"a":1}`, "y.json": ""} {
		if got, err := Want(filepath.Join(dir, file)); err != nil || string(got) != want {
			t.Errorf("%s: %q, error %v; want %q", file, got, err, want)
		}
	}
}

func TestEqual(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, result, want string
		equal              bool
		err                string
	}{
		{"order", `{"a":1,"b":2}`, `{"b":2, "a":1}`, true, ""},
		{"other-value", `{"a":1}`, `{"a":2}`, false, ""},
		{"run", `{"run":"plan-20261126T101112.123Z"}`, `{"run":"plan-TIME"}`, true, ""},
		{"other-run", `{"run":"status-20261126T101112.123Z"}`, `{"run":"plan-TIME"}`, false, ""},
		{"run-in-another-form", `{"run":"plan-2026"}`, `{"run":"plan-TIME"}`, false, ""},
		{"bad-result", `{`, `{}`, false, "reading the result: "},
		{"bad-want", `{}`, `{`, false, "reading the wanted result: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			equal, err := Equal([]byte(tt.result), []byte(tt.want))
			if equal != tt.equal || (err != nil) != (tt.err != "") || err != nil && !strings.HasPrefix(err.Error(), tt.err) {
				t.Errorf("%v, error %v; want %v, %q", equal, err, tt.equal, tt.err)
			}
		})
	}
}
