package copier

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/lambda/registry"
)

func TestFilterRepositories(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		patterns   []string
		repository string
		is, within bool
	}{
		{"everything", nil, "team/app", true, true},
		{"name", []string{"team/app"}, "team/app", true, true},
		{"above", []string{"team/app"}, "team", false, true},
		{"below", []string{"team/app"}, "team/app/x", false, false},
		{"star", []string{"team/*"}, "team/app", true, true},
		{"star-is-one-name", []string{"team/*"}, "team/app/x", false, false},
		{"star-within-a-name", []string{"team/app-*"}, "team/app-1", true, true},
		{"two-stars", []string{"team/**"}, "team/app/x", true, true},
		{"two-stars-are-none-too", []string{"team/**"}, "team", true, true},
		{"two-stars-elsewhere", []string{"team/**"}, "other", false, false},
		{"two-stars-in-the-middle", []string{"team/**/debug"}, "team/a/b/debug", true, true},
		{"two-stars-above", []string{"team/**/debug"}, "team/a/b", false, true},
		{"second-pattern", []string{"a", "team/?pp"}, "team/app", true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := Filter{Repositories: tt.patterns}
			if is, within := f.repository(tt.repository), f.within(tt.repository); is != tt.is || within != tt.within {
				t.Errorf("%q of %q: %v, within %v, want %v, %v", tt.repository, tt.patterns, is, within, tt.is, tt.within)
			}
		})
	}
	// No pattern is slow.
	began := time.Now()
	f := Filter{Repositories: []string{strings.Repeat("**/*/", 60) + "x"}}
	f.repository(strings.Repeat("a/", 120) + "b")
	if took := time.Since(began); took > time.Second {
		t.Errorf("a pattern took %v", took)
	}
}

func TestFilterImages(t *testing.T) {
	t.Parallel()
	signature := "sha256-" + strings.Repeat("a", 64) + ".sig"
	l := &registry.Listing{
		Entries: []registry.Entry{{Tag: "latest"}, {Tag: "v1.0"}, {Tag: "v1.0-rc1"}, {Tag: signature}, {Digest: a, Tag: "alias"}, {Digest: b}},
		Tags:    map[string][]string{a: {"alias", "v2.0"}},
	}
	for _, tt := range []struct {
		name   string
		filter Filter
		want   []string
	}{
		{"everything", Filter{}, []string{":latest", ":v1.0", ":v1.0-rc1", ":" + signature, ":alias", "@" + b}},
		{"include", Filter{Tags: []string{"v*"}}, []string{":v1.0", ":v1.0-rc1", ":" + signature, ":alias"}},
		{"exclude", Filter{ExcludeTags: []string{"*-rc*", "latest"}}, []string{":v1.0", ":" + signature, ":alias"}},
		{"both", Filter{Tags: []string{"v*"}, ExcludeTags: []string{"*-rc*", "*.sig"}}, []string{":v1.0", ":alias"}},
		{"platforms-leave-out-untagged", Filter{Platforms: []string{"linux/*"}}, []string{":latest", ":v1.0", ":v1.0-rc1", ":" + signature, ":alias"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			kept, leftOut := tt.filter.entries(l)
			var got []string
			for _, e := range kept {
				got = append(got, e.String())
			}
			if !slices.Equal(got, tt.want) || leftOut != len(l.Entries)-len(tt.want) {
				t.Errorf("%q and %d left out, want %q", got, leftOut, tt.want)
			}
		})
	}
}

func TestFilterPlatforms(t *testing.T) {
	t.Parallel()
	c := &registry.Contents{Platforms: []string{"linux/amd64", "linux/arm64/v8", "linux/arm/v7", "windows/amd64", ""}}
	for i := range c.Platforms {
		c.Children = append(c.Children, fmt.Sprint(i))
	}
	for _, tt := range []struct {
		name     string
		patterns []string
		want     string
	}{
		{"everything", nil, "0 1 2 3 4"},
		{"one", []string{"linux/amd64"}, "0 4"},
		{"any-variant", []string{"linux/arm64"}, "1 4"},
		{"variant", []string{"linux/arm/v7"}, "2 4"},
		{"other-variant", []string{"linux/arm/v6"}, "4"},
		{"system", []string{"linux/*"}, "0 1 2 4"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := Filter{Platforms: tt.patterns}
			kept, leftOut := f.children(c)
			if got := strings.Join(kept, " "); got != tt.want || leftOut != len(c.Children)-len(kept) {
				t.Errorf("%q and %d left out, want %q", got, leftOut, tt.want)
			}
		})
	}
}
