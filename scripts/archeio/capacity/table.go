package capacity

import (
	"fmt"
	"io"
	"strings"

	"archeio/scripts/archeio/cli"
)

// table is a table with a label and one cell per result in each row.
type table struct {
	results []Result
	rows    [][]string
}

func (t *table) row(label string, cell func(Result) string) {
	cells := []string{label}
	for _, r := range t.results {
		cells = append(cells, cell(r))
	}
	t.rows = append(t.rows, cells)
}

func (t *table) section(title string) { t.rows = append(t.rows, []string{title}) }

// some reports whether a value is not zero in any result.
func (t *table) some(value func(Result) float64) bool {
	for _, r := range t.results {
		if value(r) != 0 {
			return true
		}
	}
	return false
}

// writeTo writes the table with labels aligned to the left and cells to the right.
func (t *table) writeTo(out io.Writer) {
	widths := make([]int, len(t.results)+1)
	for _, cells := range t.rows {
		for i, cell := range cells {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, cells := range t.rows {
		text := fmt.Sprintf("%-*s", widths[0], cells[0])
		for i, cell := range cells[1:] {
			text += fmt.Sprintf("  %*s", widths[i+1], cell)
		}
		fmt.Fprintln(out, strings.TrimRight(text, " "))
	}
}

// si formats a number with three digits and a prefix.
func si(v float64, unit string) string {
	prefix := ""
	for _, p := range []struct {
		size float64
		name string
	}{{1e15, "P"}, {1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if v >= p.size*0.9995 { // 999.5 would round to four digits
			v, prefix = v/p.size, p.name
			break
		}
	}
	return strings.TrimSpace(fmt.Sprintf("%.3g %s%s", v, prefix, unit))
}

// plain formats an input as a user would type it, with commas.
func plain(v float64) string {
	if v < 1000 {
		return fmt.Sprint(v)
	}
	return cli.Grouped(v)
}

// dollars formats an amount, with cents if it is below 100.
func dollars(v float64) string {
	if v > -100 && v < 100 {
		return fmt.Sprintf("%.2f", v)
	}
	return cli.Grouped(v)
}
