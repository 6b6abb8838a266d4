package main

import (
	"bytes"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"testing"

	"archeio/lambda/build"
)

// TestPackageInitialization checks that no package of this repository allocates
// before main, which would delay the first event: tables must be static data.
func TestPackageInitialization(t *testing.T) {
	t.Parallel()
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	// Without a configuration it exits in main.
	cmd := exec.CommandContext(t.Context(), bootstrap)
	cmd.Env = []string{"GODEBUG=inittrace=1"}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = io.Discard, &out
	_ = cmd.Run()
	packages := 0
	for line := range strings.Lines(out.String()) {
		var name string
		var at, took float64
		var size, allocations int
		if n, _ := fmt.Sscanf(line, "init %s @%f ms, %f ms clock, %d bytes, %d allocs", &name, &at, &took, &size, &allocations); n != 5 {
			continue
		}
		packages++
		if strings.HasPrefix(name, "archeio/") && allocations > 0 {
			t.Errorf("initializing package %s allocates %d times, %d bytes; want none", name, allocations, size)
		}
	}
	if packages == 0 {
		t.Errorf("output has no initialization of a package: %s", &out)
	}
}
