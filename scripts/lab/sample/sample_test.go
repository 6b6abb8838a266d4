package sample

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestEnvironment(t *testing.T) {
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
		t.Errorf("INFO_URL is %q, %v; what the shell sets to nothing is nothing", v, ok)
	}
	if _, ok := e.Env["PATH"]; ok {
		t.Error("a variable of the shell that is none of the configuration got through")
	}
	if string(e.Payload) != `{"event":1}` || e.MirrorAddress() != "127.0.0.1:1" {
		t.Errorf("payload %s, mirrors at %q", e.Payload, e.MirrorAddress())
	}
	e.Override(func(name string) (string, bool) {
		return "https://elsewhere.example/{region}", name == "MIRROR_URL_TEMPLATE"
	})
	if got := e.MirrorAddress(); got != "" {
		t.Errorf("mirrors at %q, though they are somebody else's", got)
	}
}

func TestWrongFiles(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  string
	}{
		{"no-event", map[string]string{"env.json": "{}"}, "reading the event"},
		{"no-environment", map[string]string{"x.json": "{}"}, "reading the environment"},
		{"broken-environment", map[string]string{"x.json": "{}", "env.json": "{"}, "env.json"},
		{"broken-own-environment", map[string]string{"x.json": "{}", "env.json": "{}", "x.env.json": "[]"}, "x.env.json"},
		{"own-environment-in-another-form", map[string]string{"x.json": "{}", "env.json": "{}", "x.env.json": `{"LOG_LEVEL":"debug"}`}, "x.env.json"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := folder(t, tt.files)
			_, err := Read(filepath.Join(dir, "x.json"), filepath.Join(dir, "none"))
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
		})
	}
}

func TestMirrors(t *testing.T) {
	dir := folder(t, map[string]string{"env.json": "{}", "x.json": "{}", "mirrors.txt": "# what is held\n/eu/containers/images/sha256:a\n"})
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
	for path, want := range map[string]int{"/eu/containers/images/sha256:a": 200, "/eu/containers/images/sha256:b": 404, "/down/x": 503} {
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
