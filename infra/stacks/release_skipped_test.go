//go:build !race

package stacks

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
)

// A deployment that skips the release moves the alias at once, and keeps everything else
// that a release consists of: the log of the rollout hook says what was wrong.
func TestSkippedRelease(t *testing.T) {
	needNode(t)
	f, err := readFile()
	if err != nil {
		t.Fatal(err)
	}
	sandbox := slices.DeleteFunc(f.stages, func(s *stage.Stage) bool { return s.Name != "sandbox" })
	if err := sandbox[0].OverrideRelease("none"); err != nil {
		t.Fatal(err)
	}
	c, err := synthesize(f, "skipped", sandbox)
	if err != nil {
		t.Fatal(err)
	}
	all := synthesized(t)
	checked := 0
	for _, st := range c.stacks {
		if st.what != "redirector" {
			continue
		}
		checked++
		released := all.stacks[slices.IndexFunc(all.stacks, func(other *synthStack) bool { return other.name == st.name })]
		ids := func(st *synthStack) []string {
			resources, _ := st.template["Resources"].(map[string]any)
			return slices.Sorted(maps.Keys(resources))
		}
		if got, want := ids(st), ids(released); !slices.Equal(got, want) {
			t.Errorf("%s: resources %v, want %v", st.name, got, want)
		}
		if _, alias := st.only(t, "AWS::Lambda::Alias"); at(alias, "UpdatePolicy") != nil {
			t.Errorf("%s: the alias has an update policy", st.name)
		}
		for _, before := range st.dependencies {
			if strings.Contains(before, "-redirector-") && !strings.HasSuffix(before, ".assets") {
				t.Errorf("%s depends on %s", st.name, before)
			}
		}
	}
	if checked != 2 {
		t.Errorf("%d redirector stacks, want 2", checked)
	}
}
