package route

import (
	"slices"
	"strings"
	"testing"
)

// TestReasonTokens fixes the tokens: operators' dashboards and scripts use them.
func TestReasonTokens(t *testing.T) {
	t.Parallel()
	want := strings.Fields(`aws-region nearest-region mirror-rule failover-region viewer-position function-region default-mirror authorization
		upstream-cloud upstream-digest no-mirror mirror-absent mirror-unavailable
		manifest tags referrers signature upstream-limited upstream-failed too-large ping info privacy refused`)
	var got []string
	for _, r := range Reasons() {
		got = append(got, r.String())
	}
	if !slices.Equal(got, want) {
		t.Errorf("tokens %q, want %q", got, want)
	}
}

// TestReasonTable fails when a reason has no row, or an incomplete one.
func TestReasonTable(t *testing.T) {
	t.Parallel()
	for _, r := range Reasons() {
		if r.String() == "" || r.Meaning() == "" || strings.ContainsAny(r.Meaning(), "|\n") {
			t.Errorf("reason %d has the row %+v, want a token and a meaning of one line", r, reasons[r])
			continue
		}
		if got, ok := ParseReason(r.String()); !ok || got != r {
			t.Errorf("ParseReason(%q) = %q, %t", r.String(), got, ok)
		}
		if r.Leads().Mirror() && !r.ForBlob() {
			t.Errorf("reason %s leads to a mirror, but is not for blobs: mirrors hold nothing else", r)
		}
		if r.Outage() && !r.ForBlob() {
			t.Errorf("reason %s is an outage, but is not for blobs: mirrors are checked for nothing else", r)
		}
	}
	for _, token := range []string{"", "AWS-region", "unknown"} {
		if r, ok := ParseReason(token); ok || r != 0 {
			t.Errorf("ParseReason(%q) = %q, %t, want no reason", token, r, ok)
		}
	}
}

// TestTargetNames fails when a target has no name, or not its own.
func TestTargetNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for target := Nowhere; target < endOfTargets; target++ {
		names[target.String()] = true
	}
	if len(names) != int(endOfTargets) || names[""] {
		t.Errorf("%d targets have the names %v", endOfTargets, names)
	}
}
