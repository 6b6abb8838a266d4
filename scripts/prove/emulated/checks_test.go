package main

import (
	"errors"
	"strings"
	"testing"

	"archeio/scripts/lab/pull"
)

func TestPrint(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	c := &checks{out: &out, image: &pull.Image{}, report: pull.Report{Out: &out, ServerName: func(s string) string { return s }}}
	c.report.Rows = []pull.Row{
		{EntryPoint: distribution, Client: "home", Pull: &pull.Pull{}, Verdict: "ok"},
		{EntryPoint: loadBalancer, Client: "home", Pull: &pull.Pull{}, Verdict: "FAILED: status 500"},
	}
	c.check("a passes", nil)
	c.check("b fails", outputError(errors.New("exit status 1"), "first\nlast\n"))
	err := c.print()
	if err == nil || err.Error() != "2 of 4 checks failed" {
		t.Errorf("error %v", err)
	}
	for _, want := range []string{
		"a passes  ok\n",
		"b fails   FAILED: last\n",
		"\nb fails:\nexit status 1; the end of the output:\nfirst\nlast\n",
		"\n2 passed, 2 failed, 0 skipped\n",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestPreflightResult(t *testing.T) {
	t.Parallel()
	var r preflightResult
	r.Checks = append(r.Checks, struct{ Where, Check, Result, Details string }{"us-east-1", "bucket", "FAIL", "a: owned by another account"})
	r.Checks = append(r.Checks, struct{ Where, Check, Result, Details string }{"us-east-1", "stacks", "PASS", ""})
	for _, tt := range []struct {
		name, where, check, details string
		want                        bool
	}{
		{"failed", "us-east-1", "bucket", "a:", true},
		{"passed", "us-east-1", "stacks", "", false},
		{"another-region", "eu-west-1", "bucket", "", false},
		{"another-detail", "us-east-1", "bucket", "b:", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := r.fails(tt.where, tt.check, tt.details); (err == nil) != tt.want {
				t.Errorf("error %v, want none: %v", err, tt.want)
			}
		})
	}
}

func TestNamesForeignHost(t *testing.T) {
	t.Parallel()
	alb := `alb, sample manifest, GET /v2/: redirect to "https://attacker.example/v2/x", want it below https://upstream.example for the reason "manifest"`
	url := strings.Replace(alb, "alb, ", "url, ", 1)
	for _, tt := range []struct {
		name     string
		failures []string
		want     bool
	}{
		{"both", []string{alb, url}, true},
		{"one", []string{alb}, false},
		{"none", nil, false},
		{"another-failure", []string{alb, "url, sample ping, GET /v2/: status 500, want 200"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := namesForeignHost(tt.failures); (err == nil) != tt.want {
				t.Errorf("error %v, want none: %v", err, tt.want)
			}
		})
	}
}

func TestDefect(t *testing.T) {
	t.Parallel()
	x := &defect{rows: []string{"public read in us-east-1", "blob index in us-east-1"}, details: "403"}
	for _, tt := range []struct {
		name   string
		failed map[string]string
		want   bool
	}{
		{"found", map[string]string{"public read in us-east-1": "status 403", "blob index in us-east-1": ""}, true},
		{"another-place", map[string]string{"public read in eu-central-1": "status 403", "blob index in us-east-1": ""}, false},
		{"another-reason", map[string]string{"public read in us-east-1": "status 500", "blob index in us-east-1": ""}, false},
		{"in-part", map[string]string{"public read in us-east-1": "status 403"}, false},
		{"not", nil, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := x.in(tt.failed); (err == nil) != tt.want {
				t.Errorf("error %v, want none: %v", err, tt.want)
			}
		})
	}
}

func TestSelectParts(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		only string
		want int // 0 for an error
	}{
		{"", len(operationParts)},
		{"hook", 1},
		{"runbooks,hook", 2},
		{"hok", 0},
		{"hook,access", 0},
	} {
		selected, err := selectParts(operationParts, tt.only)
		if len(selected) != tt.want || (err == nil) != (tt.want > 0) {
			t.Errorf("%q: %d parts, error %v, want %d", tt.only, len(selected), err, tt.want)
		}
	}
}
