package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// Table prints rows in columns below a head. Rows whose last cell is the text
// of a failed Result are red if colour is true.
func Table(w io.Writer, colour bool, head []string, rows [][]string) {
	var text strings.Builder
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, strings.Join(head, "\t"))
	for _, row := range rows {
		fmt.Fprintln(t, strings.Join(row, "\t"))
	}
	t.Flush()
	line := -1 // of the head
	for text := range strings.Lines(text.String()) {
		if colour && line >= 0 && Result(rows[line][len(rows[line])-1]).Failed() {
			text = "\x1b[31m" + strings.TrimSuffix(text, "\n") + "\x1b[0m\n"
		}
		io.WriteString(w, text)
		line++
	}
}

// Colour reports whether w is a terminal and NO_COLOR (https://no-color.org) is
// not set.
func Colour(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
