package copier

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"archeio/lambda/oci"
	"archeio/lambda/registry"
)

// Filter limits what is mirrored. Patterns are those of path.Match, and a "**"
// between slashes matches any number of names. The zero value is everything.
type Filter struct {
	// Repositories are full names, or patterns of full names. If all are names, the
	// source's listing of repositories is not needed.
	Repositories []string
	// Tags and ExcludeTags are patterns of tags. A manifest with several tags is
	// mirrored if one of them is. Tags of signatures are mirrored unless they are
	// excluded.
	Tags, ExcludeTags []string
	// Platforms are patterns of os/arch or os/arch/variant; os/arch includes all
	// variants. Entries of an index without a platform, such as attestations, are
	// mirrored.
	Platforms []string
}

// Filtered counts what a Filter left out.
type Filtered struct {
	// Repositories, Images (tags and untagged manifests), and entries of indexes for
	// other Platforms.
	Repositories, Images, Platforms int
}

// Any reports whether anything was left out.
func (f Filtered) Any() bool { return f != Filtered{} }

func (f *Filtered) add(more Filtered) {
	f.Repositories += more.Repositories
	f.Images += more.Images
	f.Platforms += more.Platforms
}

// Check returns an error for an invalid pattern.
func (f *Filter) Check() error {
	for _, pattern := range slices.Concat(f.Repositories, f.Tags, f.ExcludeTags, f.Platforms) {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return fmt.Errorf("invalid pattern %q: want a name, or a pattern such as v1.*", pattern)
		}
	}
	return nil
}

// images reports whether images are filtered: then only those with a tag, and what
// they refer to, are mirrored.
func (f *Filter) images() bool { return len(f.Tags)+len(f.ExcludeTags)+len(f.Platforms) > 0 }

func isPattern(name string) bool { return strings.ContainsAny(name, `*?[\`) }

// names returns the repositories if all of them are named without a pattern.
func (f *Filter) names() []string {
	if slices.ContainsFunc(f.Repositories, isPattern) {
		return nil
	}
	return f.Repositories
}

// repository reports whether a repository is mirrored.
func (f *Filter) repository(name string) bool {
	return len(f.Repositories) == 0 || slices.ContainsFunc(f.Repositories, func(pattern string) bool {
		return matchPath(strings.Split(pattern, "/"), strings.Split(name, "/"), false)
	})
}

// within reports whether a repository or one below it may be mirrored.
func (f *Filter) within(name string) bool {
	return len(f.Repositories) == 0 || slices.ContainsFunc(f.Repositories, func(pattern string) bool {
		return matchPath(strings.Split(pattern, "/"), strings.Split(name, "/"), true)
	})
}

// matchPath reports whether a name matches a pattern; above also accepts names that
// something matching can be below. Its time is that of the product of the lengths.
func matchPath(pattern, name []string, above bool) bool {
	// at has the positions in the pattern that the names so far can lead to.
	at := make([]bool, len(pattern)+1)
	at[0] = true
	for i := 0; ; i++ {
		for j, p := range pattern {
			if at[j] && p == "**" {
				at[j+1] = true
			}
		}
		if i == len(name) {
			break
		}
		next := make([]bool, len(at))
		for j, p := range pattern {
			if !at[j] {
				continue
			}
			if p == "**" {
				next[j] = true
			} else if ok, _ := path.Match(p, name[i]); ok {
				next[j+1] = true
			}
		}
		at = next
	}
	return at[len(pattern)] || above && slices.Contains(at, true)
}

// entries returns the entries of a listing that are mirrored, and the number of the
// others.
func (f *Filter) entries(l *registry.Listing) (kept []registry.Entry, leftOut int) {
	if !f.images() {
		return l.Entries, 0
	}
	for _, e := range l.Entries {
		tags := []string{e.Tag}
		if all := l.Tags[e.Digest]; e.Digest != "" && len(all) > 0 {
			tags = all
		}
		if slices.ContainsFunc(tags, f.tag) {
			kept = append(kept, e)
		}
	}
	return kept, len(l.Entries) - len(kept)
}

func (f *Filter) tag(tag string) bool {
	matches := func(pattern string) bool { ok, _ := path.Match(pattern, tag); return ok }
	switch {
	case tag == "" || slices.ContainsFunc(f.ExcludeTags, matches):
		return false
	case len(f.Tags) == 0 || oci.SignatureTag(tag):
		return true
	}
	return slices.ContainsFunc(f.Tags, matches)
}

// platform reports whether an entry of an index is mirrored.
func (f *Filter) platform(platform string) bool {
	if len(f.Platforms) == 0 || platform == "" {
		return true
	}
	return slices.ContainsFunc(f.Platforms, func(pattern string) bool {
		ok, _ := path.Match(pattern, platform)
		if above, _, variant := cutVariant(platform); variant && !ok {
			ok, _ = path.Match(pattern, above)
		}
		return ok
	})
}

// cutVariant cuts os/arch/variant.
func cutVariant(platform string) (above, variant string, found bool) {
	i := strings.LastIndexByte(platform, '/')
	if strings.Count(platform, "/") != 2 {
		return platform, "", false
	}
	return platform[:i], platform[i+1:], true
}

// children returns the children of a manifest that are mirrored, and the number of
// the others.
func (f *Filter) children(c *registry.Contents) (kept []string, leftOut int) {
	if len(f.Platforms) == 0 || len(c.Platforms) != len(c.Children) {
		return c.Children, 0
	}
	for i, child := range c.Children {
		if f.platform(c.Platforms[i]) {
			kept = append(kept, child)
		}
	}
	return kept, len(c.Children) - len(kept)
}
