package build

import (
	"bytes"
	"debug/buildinfo"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What is deployed tells nothing of the machine that built it, else two
// machines would deploy two things from the same source.
func TestBinaryKnowsNoMachine(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("go", "env", "GOROOT", "GOMODCACHE", "GOCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	paths := append(strings.Fields(string(out)), root)
	for _, name := range []string{"redirector", "mirror"} {
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
				t.Errorf("%s has the path %s in it", name, path)
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

func TestRootIsFoundFromAnyFolder(t *testing.T) {
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(filepath.Join(root, "events"))
	if got, err := Root(); err != nil || got != root {
		t.Errorf("root %q, error %v; want %q", got, err, root)
	}
	t.Chdir(os.TempDir())
	if _, err := Root(); err == nil || !strings.Contains(err.Error(), "not a clone of the project") {
		t.Errorf("error %v outside of a clone", err)
	}
}
