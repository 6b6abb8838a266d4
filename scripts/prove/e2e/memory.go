package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// residentMemory returns the resident memory of a process in kB, and peakMemory the
// most it ever was: VmRSS and VmHWM in /proc/PID/status, see proc_pid_status(5).
func residentMemory(pid int) (int, error) { return memoryOf(pid, "VmRSS") }
func peakMemory(pid int) (int, error)     { return memoryOf(pid, "VmHWM") }

func memoryOf(pid int, field string) (int, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	return parseMemory(string(data), field)
}

func parseMemory(status, field string) (int, error) {
	for line := range strings.Lines(status) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			return strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")))
		}
	}
	return 0, fmt.Errorf("reading the memory of a process: no %s in its status %q", field, strings.SplitN(status, "\n", 2)[0])
}

// memoryCurve is the resident memory of one process during a load, in kB.
type memoryCurve []int

const (
	// warmUp is the part of a load after which memory must not grow any more.
	warmUp = 0.1
	// growth is how much it may grow all the same, in kB: the difference that a
	// garbage collection makes.
	growth = 4 << 10
)

// at returns the median around a point of the load, from 0, its beginning, to 1,
// its end.
func (c memoryCurve) at(point float64) int {
	if len(c) == 0 {
		return 0
	}
	n := len(c) / 20
	i := int(point * float64(len(c)-1))
	around := slices.Sorted(slices.Values(c[max(0, i-n):min(len(c), i+n+1)]))
	return around[len(around)/2]
}

// flat reports whether the process has no more memory at the end than when it
// was warm, but for growth.
func (c memoryCurve) flat() bool { return len(c) > 1 && c.at(1) <= c.at(warmUp)+growth }

// sparkline draws values from 0 to the highest, in at most width blocks.
func sparkline(values []int, width int) string {
	if len(values) == 0 || width <= 0 {
		return ""
	}
	blocks := []rune("▁▂▃▄▅▆▇█")
	top := max(1, slices.Max(values))
	var out strings.Builder
	width = min(width, len(values))
	for i := range width {
		part := values[i*len(values)/width : (i+1)*len(values)/width]
		out.WriteRune(blocks[max(0, slices.Max(part))*(len(blocks)-1)/top])
	}
	return out.String()
}

func mb(kb int) float64 { return float64(kb) / 1024 }

var memoryHead = []string{"PROCESS", "START", "WARM", "1/4", "1/2", "3/4", "END", "RESIDENT MB"}

// memoryRows are the rows of the table of memory.
func (r *loadResult) memoryRows() (rows [][]string) {
	for i, c := range r.Memory {
		row := []string{fmt.Sprint(i + 1), "-"}
		if len(c) > 0 {
			row[1] = fmt.Sprintf("%.1f", mb(c[0])) // before the first request
		}
		for _, point := range []float64{warmUp, 0.25, 0.5, 0.75, 1} {
			row = append(row, fmt.Sprintf("%.1f", mb(c.at(point))))
		}
		rows = append(rows, append(row, sparkline(c, 60)))
	}
	return rows
}
