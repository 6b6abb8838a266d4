// Package build compiles the functions of this repository, in the way in which
// they are deployed.
package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Function builds the main package of a function, such as "redirector", as a
// file called bootstrap in the folder that it answers. The same source gives
// the same file, so that a deployment of what has not changed changes nothing.
// goarch is as Go spells it; empty is this machine's. Where nothing has changed
// it is quick.
func Function(ctx context.Context, name, goarch string) (dir string, err error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	dir = filepath.Join(root, ".build", name+"-linux-"+goarch)
	env := append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if goarch == "" {
		dir = filepath.Join(root, ".build", name)
	} else {
		env = append(env, "GOOS=linux", "GOARCH="+goarch)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-tags", "lambda.norpc", "-ldflags=-s -w -buildid=",
		"-o", filepath.Join(dir, "bootstrap"), "./lambda/"+name)
	cmd.Dir, cmd.Env = root, env
	if out, err := cmd.CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			return "", errors.New(`building the function: there is no "go" on this machine; install Go 1.26 or newer`)
		}
		return "", fmt.Errorf("building the function %s: %w\n%s", name, err, bytes.TrimSpace(out))
	}
	return dir, nil
}

// Bootstrap builds a function for this machine and answers its bootstrap.
func Bootstrap(ctx context.Context, name string) (string, error) {
	dir, err := Function(ctx, name, "")
	return filepath.Join(dir, "bootstrap"), err
}

// Hash is the SHA-256, in hexadecimal, of the bootstrap in a folder.
func Hash(dir string) (string, error) {
	code, err := os.ReadFile(filepath.Join(dir, "bootstrap"))
	if err != nil {
		return "", fmt.Errorf("reading what was built: %w", err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(code)), nil
}

// Root is the folder of the repository, found upwards from the working one.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module archeio\n") {
			return dir, nil
		}
		if filepath.Dir(dir) == dir {
			return "", errors.New("this is not a clone of the project: there is no go.mod of module archeio here or above")
		}
		dir = filepath.Dir(dir)
	}
}
