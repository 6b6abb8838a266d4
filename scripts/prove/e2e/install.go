package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"archeio/lambda/build"
)

// modules are the clients that are built here, at pinned versions.
var modules = map[string]string{
	"crane":  "github.com/google/go-containerregistry/cmd/crane@v0.22.1",
	"oras":   "oras.land/oras/cmd/oras@v1.3.6",
	"regctl": "github.com/regclient/regclient/cmd/regctl@v0.11.7",
}

// packages are those of Debian that have the other clients, whose versions are
// pinned by Debian's release. What an engine needs to run containers comes with
// them.
var packages = map[string][]string{
	"skopeo": {"skopeo"},
	"podman": {"podman", "runc", "conmon"},
	"ctr":    {"containerd", "runc"},
	"docker": {"docker.io", "containerd", "runc"},
}

// programs must be there for a client to work.
var programs = map[string][]string{
	"podman": {"podman", "runc"},
	"ctr":    {"ctr", "containerd", "runc"},
	"docker": {"docker", "dockerd", "containerd", "runc"},
}

// install sees to it that the clients are there. It answers why one is not.
func install(ctx context.Context, names []string, say func(string)) (missing map[string]string, err error) {
	missing = map[string]string{}
	root, err := build.Root()
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(root, ".build", "e2e", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	os.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	var wanted []string
	for _, name := range names {
		if module := modules[name]; module != "" {
			if err := installModule(ctx, bin, name, module, say); err != nil {
				missing[name] = err.Error()
			}
			continue
		}
		if lacks(name) != "" {
			wanted = append(wanted, packages[name]...)
		}
	}
	if len(wanted) > 0 {
		slices.Sort(wanted)
		why := installPackages(ctx, slices.Compact(wanted), say)
		for _, name := range names {
			if p := lacks(name); modules[name] == "" && p != "" {
				missing[name] = fmt.Sprintf("there is no %s here; %s", p, why)
			}
		}
	}
	return missing, nil
}

// lacks is the first program that a client needs and that is not there.
func lacks(name string) string {
	need := programs[name]
	if need == nil {
		need = []string{name}
	}
	for _, p := range need {
		if _, err := exec.LookPath(p); err != nil {
			return p
		}
	}
	return ""
}

func installModule(ctx context.Context, bin, name, module string, say func(string)) error {
	// What is built knows its version, so an older one is replaced.
	_, version, _ := strings.Cut(module, "@")
	binary := filepath.Join(bin, name)
	if out, err := exec.CommandContext(ctx, "go", "version", "-m", binary).Output(); err == nil && bytes.Contains(out, []byte("\t"+version+"\t")) {
		return nil
	}
	say("building " + module)
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", module)
	cmd.Dir = os.TempDir() // outside of this module
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go install %s: %v: %s", module, err, lastLine(string(out)))
	}
	return nil
}

// installPackages answers why they cannot be installed, or what then went
// wrong.
func installPackages(ctx context.Context, names []string, say func(string)) string {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return "install it by hand, there is no apt-get"
	}
	if os.Getuid() != 0 {
		return "install it by hand, only root can by apt-get"
	}
	say("installing " + strings.Join(names, ", "))
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	for _, args := range [][]string{{"update", "-qq"}, append([]string{"install", "-y", "-qq", "--no-install-recommends"}, names...)} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Sprintf("apt-get %s: %v: %s", args[0], err, lastLine(string(out)))
		}
	}
	return "apt-get did not bring it"
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
