package preflight

import (
	"fmt"
	"io"

	"archeio/scripts/archeio/cli"
)

// clearLine is the ANSI escape sequence that clears the line of the cursor.
const clearLine = "\r\x1b[K"

// progress shows what is being checked in one line of a terminal.
type progress struct {
	out io.Writer // nil to show nothing
}

// newProgress returns a progress that shows nothing unless out is a terminal.
func newProgress(out io.Writer) progress {
	if _, ok := cli.Terminal(out); !ok {
		return progress{}
	}
	return progress{out}
}

func (p progress) show(format string, args ...any) {
	if p.out != nil {
		fmt.Fprintf(p.out, clearLine+"checking "+format, args...)
	}
}

func (p progress) clear() {
	if p.out != nil {
		fmt.Fprint(p.out, clearLine)
	}
}
