package cli

import (
	"fmt"
	"io"
)

// clearLine is the ANSI escape sequence that clears the line of the cursor.
const clearLine = "\r\x1b[K"

// Progress shows what is being checked in one line of a terminal.
type Progress struct {
	out io.Writer // nil to show nothing
}

// NewProgress returns a Progress that shows nothing unless out is a terminal.
func NewProgress(out io.Writer) Progress {
	if _, ok := Terminal(out); !ok {
		return Progress{}
	}
	return Progress{out}
}

// Show replaces the line.
func (p Progress) Show(format string, args ...any) {
	if p.out != nil {
		fmt.Fprintf(p.out, clearLine+"checking "+format, args...)
	}
}

// Clear removes the line.
func (p Progress) Clear() {
	if p.out != nil {
		fmt.Fprint(p.out, clearLine)
	}
}
