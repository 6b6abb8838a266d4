package preflight

import (
	"fmt"
	"io"

	"archeio/scripts/archeio/cli"
)

func (p *preflight) add(r cli.Result, where, what, format string, args ...any) {
	p.checks = append(p.checks, cli.Check{Where: where, Check: what, Result: r, Details: fmt.Sprintf(format, args...)})
}

func (p *preflight) pass(where, what, format string, args ...any) {
	p.add(cli.Pass, where, what, format, args...)
}

// warn adds a check that could not be made, or only in part.
func (p *preflight) warn(where, what, format string, args ...any) {
	p.add(cli.Warn, where, what, format, args...)
}

// fail adds a check because of which a deployment would fail.
func (p *preflight) fail(where, what, format string, args ...any) {
	p.add(cli.Fail, where, what, format, args...)
}

// unknown adds a check that could not be made, mostly for lack of a permission.
func (p *preflight) unknown(where, what string, err error) {
	p.warn(where, what, "could not check: %s", cli.OneLine(err))
}

// failed returns the number of failed checks.
func (p *preflight) failed() int { return cli.Count(p.checks, cli.Fail) }

func (p *preflight) writeJSON(out io.Writer) error {
	return cli.JSON(out, struct {
		Stage  string      `json:"stage"`
		Ready  bool        `json:"ready"` // no check failed
		Checks []cli.Check `json:"checks"`
	}{p.stage.Name, p.failed() == 0, p.checks})
}

func (p *preflight) writeText(out io.Writer) error {
	return cli.WriteChecks(out, p.checks, cli.Colors(out))
}
