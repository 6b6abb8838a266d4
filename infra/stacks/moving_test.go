//go:build !race

package stacks

import (
	"strings"
	"testing"
)

// A mirror that comes is written to and not read, one that goes is neither, and
// both still have their stacks.
func TestMirrorsComeAndGo(t *testing.T) {
	const comes, goes = "archeio-moving-111122223333-ap-south-1-an", "archeio-moving-111122223333-me-central-1"
	n := 0
	each(t, "", func(t *testing.T, st *synthStack) {
		if st.stage.Name != "moving" || st.what == "mirror" && st.region != st.stage.Primary || st.what == "watch" {
			return
		}
		n++
		all := text(st.template)
		for _, tt := range []struct {
			bucket string
			want   bool
		}{{comes, st.what == "mirror" || st.what == "filler"}, {goes, false}} {
			if got := strings.Contains(all, tt.bucket); got != tt.want {
				t.Errorf("names %s: %v, want %v", tt.bucket, got, tt.want)
			}
		}
		// Routing knows regions and no buckets.
		if st.what == "redirector" {
			same(t, "mirrors", at(st.resource(t, "Redirector"), "Properties", "Environment", "Variables", "MIRROR_REGIONS"), `"eu-west-1,us-west-2"`)
		}
		if st.what == "edge" && (strings.Contains(all, "mirror-ap-south-1") || strings.Contains(all, "mirror-me-central-1")) {
			t.Error("the edge leads to a mirror that comes or goes")
		}
	})
	if n != 4 {
		t.Errorf("%d stacks of the stage moving are tested, want 4", n)
	}
}
