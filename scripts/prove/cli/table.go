package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"archeio/scripts/lab/terminal"
)

// Table prints rows in columns below a head. No cell may have several lines. If
// color is true, the rows for which red reports true are red; red may be nil.
func Table(w io.Writer, color bool, head []string, rows [][]string, red func(row []string) bool) {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush()
	row := -1 // the head
	for line := range strings.Lines(text.String()) {
		if color && red != nil && row >= 0 && red(rows[row]) {
			line = terminal.Paint(true, terminal.Red, strings.TrimSuffix(line, "\n")) + "\n"
		}
		io.WriteString(w, line)
		row++
	}
}

// FailedRow reports whether the last cell of a row is a failed Result.
func FailedRow(row []string) bool { return Result(row[len(row)-1]).Failed() }
