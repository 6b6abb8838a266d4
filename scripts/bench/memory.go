package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// memory compares the resident memory of the functions when they have
// answered some thousand events.
func memory(ctx context.Context, b *bench) error {
	if runtime.GOOS != "linux" {
		fmt.Fprintln(b.log, "        not measured: only Linux tells how much is resident")
		return nil
	}
	ours, other, err := b.functions(ctx)
	if err != nil {
		return err
	}
	env, stop, err := mirrors()
	if err != nil {
		return err
	}
	defer stop()
	events := payloads(b.pick(4096, 16))
	var sides []side
	for _, binary := range []string{ours, other} {
		sides = append(sides, func(ctx context.Context) (float64, error) {
			f, err := launch(ctx, binary, env, io.Discard)
			if err != nil {
				return 0, err
			}
			defer f.stop()
			if err := f.all(ctx, events); err != nil {
				return 0, err
			}
			return resident(f.process.Pid())
		})
	}
	v, err := b.interleave(ctx, 3, 1, sides...)
	if err != nil {
		return err
	}
	b.report.compare("resident memory at rest", "empty function", bytesOf, v[0], v[1], atMost(40e6))
	return nil
}

// resident is the VmRSS of a process.
func resident(pid int) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(text), "\nVmRSS:")
	var kib float64
	if _, err := fmt.Sscan(after, &kib); err != nil {
		return 0, fmt.Errorf("reading VmRSS of process %d: %w", pid, err)
	}
	return kib * 1024, nil
}
