package mirror

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"archeio/lambda/copier"
	"archeio/scripts/archeio/cli"
)

// clearLine is the ANSI escape sequence that clears the line of the cursor.
const clearLine = "\r\x1b[K"

// progress shows how far a command is: in one line of a terminal that is
// overwritten, or else in a line now and then. It is safe for concurrent use.
type progress struct {
	out     io.Writer
	command string // that notes begin with
	width   int    // of the terminal in columns, 0 if out is none

	mu    sync.Mutex
	doing string
	start time.Time // of what is being done
	last  time.Time // something was shown
	drawn bool
}

// newProgress returns the progress of a command. It shows nothing before a while
// has passed, so that a quick command shows nothing at all.
func newProgress(out io.Writer, command string) *progress {
	width, _ := cli.Terminal(out)
	return &progress{out: out, command: command, width: width, last: time.Now()}
}

func (p *progress) show(x copier.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if x.Phase != p.doing {
		p.doing, p.start = x.Phase, now
	}
	every := 10 * time.Second
	if p.width > 0 {
		every = 200 * time.Millisecond
	}
	if now.Sub(p.last) < every {
		return
	}
	p.last = now
	text := line(x, now.Sub(p.start), p.width)
	if p.width == 0 {
		fmt.Fprintln(p.out, text)
		return
	}
	fmt.Fprint(p.out, clearLine, text)
	p.drawn = true
}

// note prints a line that stays.
func (p *progress) note(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
	fmt.Fprintf(p.out, "%s: %s\n", p.command, cli.Printable(text))
}

// clear removes the line that is overwritten.
func (p *progress) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.erase()
}

func (p *progress) erase() {
	if p.drawn {
		fmt.Fprint(p.out, clearLine)
		p.drawn = false
	}
}

// barWidth is how many columns the bar has between its brackets.
const barWidth = 20

// line returns a line of progress with the rate and the time that is left. With a
// width it begins with a bar, and what does not fit is left out: the bar first,
// then the end of the text.
func line(x copier.Progress, since time.Duration, width int) string {
	text := fmt.Sprintf("%s: %d of %d", x.Phase, x.Done, x.Total)
	part := 0.0
	if x.Total > 0 {
		part = float64(x.Done) / float64(x.Total)
	}
	if x.TotalBytes > 0 {
		part = float64(x.Bytes) / float64(x.TotalBytes)
		rate := float64(x.Bytes) / max(since.Seconds(), 0.001)
		text += fmt.Sprintf(", %s of %s, %s/s", size(x.Bytes), size(x.TotalBytes), size(int64(rate)))
		if rate > 0 {
			left := time.Duration(float64(x.TotalBytes-x.Bytes) / rate * float64(time.Second))
			text += ", " + left.Round(time.Second).String() + " left"
		}
	}
	if width == 0 {
		return text
	}
	full := min(int(part*barWidth), barWidth)
	if bar := "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "] "; len(bar)+len(text) < width {
		return bar + text
	}
	// A character in the last column would move the cursor to the next line.
	return text[:min(len(text), width-1)]
}
