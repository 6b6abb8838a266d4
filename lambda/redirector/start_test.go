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

// What is data is data in the binary: none of our packages makes anything
// before main. The first event waits for what they would make.
func TestNothingIsMadeAtStart(t *testing.T) {
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	// Without a configuration it ends in main.
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
			t.Errorf("package %s makes %d things of %d bytes at start", name, allocations, size)
		}
	}
	if packages == 0 {
		t.Errorf("no package is initialized: %s", &out)
	}
}
