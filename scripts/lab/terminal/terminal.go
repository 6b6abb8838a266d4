// Package terminal holds how developer programs write to a terminal, as opposed
// to a pipe or a file: with colors, and with progress that is updated in place.
package terminal

import (
	"io"
	"os"

	"golang.org/x/term"
)

// Is reports whether w is a terminal.
func Is(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Width returns the number of columns of w, 80 if it is unknown.
func Width(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return 80
}

// Colors reports whether output to w may be colored: w is a terminal, and
// NO_COLOR is unset or empty. https://no-color.org
func Colors(w io.Writer) bool { return Is(w) && os.Getenv("NO_COLOR") == "" }

// Color is an SGR sequence of ECMA-48 that sets the color of the text after it.
type Color string

// The colors of results.
const (
	Red    Color = "\x1b[31m"
	Green  Color = "\x1b[32m"
	Yellow Color = "\x1b[33m"
)

// Paint returns text in a color if enabled is true, and text itself otherwise.
func Paint(enabled bool, c Color, text string) string {
	if !enabled || text == "" {
		return text
	}
	return string(c) + text + "\x1b[0m"
}
