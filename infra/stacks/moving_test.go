//go:build !race

package stacks

import (
	"strings"
	"testing"
)

// A filling mirror is written to but not redirected to, a retiring one is neither.
// Both have their stacks.
func TestFillingAndRetiringMirrors(t *testing.T) {
	const filling, retiring = "archeio-moving-111122223333-ap-south-1-an", "archeio-moving-111122223333-me-central-1"
	n := 0
	each(t, "", func(t *testing.T, st *synthStack) {
		if st.stage.Name != "moving" || st.what == "mirror" && st.region != st.stage.Primary || st.what == "watch" {
			return
		}
		n++
		if st.what == "home" {
			return // the dashboard shows all mirrors
		}
		all := text(st.template)
		for _, tt := range []struct {
			bucket string
			want   bool
		}{{filling, st.what == "mirror" || st.what == "filler" || st.what == "refresh"}, {retiring, false}} {
			if got := strings.Contains(all, tt.bucket); got != tt.want {
				t.Errorf("refers to %s: %v, want %v", tt.bucket, got, tt.want)
			}
		}
		// The redirector's configuration has regions, not buckets.
		if st.what == "redirector" {
			same(t, "mirrors", at(st.resource(t, "Redirector"), "Properties", "Environment", "Variables", "MIRROR_REGIONS"), `"eu-west-1,us-west-2"`)
		}
		if st.what == "edge" && (strings.Contains(all, "mirror-ap-south-1") || strings.Contains(all, "mirror-me-central-1")) {
			t.Error("the distribution has a filling or retiring mirror as an origin")
		}
	})
	if n != 7 {
		t.Errorf("tested %d stacks of the stage moving, want 7", n)
	}
}
