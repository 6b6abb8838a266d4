package terminal

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Progress shows what a program is doing. On a terminal it is one line with the
// seconds since the start, updated in place and removed at the end; elsewhere
// each step is a line. All methods are safe for concurrent use.
type Progress struct {
	out     io.Writer
	inPlace bool
	width   int
	start   time.Time

	mu   sync.Mutex
	step string
	stop chan struct{} // ends the updates; nil before the first step and after Done
}

// NewProgress returns a Progress on out that starts now.
func NewProgress(out io.Writer) *Progress {
	return newProgress(out, Is(out), Width(out))
}

func newProgress(out io.Writer, inPlace bool, width int) *Progress {
	return &Progress{out: out, inPlace: inPlace, width: width, start: time.Now()}
}

// Step shows the next step.
func (p *Progress) Step(step string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.step = step
	if !p.inPlace {
		fmt.Fprintln(p.out, p.line())
		return
	}
	p.draw()
	if p.stop == nil {
		p.stop = make(chan struct{})
		go p.update(p.stop)
	}
}

// Done ends the progress and removes it from a terminal. Call it before anything
// else is printed there. Step starts it again.
func (p *Progress) Done() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stop != nil {
		close(p.stop)
		p.stop = nil
		io.WriteString(p.out, "\r\x1b[K")
	}
}

func (p *Progress) update(stop <-chan struct{}) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.mu.Lock()
			select {
			case <-stop: // Done was called while this waited for the lock
			default:
				p.draw()
			}
			p.mu.Unlock()
		case <-stop:
			return
		}
	}
}

// draw writes the line over the one before. A line that the terminal would wrap
// is cut, because only one line can be written over.
func (p *Progress) draw() {
	line := []rune(p.line())
	if len(line) >= p.width {
		line = line[:max(0, p.width-1)]
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", string(line))
}

func (p *Progress) line() string {
	return fmt.Sprintf("%6.1fs  %s", time.Since(p.start).Seconds(), p.step)
}
