package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"

	"archeio/lambda/oci"
)

// Entry is a manifest in the listing of a repository: its digest, its tag, or
// both.
type Entry struct{ Tag, Digest string }

// String returns the end of an image reference: ":tag" or "@digest".
func (e Entry) String() string {
	if e.Tag != "" {
		return ":" + e.Tag
	}
	return "@" + e.Digest
}

// Key is the sort key of an entry.
func (e Entry) Key() string { return e.Digest + e.Tag }

// Listing is the content of a repository.
type Listing struct {
	// Entries are sorted, without duplicates. Their tags and digests are valid.
	Entries []Entry
	// Complete reports whether untagged manifests are included, as in the
	// listings of Artifact Registry and GCR. Only then do entries have a digest.
	Complete bool
	// Tags are all tags of each digest in a Complete listing; the entry of a digest
	// has the smallest one.
	Tags map[string][]string
	// Children are the full names of the repositories below this one, sorted and
	// valid.
	Children []string
	// Invalid counts what was listed under a name that is not one of the
	// specification, so that no client can request it.
	Invalid int
}

// validTag is the grammar of tags.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests
var validTag = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// listingPage is a page of a listing of tags. Google adds children and manifests.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
type listingPage struct {
	Tags     names                 `json:"tags"`
	Children *[]string             `json:"child"`
	Manifest *map[string]googleTag `json:"manifest"`
}

// names are those of a page. Null is an empty list, but no list at all is none:
// some proxies respond to an error with 200.
type names struct {
	list  []string
	found bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *names) UnmarshalJSON(text []byte) error {
	n.found = true
	return json.Unmarshal(text, &n.list)
}

// errNoList is the error for a response without a list of names.
var errNoList = errors.New("the response has no list")

type googleTag struct {
	Tag []string `json:"tag"`
}

// google reports whether a page is one of Artifact Registry or GCR.
func (p *listingPage) google() bool { return p.Children != nil || p.Manifest != nil }

// names returns the number of names in a page, as a limit counts them.
func (p *listingPage) names() int {
	n := len(p.Tags.list)
	if p.Children != nil {
		n = max(n, len(*p.Children))
	}
	if p.Manifest != nil {
		n = max(n, len(*p.Manifest))
	}
	return n
}

// List lists the tags, manifests and children of a repository. The error is an
// ErrAbsent if the registry does not have the repository, and an ErrIncomplete
// if the listing is not known to be complete.
func (c *Client) List(ctx context.Context, repository string) (*Listing, error) {
	l, err := c.list(ctx, repository)
	if err != nil {
		return nil, c.explain("listing the tags of "+line(repository), err)
	}
	return l, nil
}

func (c *Client) list(ctx context.Context, repository string) (*Listing, error) {
	if !oci.ValidName(repository) {
		return nil, fmt.Errorf("%w: invalid repository %s", ErrMalformed, quote(repository))
	}
	l := &Listing{}
	entries, children := map[Entry]bool{}, map[string]bool{}
	p := c.pages("/v2/"+repository+"/tags/list", repository, &c.tagPage)
	for last := ""; ; {
		resp, body, err := p.fetch(ctx, last)
		if err != nil && last != "" && clientError(err) {
			break // the registry has no pages, and this one was not full
		} else if err != nil {
			return nil, err
		}
		var page listingPage
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, fmt.Errorf("invalid JSON: %s", line(err.Error()))
		}
		if !page.Tags.found && !page.google() {
			return nil, errNoList
		}
		fresh := c.add(p, l, &page, repository, entries, children)
		more, err := p.next(resp, fresh, page.names())
		if err != nil {
			return nil, err
		}
		if more {
			continue
		}
		full := p.asked != none && int64(page.names()) >= p.asked
		switch {
		case p.linked || page.names() == 0:
		case full && (page.google() || fresh == 0):
			return nil, incomplete("the registry listed %d names, as many as were requested, and no next page", page.names())
		case fresh > 0 && !page.google() && (last != "" || limitLikely(len(page.Tags.list))):
			// No link was sent, but the page may be full.
			last = page.Tags.list[len(page.Tags.list)-1]
			p.address = p.from(last)
			continue
		}
		break
	}
	l.Entries = slices.SortedFunc(maps.Keys(entries), func(a, b Entry) int { return cmp.Compare(a.Key(), b.Key()) })
	l.Children = slices.Sorted(maps.Keys(children))
	return l, nil
}

// add adds a page to a listing and returns the number of its new names.
func (c *Client) add(p *pages, l *Listing, page *listingPage, repository string, entries map[Entry]bool, children map[string]bool) (fresh int) {
	tagged := map[string]bool{} // by a manifest of this page
	if page.Manifest != nil {
		l.Complete = true
		for digest, m := range *page.Manifest {
			if p.isNew("@" + digest) {
				fresh++
			}
			for _, tag := range m.Tag {
				tagged[tag] = true
			}
			m.Tag = slices.DeleteFunc(m.Tag, func(tag string) bool { return !validTag.MatchString(tag) })
			slices.Sort(m.Tag)
			e := Entry{Digest: digest}
			if len(m.Tag) > 0 {
				e.Tag = m.Tag[0]
			}
			if !oci.ValidDigest(digest) {
				l.Invalid++
				continue
			}
			entries[e] = true
			if l.Tags == nil {
				l.Tags = map[string][]string{}
			}
			l.Tags[digest] = m.Tag
		}
	}
	if page.Children != nil {
		l.Complete = true
		for _, child := range *page.Children {
			if p.isNew("/" + child) {
				fresh++
			}
			if child = repository + "/" + child; !oci.ValidName(child) {
				l.Invalid++
				continue
			}
			children[child] = true
		}
	}
	for _, tag := range page.Tags.list {
		if tagged[tag] {
			continue
		}
		if !p.isNew(":" + tag) {
			continue
		}
		fresh++
		if !validTag.MatchString(tag) {
			l.Invalid++
			continue
		}
		entries[Entry{Tag: tag}] = true
	}
	return fresh
}
