package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"archeio/lambda/copier"
)

// show prints progress: a bar that moves on a terminal, else a plain line now
// and then.
type show struct {
	out      io.Writer
	terminal bool
	start    time.Time
	doing    string
	last     time.Time
	drawn    bool
}

func newShow(w io.Writer) *show {
	s := &show{out: w, last: time.Now()} // what is quick shows nothing
	if f, ok := w.(*os.File); ok {
		info, err := f.Stat()
		s.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0
	}
	return s
}

func (s *show) progress(p copier.Progress) {
	now := time.Now()
	if p.Doing != s.doing {
		s.doing, s.start = p.Doing, now
	}
	every := 10 * time.Second
	if s.terminal {
		every = 200 * time.Millisecond
	}
	if now.Sub(s.last) < every {
		return
	}
	s.last = now
	text := line(p, now.Sub(s.start), s.terminal)
	if s.terminal {
		fmt.Fprintf(s.out, "\r\x1b[K%s", text)
		s.drawn = true
	} else {
		fmt.Fprintln(s.out, text)
	}
}

// line is one line of progress, with the rate and the time that is left.
func line(p copier.Progress, since time.Duration, bar bool) string {
	text := fmt.Sprintf("%s: %d of %d", p.Doing, p.Done, p.Total)
	part := share(0)
	if p.Total > 0 {
		part = share(float64(p.Done) / float64(p.Total))
	}
	if p.TotalBytes > 0 {
		part = share(float64(p.Bytes) / float64(p.TotalBytes))
		rate := float64(p.Bytes) / max(since.Seconds(), 0.001)
		text += fmt.Sprintf(", %s of %s, %s/s", size(p.Bytes), size(p.TotalBytes), size(int64(rate)))
		if rate > 0 {
			left := time.Duration(float64(p.TotalBytes-p.Bytes) / rate * float64(time.Second))
			text += ", " + left.Round(time.Second).String() + " left"
		}
	}
	if !bar {
		return text
	}
	const width = 20
	full := min(int(float64(part)*width), width)
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", width-full) + "] " + text
}

// clear takes the line that moves away.
func (s *show) clear() {
	if s.drawn {
		fmt.Fprint(s.out, "\r\x1b[K")
		s.drawn = false
	}
}
