package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"

	"archeio/scripts/lab/pull"
	"archeio/scripts/lab/terminal"
	"archeio/scripts/prove/cli"
)

// checks are the checks of a deployment and their results.
type checks struct {
	*deployed
	progress *cli.Progress
	out      io.Writer
	full     bool
	image    *pull.Image
	report   pull.Report
	results  []checkResult
}

// checkResult is one check: what must be true, and an error if it is not.
type checkResult struct {
	what string
	err  error
}

// check adds a check that passed if err is nil.
func (c *checks) check(what string, err error) {
	c.results = append(c.results, checkResult{what, err})
	if err != nil && c.progress != nil {
		c.progress.Note("FAILED: %s: %v", what, err)
	}
}

// print prints all results, and returns an error if one failed.
func (c *checks) print() error {
	c.report.Summary(c.image)
	counts := cli.Counts{Failed: c.report.Failed(), Passed: len(c.report.Rows) - c.report.Failed()}
	var rows [][]string
	var details strings.Builder
	for _, r := range c.results {
		result := cli.ResultOf(r.err)
		counts.Add(result)
		rows = append(rows, []string{r.what, string(result)})
		if result.Failed() && strings.Contains(r.err.Error(), "\n") {
			fmt.Fprintf(&details, "\n%s:\n%s\n", r.what, r.err)
		}
	}
	fmt.Fprintln(c.out)
	cli.Table(c.out, terminal.Colors(c.out), []string{"CHECK", "RESULT"}, rows, cli.FailedRow)
	fmt.Fprintf(c.out, "%s\n%s\n", details.String(), counts)
	return counts.Err()
}

// want returns an error with a text unless ok is true.
func want(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// get sends a GET request and does not follow redirects.
func (d *deployed) get(ctx context.Context, url string, header map[string]string) (status int, received http.Header, err error) {
	status, received, _, err = d.request(ctx, http.MethodGet, url, header)
	return status, received, err
}

// request sends a request and returns at most 1 MiB of the body.
func (d *deployed) request(ctx context.Context, method, url string, header map[string]string) (status int, received http.Header, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return 0, nil, "", err
	}
	for name, value := range header {
		req.Header.Set(name, value)
	}
	resp, err := d.network.RoundTrip(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, resp.Header, string(text), err
}

// expect checks the status and some headers of the response to a GET request.
func (c *checks) expect(ctx context.Context, what, url string, header map[string]string, status int, headers map[string]string) {
	got, received, err := c.get(ctx, url, header)
	if err == nil && got != status {
		err = fmt.Errorf("status %d, want %d", got, status)
	}
	for name, value := range headers {
		if err == nil && received.Get(name) != value {
			err = fmt.Errorf("%s is %q, want %q", name, received.Get(name), value)
		}
	}
	c.check(what, err)
}
