package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
)

// measureMemory compares the resident memory of the functions after some thousand
// events, of ours with an index and without.
func measureMemory(ctx context.Context, b *bench) error {
	if runtime.GOOS != "linux" {
		b.progress.Note("skipped: resident memory is read on Linux only")
		return nil
	}
	ours, other, err := b.functions(ctx)
	if err != nil {
		return err
	}
	entries := prefixes(b.pick(1_000_000, 10_000))
	env, stop, err := serveMirrors(entries)
	if err != nil {
		return err
	}
	defer stop()
	events := payloads(b.pick(4096, 16))
	memoryOf := func(binary string, env map[string]string, indexed bool) side {
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
			if err := f.invokeAll(ctx, events); err != nil {
				return 0, err
			}
			return resident(f.process.Pid())
		}
	}
	v, err := b.interleave(ctx, 3, 1, memoryOf(ours, env, true), memoryOf(ours, withoutIndex(env), false), memoryOf(other, env, false))
	if err != nil {
		return err
	}
	const what = "resident memory"
	b.report.compare(what+", index of "+formatCount(len(entries))+" blobs", "empty function", bytesOf, v[0], v[2], atMost(40e6))
	b.report.compare(what+", no index", "empty function", bytesOf, v[1], v[2], budget{})
	return nil
}

// resident returns the VmRSS of a process in bytes, see proc_pid_status(5).
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
