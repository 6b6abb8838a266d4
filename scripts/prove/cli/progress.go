package cli

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Progress prints one line a step, with the seconds since the start, as a log of a
// run of several minutes. It is safe for concurrent use.
type Progress struct {
	mu    sync.Mutex
	w     io.Writer
	start time.Time
}

// NewProgress returns a Progress that starts now and prints to w.
func NewProgress(w io.Writer) *Progress { return &Progress{w: w, start: time.Now()} }

// Step prints what the program does next.
func (p *Progress) Step(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "%6.1fs  %s\n", time.Since(p.start).Seconds(), fmt.Sprintf(format, args...))
}

// Note prints a detail of the current step.
func (p *Progress) Note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintf(p.w, "         - %s\n", fmt.Sprintf(format, args...))
}

// Elapsed returns the time since the start.
func (p *Progress) Elapsed() time.Duration { return time.Since(p.start) }
