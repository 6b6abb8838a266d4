package stage

import (
	"fmt"
	"slices"
)

// moving reads which mirrors come and which go.
func (r *reader) moving(s *Stage) {
	for _, list := range []struct {
		key, primary string
		into, other  *[]string
	}{
		{"filling", "the primary has every blob first, and is always routed to", &s.Filling, &s.Retiring},
		{"retiring", "a stage cannot retire its primary: name another mirror as primary first, and deploy that", &s.Retiring, &s.Filling},
	} {
		takes := "takes regions of mirrors, each once"
		if !r.decode(list.key, list.into, takes) {
			continue
		}
		for i, region := range *list.into {
			switch {
			case !slices.Contains(s.Mirrors, region):
				r.refuse(list.key, fmt.Sprintf("%s; %q is none", takes, region))
			case slices.Contains((*list.into)[:i], region):
				r.refuse(list.key, fmt.Sprintf("%s; %q is there twice", takes, region))
			case region == s.Primary:
				r.refuse(list.key, fmt.Sprintf("%s; %s", takes, list.primary))
			case slices.Contains(*list.other, region):
				r.refuse(list.key, fmt.Sprintf("%s; %q is filling and retiring at once", takes, region))
			}
		}
	}
}
