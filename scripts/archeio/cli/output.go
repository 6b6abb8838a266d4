package cli

import (
	"encoding/json"
	"io"
	"os"

	"golang.org/x/term"
)

// JSON writes v as one indented JSON value and a newline.
func JSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Terminal reports whether w is a terminal, and returns its width in columns.
func Terminal(w io.Writer) (width int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width, true
	}
	return 80, true
}

// Colors reports whether output to w may be coloured: w is a terminal and
// NO_COLOR (https://no-color.org) is not set.
func Colors(w io.Writer) bool {
	_, ok := Terminal(w)
	return ok && os.Getenv("NO_COLOR") == ""
}
