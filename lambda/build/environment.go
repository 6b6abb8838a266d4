package build

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// pinned are the settings that would change the binary: cgo, a newer processor,
// experiments, a workspace around the repository.
var pinned = [...]string{
	"CGO_ENABLED=0", "GOENV=off", "GOFLAGS=", "GOWORK=off", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off",
}

// kept are the settings for where modules and tools come from. They may be in the
// file of "go env -w", which GOENV=off disables.
var kept = [...]string{"GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE", "GOVCS", "GOMODCACHE", "GOCACHE", "GOTOOLCHAIN", "GOAUTH"}

// Environment returns the environment of this process, changed so that the go
// command makes the same binary of the same source on every machine.
func Environment(ctx context.Context) ([]string, error) {
	out, err := exec.CommandContext(ctx, "go", append([]string{"env"}, kept[:]...)...).Output()
	if errors.Is(err, exec.ErrNotFound) {
		return nil, errors.New(`running go env: there is no "go" in PATH: install Go 1.26 or newer`)
	}
	if err != nil {
		return nil, fmt.Errorf("running go env: %w", err)
	}
	values := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(values) != len(kept) {
		return nil, fmt.Errorf("running go env: %d lines, want %d", len(values), len(kept))
	}
	env := os.Environ()
	for i, name := range kept {
		env = append(env, name+"="+values[i])
	}
	return append(env, pinned[:]...), nil
}
