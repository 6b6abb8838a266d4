// Package clients installs the registry clients that are used in proofs.
package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"archeio/lambda/build"
	"archeio/scripts/prove/cli"
)

// modules are the clients that are built here, at pinned versions.
var modules = map[string]string{
	"crane":  "github.com/google/go-containerregistry/cmd/crane@v0.22.1",
	"oras":   "oras.land/oras/cmd/oras@v1.3.6",
	"regctl": "github.com/regclient/regclient/cmd/regctl@v0.11.7",
	"helm":   "helm.sh/helm/v3/cmd/helm@v3.22.0",
	"cosign": "github.com/sigstore/cosign/v2/cmd/cosign@v2.6.5",
}

// packages are the Debian packages of the other clients and of what they need
// to run containers. The release of Debian pins their versions.
var packages = map[string][]string{
	"skopeo": {"skopeo"},
	"podman": {"podman", "runc", "conmon"},
	"ctr":    {"containerd", "runc"},
	"docker": {"docker.io", "containerd", "runc"},
}

// programs are what a client needs in PATH, if it is more than the client.
var programs = map[string][]string{
	"podman": {"podman", "runc"},
	"ctr":    {"ctr", "containerd", "runc"},
	"docker": {"docker", "dockerd", "containerd", "runc"},
}

// installTimeout is how long one installation may run. helm and cosign are large.
const installTimeout = 20 * time.Minute

// Install installs the clients that are missing, and puts them into PATH. It
// returns the reason for each that is still missing.
func Install(ctx context.Context, names []string, progress *cli.Progress) (missing map[string]error, err error) {
	missing = map[string]error{}
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
			if err := installModule(ctx, bin, name, module, progress); err != nil {
				missing[name] = err
			}
			continue
		}
		if missingProgram(name) != "" {
			wanted = append(wanted, packages[name]...)
		}
	}
	if len(wanted) == 0 {
		return missing, nil
	}
	slices.Sort(wanted)
	why := installPackages(ctx, slices.Compact(wanted), progress)
	for _, name := range names {
		p := missingProgram(name)
		switch {
		case modules[name] != "" || p == "":
		case why != nil:
			missing[name] = fmt.Errorf("%s is not installed; %w", p, why)
		default:
			missing[name] = fmt.Errorf("%s is not installed, although its package is", p)
		}
	}
	return missing, nil
}

// missingProgram returns the first program of a client that is not in PATH, or
// "".
func missingProgram(name string) string {
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

func installModule(ctx context.Context, bin, name, module string, progress *cli.Progress) error {
	// A binary knows the version of its module, so another version is replaced.
	_, version, _ := strings.Cut(module, "@")
	binary := filepath.Join(bin, name)
	if out, err := exec.CommandContext(ctx, "go", "version", "-m", binary).Output(); err == nil && bytes.Contains(out, []byte("\t"+version+"\t")) {
		return nil
	}
	progress.Step("building %s", module)
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", module)
	cmd.Dir = os.TempDir() // outside of this module
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go install %s: %v: %s", module, err, cli.LastLine(string(out)))
	}
	return nil
}

func installPackages(ctx context.Context, names []string, progress *cli.Progress) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("install it yourself: apt-get is missing")
	}
	if os.Getuid() != 0 {
		return errors.New("install it yourself: apt-get needs root")
	}
	progress.Step("installing %s", strings.Join(names, ", "))
	ctx, cancel := context.WithTimeout(ctx, installTimeout)
	defer cancel()
	for _, args := range [][]string{{"update", "-qq"}, append([]string{"install", "-y", "-qq", "--no-install-recommends"}, names...)} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %v: %s", args[0], err, cli.LastLine(string(out)))
		}
	}
	return nil
}
