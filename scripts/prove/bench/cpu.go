package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// cpuTime returns the CPU time of a process in user and kernel mode, in nanoseconds:
// the sum over its threads. Linux only; the Go runtime ends no threads here.
// https://docs.kernel.org/scheduler/sched-stats.html#proc-pid-schedstat
func cpuTime(pid int) (float64, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("reading the CPU time of process %d: no /proc/%d/task/*/schedstat", pid, pid)
	}
	sum := 0.0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return 0, fmt.Errorf("reading the CPU time of process %d: %w", pid, err)
		}
		var running float64
		if _, err := fmt.Sscan(string(text), &running); err != nil {
			return 0, fmt.Errorf("reading the CPU time of process %d: %s: %w", pid, file, err)
		}
		sum += running
	}
	return sum, nil
}

// hasCPUTime reports whether this machine has CPU times of processes, and notes it
// otherwise.
func (b *bench) hasCPUTime() bool {
	if t, err := cpuTime(os.Getpid()); err == nil && t > 0 {
		return true
	}
	b.progress.Note("skipped: CPU times of processes are read on Linux only")
	return false
}

// cpuOf returns a side that measures the CPU time of a process for one unit of work.
// work does some units and returns how many.
func cpuOf(pid int, work func(context.Context) (int, error)) side {
	return func(ctx context.Context) (float64, error) {
		before, err := cpuTime(pid)
		if err != nil {
			return 0, err
		}
		n, err := work(ctx)
		if err != nil {
			return 0, err
		}
		after, err := cpuTime(pid)
		return (after - before) / float64(n), err
	}
}
