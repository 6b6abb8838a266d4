package main

import (
	"encoding/json"
	"fmt"
	"io"

	"archeio/scripts/lab/terminal"
	"archeio/scripts/prove/cli"
)

const (
	within = "ok"
	over   = "OVER"
)

// print prints the report as JSON, or as tables that end with a summary.
func (r *report) print(w io.Writer, asJSON bool) error {
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	var rows [][]string
	counts := map[string]int{}
	for _, x := range r.Rows {
		cells := x.cells()
		rows = append(rows, cells)
		counts[cells[len(cells)-1]]++
	}
	cli.Table(w, terminal.Colors(w), []string{"MEASUREMENT", "OURS", "OTHER", "COMPARED WITH", "RATIO", "MIN–MAX", "BUDGET", "RESULT"}, rows,
		func(row []string) bool { return row[len(row)-1] == over })
	if len(r.Start) > 0 {
		fmt.Fprintln(w)
		cli.Table(w, false, []string{"WORK BEFORE THE FIRST EVENT", "TIME", "BYTES", "ALLOCATIONS"}, startRows(r.Start), nil)
	}
	_, err := fmt.Fprintf(w, "\n%d within budget, %d over budget, %d without a budget\n", counts[within], counts[over], counts["-"])
	return err
}

func (x row) cells() []string {
	ratio, spread := "-", "-"
	if x.Ratio != 0 {
		ratio = formatRatio(x.Ratio)
	}
	if x.Rounds > 1 && x.Ratio != 0 {
		spread = formatRatio(x.RatioMin) + "–" + formatRatio(x.RatioMax)
	}
	limit, result := "-", "-"
	switch {
	case x.Budget.Ratio != nil:
		limit, result = fmt.Sprint(*x.Budget.Ratio), within
	case x.Budget.Ours != nil:
		limit, result = x.Unit.format(*x.Budget.Ours), within
	}
	if x.Over {
		result = over
	}
	return []string{x.What, x.Unit.format(x.Ours), x.Unit.format(x.Other), x.Against, ratio, spread, limit, result}
}

func startRows(steps []step) (rows [][]string) {
	for _, s := range steps {
		took := "-"
		if s.Time > 0 {
			took = ns.format(s.Time)
		}
		rows = append(rows, []string{s.What, took, fmt.Sprint(s.Bytes), fmt.Sprint(s.Allocations)})
	}
	return rows
}

// formatRatio formats a ratio with its significant digits.
func formatRatio(v float64) string {
	if v < 0.1 {
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func (u unit) format(v float64) string {
	switch u {
	case ns:
		switch {
		case v < 1e3:
			return fmt.Sprintf("%.1f ns", v)
		case v < 1e5:
			return fmt.Sprintf("%.2f µs", v/1e3)
		case v < 1e6:
			return fmt.Sprintf("%.1f µs", v/1e3)
		}
		return fmt.Sprintf("%.2f ms", v/1e6)
	case bytesOf:
		return formatBytes(v)
	case bytesPerSecond:
		return formatBytes(v) + "/s"
	}
	return fmt.Sprintf("%.0f", v)
}

func formatBytes(v float64) string {
	if v < 1e6 {
		return fmt.Sprintf("%.0f kB", v/1e3)
	}
	return fmt.Sprintf("%.2f MB", v/1e6)
}

// formatCount formats a number of blobs in few characters.
func formatCount(n int) string {
	switch {
	case n%1_000_000 == 0:
		return fmt.Sprintf("%d M", n/1_000_000)
	case n%1_000 == 0:
		return fmt.Sprintf("%d k", n/1_000)
	}
	return fmt.Sprint(n)
}
