package cli

import (
	"fmt"
	"io"
	"strings"
)

// Result is how a check ended.
type Result string

// The results of checks. Only Fail makes a command exit with [ExitProblem].
const (
	Pass    Result = "PASS"
	Warn    Result = "WARN"    // could not be checked, or only in part
	Fail    Result = "FAIL"    // must be fixed
	Pending Result = "PENDING" // not yet true, but expected to become so
	Skip    Result = "SKIP"    // does not apply, or was not requested
)

// colors are the ANSI escape sequences of results.
var colors = map[Result]string{
	Pass: "\x1b[32m", Warn: "\x1b[33m", Fail: "\x1b[1;31m", Pending: "\x1b[33m", Skip: "\x1b[2m",
}

const resetColor = "\x1b[0m"

// Check is one row of the output of a command that checks. Where is a region, or what
// is not regional, for example account.
type Check struct {
	Where   string `json:"where"`
	Check   string `json:"check"`
	Result  Result `json:"result"`
	Details string `json:"details"`
}

// Count returns the number of checks with a result.
func Count(checks []Check, r Result) (n int) {
	for _, c := range checks {
		if c.Result == r {
			n++
		}
	}
	return n
}

// WriteChecks writes checks as a table. It does not use text/tabwriter, which would
// count escape sequences as text.
func WriteChecks(out io.Writer, checks []Check, colored bool) error {
	where, what, result := len("WHERE"), len("CHECK"), len("RESULT")
	for _, c := range checks {
		where, what, result = max(where, len(c.Where)), max(what, len(c.Check)), max(result, len(c.Result))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s  %-*s  %-*s  DETAILS\n", where, "WHERE", what, "CHECK", result, "RESULT")
	for _, c := range checks {
		r := string(c.Result)
		if colored {
			r = colors[c.Result] + r + resetColor
		}
		padding := strings.Repeat(" ", result-len(c.Result))
		fmt.Fprintf(&b, "%-*s  %-*s  %s%s  %s\n", where, c.Where, what, c.Check, r, padding, c.Details)
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// OneLine returns the text of an error with all white space as single spaces.
func OneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
