package build

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A binary must not depend on the machine that built it, else two machines deploy
// two binaries of the same source.
func TestBinaryHasNoTraceOfTheMachine(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "env", "GOROOT", "GOMODCACHE", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	paths := append(strings.Fields(string(out)), root)
	for _, name := range Functions {
		bootstrap, err := Bootstrap(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(bootstrap)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if bytes.Contains(data, []byte(path+string(filepath.Separator))) {
				t.Errorf("%s contains the path %s", name, path)
			}
		}
		info, err := buildinfo.ReadFile(bootstrap)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range info.Settings {
			if strings.HasPrefix(s.Key, "vcs") || s.Key == "CGO_ENABLED" && s.Value != "0" {
				t.Errorf("%s was built with %s=%s", name, s.Key, s.Value)
			}
		}
	}
}

// Neither the environment nor the file of go env -w may change the binary.
func TestEnvironmentIsPinned(t *testing.T) {
	t.Setenv("GOFLAGS", "-tags=other")
	t.Setenv("GOAMD64", "v3")
	t.Setenv("GOENV", filepath.Join(t.TempDir(), "env"))
	if err := os.WriteFile(os.Getenv("GOENV"), []byte("GOFLAGS=-tags=another\nGOARM64=v9.0\nGOPROXY=https://proxy.example\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env, err := Environment(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("go", "env", "GOFLAGS", "GOAMD64", "GOARM64", "CGO_ENABLED", "GOPROXY")
	cmd.Env = env
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	proxy := os.Getenv("GOPROXY")
	if proxy == "" {
		proxy = "https://proxy.example"
	}
	if want := "\nv1\nv8.0\n0\n" + proxy + "\n"; string(out) != want {
		t.Errorf("go env in the environment: %q, want %q", out, want)
	}
}

func TestNoGo(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Function(t.Context(), "redirector", "")
	if want := `there is no "go" in PATH: install Go 1.26 or newer`; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q in it", err, want)
	}
}

func TestCompilerErrorIsOneLine(t *testing.T) {
	_, err := Function(t.Context(), "no-such-function", "")
	if err == nil || !strings.HasPrefix(err.Error(), "building ./lambda/no-such-function: ") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v, want one line that names the package", err)
	}
}

// Every function has a main package.
func TestFunctions(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range Functions {
		source, err := os.ReadFile(filepath.Join(root, "lambda", name, "main.go"))
		if err != nil || !bytes.Contains(source, []byte("\npackage main\n")) {
			t.Errorf("lambda/%s has no package main: %v", name, err)
		}
	}
}

func TestArchitectures(t *testing.T) {
	for _, name := range Architectures() {
		if got := Architecture(GOARCH(name)); got != name {
			t.Errorf("Architecture(GOARCH(%q)) = %q", name, got)
		}
	}
	if !slices.Contains(Architectures(), "x86_64") || GOARCH("x86_64") != "amd64" || GOARCH("arm64") != "arm64" {
		t.Errorf("x86_64 is %q, arm64 is %q; want amd64, arm64", GOARCH("x86_64"), GOARCH("arm64"))
	}
	if GOARCH("mips") != "" || Architecture("mips") != "" {
		t.Error("mips has a name, want none")
	}
}

func TestRootIsFoundFromAnyFolder(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(root, "events"))
	if got, err := Root(); err != nil || got != root {
		t.Errorf("Root() = %q, %v; want %q", got, err, root)
	}
	t.Chdir(os.TempDir())
	if _, err := Root(); err == nil || !strings.Contains(err.Error(), "run this in a clone of the project") {
		t.Errorf("error %v outside of a clone, want one that says so", err)
	}
}
