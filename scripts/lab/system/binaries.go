package system

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"

	"archeio/lambda/build"
)

// built are the binaries that this process has built, by what they were built
// from. Linking takes about a second each, and tests start many systems.
var built = struct {
	mu    sync.Mutex
	files map[string]string
}{files: map[string]string{}}

// once returns the binary called name, built by build the first time. An error
// is not kept.
func once(name string, build func() (file string, err error)) (string, error) {
	built.mu.Lock()
	defer built.mu.Unlock()
	if file := built.files[name]; file != "" {
		return file, nil
	}
	file, err := build()
	if err == nil {
		built.files[name] = file
	}
	return file, err
}

// functionBinary builds a function for this machine.
func functionBinary(ctx context.Context, name string) (string, error) {
	return once("lambda/"+name, func() (string, error) { return build.Bootstrap(ctx, name) })
}

// operatorBinary builds the operator's program. It is run and not imported:
// packages below it are tested with this one.
func operatorBinary(ctx context.Context) (string, error) {
	return once("archeio", func() (string, error) {
		root, err := build.Root()
		if err != nil {
			return "", err
		}
		file := filepath.Join(root, ".build", "archeio")
		return file, build.Package(ctx, "./scripts/archeio", "", file)
	})
}

// ConformanceSuite builds the conformance suite of the OCI distribution
// specification and returns the path of the binary.
func ConformanceSuite(ctx context.Context) (string, error) {
	return nestedBinary(ctx, "conformance", "github.com/opencontainers/distribution-spec/conformance")
}

// serverBinary builds a server of the nested module scripts/lab/servers.
func serverBinary(ctx context.Context, name string) (string, error) {
	return nestedBinary(ctx, name, "./"+name)
}

// nestedBinary builds a main package that the nested module scripts/lab/servers
// has or depends on.
func nestedBinary(ctx context.Context, name, pkg string) (string, error) {
	return once("servers/"+name, func() (string, error) {
		root, err := build.Root()
		if err != nil {
			return "", err
		}
		file := filepath.Join(root, ".build", name)
		cmd := exec.CommandContext(ctx, "go", "build", "-o", file, pkg)
		cmd.Dir = filepath.Join(root, "scripts", "lab", "servers")
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("building %s: %w: %s", pkg, err, bytes.ReplaceAll(bytes.TrimSpace(out), []byte("\n"), []byte("; ")))
		}
		return file, nil
	})
}
