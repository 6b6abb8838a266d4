package main

import (
	"os"
	"runtime"
	"syscall"
	"testing"
)

// TestCPUTime compares the CPU time of this process with what getrusage(2) returns
// before and after.
func TestCPUTime(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("Linux only")
	}
	usage := func() float64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return float64(u.Utime.Nano() + u.Stime.Nano())
	}
	for began := usage(); usage()-began < 2e8; { // more than what is not accounted yet
	}
	before := usage()
	got, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// A running thread is accounted at the next tick of the scheduler, 10 ms at most.
	lag := 10e6 * float64(runtime.GOMAXPROCS(0)+2)
	if after := usage(); got < before-lag || got > after+lag {
		t.Errorf("CPU time %.0f ns, want %.0f to %.0f", got, before, after)
	}
	if _, err := cpuTime(-1); err == nil {
		t.Error("a process that does not exist has a CPU time")
	}
}
