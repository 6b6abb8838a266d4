package mirror

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

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

	retries atomic.Int64

	mu    sync.Mutex
	rate  rate
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
	rate := p.rate.add(now, x.Bytes)
	every := 10 * time.Second
	if p.width > 0 {
		every = 200 * time.Millisecond
	}
	if now.Sub(p.last) < every {
		return
	}
	p.last = now
	text := line(x, rate, p.retries.Load(), p.width)
	if p.width == 0 {
		fmt.Fprintln(p.out, text)
		return
	}
	fmt.Fprint(p.out, clearLine, text)
	p.drawn = true
}

// retried counts a request that is sent again.
func (p *progress) retried() { p.retries.Add(1) }

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

// line returns a line of progress with the rate in bytes per second, the time that is
// left, and the number of retries. With a width it begins with a bar, and what does not
// fit is left out: the bar first, then the end of the phase.
func line(x copier.Progress, rate float64, retries int64, width int) string {
	text := fmt.Sprintf("%d of %d", x.Done, x.Total)
	part := 0.0
	if x.Total > 0 {
		part = float64(x.Done) / float64(x.Total)
	}
	done := "copied " // while repositories are counted
	if x.Phase == "hashing" {
		done = ""
	}
	switch {
	case x.TotalBytes == 0:
	case x.Growing:
		text += fmt.Sprintf(", %s%s of %s so far, %s/s", done, size(x.Bytes), size(x.TotalBytes), size(int64(rate)))
	default:
		part = float64(x.Bytes) / float64(x.TotalBytes)
		text += fmt.Sprintf(", %s of %s, %s/s", size(x.Bytes), size(x.TotalBytes), size(int64(rate)))
		if rate > 0 {
			left := time.Duration(float64(x.TotalBytes-x.Bytes) / rate * float64(time.Second))
			text += ", " + max(0, left).Round(time.Second).String() + " left"
		}
	}
	if retries > 0 {
		text += ", " + count(int(retries), "retry", "retries")
	}
	whole := x.Phase + ": " + text
	if width == 0 {
		return whole
	}
	full := max(0, min(int(part*barWidth), barWidth))
	bar := "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "] "
	// A character in the last column would move the cursor to the next line.
	room := width - 1 - len(": "+text)
	switch {
	case len(bar+whole) < width:
		return bar + whole
	case len(whole) < width:
		return whole
	case room >= 8:
		return strings.TrimSpace(x.Phase[:room]) + ": " + text
	}
	return text[:max(0, min(len(text), width-1))]
}

// rateWindow is the time over which the rate is measured.
const rateWindow = 15 * time.Second

// rate is the rate of what was copied lately.
type rate struct {
	samples []sample // one a second
}

type sample struct {
	at    time.Time
	bytes int64
}

// add adds how many bytes have been copied, and returns the rate in bytes per second.
func (r *rate) add(now time.Time, bytes int64) float64 {
	if n := len(r.samples); n > 0 && bytes < r.samples[n-1].bytes {
		r.samples = nil // it starts again
	}
	if n := len(r.samples); n == 0 || now.Sub(r.samples[n-1].at) >= time.Second {
		r.samples = append(r.samples, sample{now, bytes})
	}
	for len(r.samples) > 2 && now.Sub(r.samples[1].at) >= rateWindow {
		r.samples = r.samples[1:]
	}
	first := r.samples[0]
	if now.Sub(first.at) <= 0 {
		return 0
	}
	return float64(bytes-first.bytes) / now.Sub(first.at).Seconds()
}

// retryCounter is an HTTP client of the AWS SDK that reports when a request is sent
// again.
type retryCounter struct {
	next    aws.HTTPClient
	retried func()
}

// Do sends a request. The SDK numbers the attempts in a header.
func (c *retryCounter) Do(r *http.Request) (*http.Response, error) {
	if attempt := r.Header.Get("Amz-Sdk-Request"); attempt != "" && !strings.HasPrefix(attempt, "attempt=1;") && attempt != "attempt=1" {
		c.retried()
	}
	return c.next.Do(r)
}
