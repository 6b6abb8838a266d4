package cli

import (
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	t.Parallel()
	checks := []Check{
		{"account", "credentials", Pass, "as they should be"},
		{"ap-southeast-1", "stacks", Warn, "could not check: access denied"},
		{"us-east-1", "bootstrap", Fail, "missing"},
	}
	const plain = `WHERE           CHECK        RESULT  DETAILS
account         credentials  PASS    as they should be
ap-southeast-1  stacks       WARN    could not check: access denied
us-east-1       bootstrap    FAIL    missing
`
	colored := strings.NewReplacer("PASS", "\x1b[32mPASS\x1b[0m", "WARN", "\x1b[33mWARN\x1b[0m", "FAIL", "\x1b[1;31mFAIL\x1b[0m").Replace(plain)
	for _, tt := range []struct {
		name    string
		colored bool
		want    string
	}{{"plain", false, plain}, {"colored", true, colored}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if err := WriteChecks(&out, checks, tt.colored); err != nil || out.String() != tt.want {
				t.Errorf("%v, got\n%q\nwant\n%q", err, out.String(), tt.want)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if p := NewProgress(&out); p.out != nil {
		t.Error("progress is shown where there is no terminal")
	}
	Progress{}.Show("nothing")
	Progress{}.Clear()
	p := Progress{&out}
	p.Show("%s (region %d of %d)", "us-east-1", 1, 2)
	p.Clear()
	if want := clearLine + "checking us-east-1 (region 1 of 2)" + clearLine; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
