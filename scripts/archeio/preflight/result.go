package preflight

import (
	"fmt"
	"io"
	"strings"

	"archeio/scripts/archeio/cli"
)

// result is how a check ended.
type result string

const (
	pass result = "PASS"
	warn result = "WARN" // could not be checked, or only in part
	fail result = "FAIL" // a deployment would fail
)

// colors are the ANSI escape sequences of results.
var colors = map[result]string{pass: "\x1b[32m", warn: "\x1b[33m", fail: "\x1b[1;31m"}

const resetColor = "\x1b[0m"

// check is one row of the output. Where is a region, or what is not regional:
// upstream, account or release.
type check struct {
	Where   string `json:"where"`
	Check   string `json:"check"`
	Result  result `json:"result"`
	Details string `json:"details"`
}

func (p *preflight) add(r result, where, what, format string, args ...any) {
	p.checks = append(p.checks, check{where, what, r, fmt.Sprintf(format, args...)})
}

func (p *preflight) pass(where, what, format string, args ...any) {
	p.add(pass, where, what, format, args...)
}

func (p *preflight) warn(where, what, format string, args ...any) {
	p.add(warn, where, what, format, args...)
}

func (p *preflight) fail(where, what, format string, args ...any) {
	p.add(fail, where, what, format, args...)
}

// unknown adds a check that could not be made, mostly for lack of a permission.
func (p *preflight) unknown(where, what string, err error) {
	p.warn(where, what, "could not check: %s", oneLine(err))
}

func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// failed returns the number of failed checks.
func (p *preflight) failed() (n int) {
	for _, c := range p.checks {
		if c.Result == fail {
			n++
		}
	}
	return n
}

func (p *preflight) writeJSON(out io.Writer) error {
	return cli.JSON(out, struct {
		Stage  string  `json:"stage"`
		Ready  bool    `json:"ready"` // no check failed
		Checks []check `json:"checks"`
	}{p.stage.Name, p.failed() == 0, p.checks})
}

func (p *preflight) writeText(out io.Writer) error {
	return writeTable(out, p.checks, cli.Colors(out))
}

// writeTable writes checks as a table. It does not use text/tabwriter, which would
// count escape sequences as text.
func writeTable(out io.Writer, checks []check, colored bool) error {
	where, what := len("WHERE"), len("CHECK")
	for _, c := range checks {
		where, what = max(where, len(c.Where)), max(what, len(c.Check))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%-*s  %-*s  RESULT  DETAILS\n", where, "WHERE", what, "CHECK")
	for _, c := range checks {
		r := string(c.Result)
		if colored {
			r = colors[c.Result] + r + resetColor
		}
		fmt.Fprintf(&b, "%-*s  %-*s  %s    %s\n", where, c.Where, what, c.Check, r, c.Details)
	}
	_, err := io.WriteString(out, b.String())
	return err
}
