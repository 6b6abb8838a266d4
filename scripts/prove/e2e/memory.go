package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// resident is the memory of a process that is in RAM, in kB, as proc(5) has it
// in /proc/PID/status.
func resident(pid int) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	return residentIn(string(data))
}

func residentIn(status string) (int, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
		}
	}
	return 0, fmt.Errorf("there is no VmRSS in %q", strings.SplitN(status, "\n", 2)[0])
}

// curve is the memory of one process through a load, in kB.
type curve []int

const (
	// warmUp is the part of a load after which memory must not grow any more.
	warmUp = 0.1
	// growth is how much more there may be at the end, in kB: what a collection
	// of garbage more or less makes.
	growth = 4 << 10
)

// at is the median around a point of the load, 0 its beginning and 1 its end.
func (c curve) at(part float64) int {
	if len(c) == 0 {
		return 0
	}
	n := len(c) / 20
	i := int(part * float64(len(c)-1))
	around := slices.Sorted(slices.Values(c[max(0, i-n):min(len(c), i+n+1)]))
	return around[len(around)/2]
}

// flat tells whether the end is as the warmed up process was.
func (c curve) flat() bool { return len(c) > 1 && c.at(1) <= c.at(warmUp)+growth }

// sparkline draws values as blocks, from 0 to the highest, in at most width of
// them.
func sparkline(values []int, width int) string {
	if len(values) == 0 || width <= 0 {
		return ""
	}
	const blocks = "▁▂▃▄▅▆▇█"
	top := max(1, slices.Max(values))
	var out strings.Builder
	width = min(width, len(values))
	for i := range width {
		part := values[i*len(values)/width : (i+1)*len(values)/width]
		level := max(0, slices.Max(part)) * 7 / top
		out.WriteString(string([]rune(blocks)[level]))
	}
	return out.String()
}
