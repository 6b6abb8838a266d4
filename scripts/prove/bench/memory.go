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
// answered some thousand events, ours without an index and with one.
func memory(ctx context.Context, b *bench) error {
	if runtime.GOOS != "linux" {
		fmt.Fprintln(b.log, "        not measured: only Linux tells how much is resident")
		return nil
	}
	ours, other, err := b.functions(ctx)
	if err != nil {
		return err
	}
	entries := prefixes(b.pick(1_000_000, 10_000))
	env, stop, err := mirrors(entries)
	if err != nil {
		return err
	}
	defer stop()
	events := payloads(b.pick(4096, 16))
	answered := func(binary string, env map[string]string, indexed bool) side {
		return func(ctx context.Context) (float64, error) {
			f, err := launch(ctx, binary, env, io.Discard)
			if err != nil {
				return 0, err
			}
			defer f.stop()
			if indexed {
				if err := f.awaitIndex(ctx); err != nil {
					return 0, err
				}
			}
			if err := f.all(ctx, events); err != nil {
				return 0, err
			}
			return resident(f.process.Pid())
		}
	}
	v, err := b.interleave(ctx, 3, 1, answered(ours, env, true), answered(ours, withoutIndex(env), false), answered(other, env, false))
	if err != nil {
		return err
	}
	b.report.compare("resident memory at rest, with an index of "+count(len(entries))+" blobs", "empty function", bytesOf, v[0], v[2], atMost(40e6))
	b.report.compare("resident memory at rest, without an index", "empty function", bytesOf, v[1], v[2], budget{})
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
