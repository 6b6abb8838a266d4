package cli

import (
	"errors"
	"fmt"
	"strings"
)

// Result is the outcome of a check: "ok", "FAILED: " or "skipped: " with the
// reason, in one line.
type Result string

// OK is the result of a check that passed.
const OK Result = "ok"

// ErrSkipped is wrapped by the error of a check that cannot run on this machine.
var ErrSkipped = errors.New("skipped")

// ResultOf returns the result of a check that ended with err. Of an error with
// several lines it keeps the last, where commands print why they failed.
func ResultOf(err error) Result {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, ErrSkipped):
		return Result(err.Error())
	}
	return Result("FAILED: " + LastLine(err.Error()))
}

// Word returns the result without the reason: ok, FAILED or skipped.
func (r Result) Word() string {
	word, _, _ := strings.Cut(string(r), ":")
	return word
}

// Failed reports whether the check failed.
func (r Result) Failed() bool { return r != OK && !r.Skipped() }

// Skipped reports whether the check was skipped.
func (r Result) Skipped() bool { return strings.HasPrefix(string(r), ErrSkipped.Error()) }

// Counts are the numbers of results by outcome.
type Counts struct{ Passed, Failed, Skipped int }

// Add counts a result.
func (c *Counts) Add(r Result) {
	switch {
	case r.Failed():
		c.Failed++
	case r.Skipped():
		c.Skipped++
	default:
		c.Passed++
	}
}

// String returns the summary that ends a program's output.
func (c Counts) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", c.Passed, c.Failed, c.Skipped)
}

// Err returns an error if a check failed.
func (c Counts) Err() error {
	if c.Failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d checks failed", c.Failed, c.Passed+c.Failed+c.Skipped)
}

// LastLine returns the last line of a text, without the space around it.
func LastLine(text string) string {
	text = strings.TrimSpace(text)
	return text[strings.LastIndexByte(text, '\n')+1:]
}
