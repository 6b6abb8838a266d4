// Package build compiles the functions of this repository the way they are
// deployed. The CDK app, the release, the tests and the Makefile all build
// through it, so that the same source gives the same binary everywhere.
package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Tags are the build tags of a function. lambda.norpc leaves out the legacy RPC
// mode of aws-lambda-go, which a custom runtime does not use.
// https://docs.aws.amazon.com/lambda/latest/dg/golang-package.html
const Tags = "lambda.norpc"

// flags make a small binary that depends neither on the folder nor on the state
// of the repository.
var flags = [...]string{"-trimpath", "-buildvcs=false", "-tags=" + Tags}

// linkerFlags leave out the symbol table, debug information and the build ID.
const linkerFlags = "-s -w -buildid="

// Functions are the functions that are deployed, each the main package of that
// name below lambda/.
var Functions = [...]string{"redirector", "mirror", "rollout", "canary"}

// RedirectorBudget is the maximum size of the redirector's binary in bytes. A cold start
// loads the binary, so its size is part of the latency of a request.
const RedirectorBudget = 9_000_000

// Function builds the function of that name as a file called bootstrap in the
// folder dir, which is below .build of the repository. The same source gives the
// same file, so a deployment without changes changes nothing. goarch is an
// architecture as Go names it; if it is empty, the function is built for this
// machine. It is fast if nothing has changed.
func Function(ctx context.Context, name, goarch string) (dir string, err error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(root, ".build", name)
	if goarch != "" {
		dir += "-linux-" + goarch
	}
	return dir, Package(ctx, "./lambda/"+name, goarch, filepath.Join(dir, bootstrap))
}

// bootstrap is the file name that Lambda expects from a custom runtime.
const bootstrap = "bootstrap"

// bootstraps are the binaries that Bootstrap has built.
var bootstraps struct {
	mu    sync.Mutex
	files map[string]string // by root and name
}

// Bootstrap builds a function for this machine and returns its binary. A process
// builds each function once, since linking takes a second even if nothing has changed.
func Bootstrap(ctx context.Context, name string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	bootstraps.mu.Lock()
	defer bootstraps.mu.Unlock()
	key := root + " " + name
	if file, ok := bootstraps.files[key]; ok {
		return file, nil
	}
	dir, err := Function(ctx, name, "")
	if err != nil {
		return "", err
	}
	if bootstraps.files == nil {
		bootstraps.files = map[string]string{}
	}
	bootstraps.files[key] = filepath.Join(dir, bootstrap)
	return bootstraps.files[key], nil
}

// Package builds a main package as a function is built. pkg is relative to the
// root of the repository and begins with "./"; goarch is as for Function.
func Package(ctx context.Context, pkg, goarch, file string) error {
	goos := ""
	if goarch != "" {
		goos = "linux"
	}
	return Program(ctx, pkg, goos, goarch, file)
}

// Program builds a main package for an operating system and an architecture as Go
// names them; if they are empty, for this machine. Each of variables, as
// IMPORT/PATH.NAME=VALUE, sets a string variable of the program. Values must not
// contain spaces or quotes.
func Program(ctx context.Context, pkg, goos, goarch, file string, variables ...string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	env, err := Environment(ctx)
	if err != nil {
		return err
	}
	if goos != "" {
		env = append(env, "GOOS="+goos)
	}
	if goarch != "" {
		env = append(env, "GOARCH="+goarch)
	}
	linker := linkerFlags
	for _, v := range variables {
		linker += " -X " + v
	}
	cmd := exec.CommandContext(ctx, "go", append(append([]string{"build"}, flags[:]...), "-ldflags="+linker, "-o", file, pkg)...)
	cmd.Dir, cmd.Env = root, env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w: %s", pkg, err, bytes.ReplaceAll(bytes.TrimSpace(out), []byte("\n"), []byte("; ")))
	}
	return nil
}

// Hash returns the SHA-256 of the function in a folder, in hexadecimal.
func Hash(dir string) (string, error) {
	code, err := os.ReadFile(filepath.Join(dir, bootstrap))
	if err != nil {
		return "", fmt.Errorf("hashing the function: %w", err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(code)), nil
}

// RedirectorHash builds the redirector for an architecture as AWS names it and returns
// its Hash.
func RedirectorHash(ctx context.Context, architecture string) (string, error) {
	dir, err := Function(ctx, "redirector", GOARCH(architecture))
	if err != nil {
		return "", err
	}
	return Hash(dir)
}

// Root returns the root folder of the repository, which is the working directory
// or above it.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the repository: %w", err)
	}
	for start := dir; ; dir = filepath.Dir(dir) {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module archeio\n") {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", fmt.Errorf("finding the repository: no go.mod of module archeio in %q or above: run this in a clone of the project", start)
		}
	}
}
