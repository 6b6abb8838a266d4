package compile

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"archeio/ranges"
)

// Report is what differs between two tables, in terms of lookups: which addresses
// get another place. A prefix that comes or goes inside a longer one of the same
// place changes no lookup and is not listed. It has the names of its JSON.
type Report struct {
	Clouds    []CloudChange `json:"clouds"`
	Conflicts []string      `json:"conflicts"`
	Changes   []Change      `json:"changes"`
}

// CloudChange is a cloud in both tables.
type CloudChange struct {
	Cloud  ranges.Cloud `json:"cloud"`
	Before Coverage     `json:"before"`
	After  Coverage     `json:"after"`
}

// Coverage is a cloud in one table. All is zero if the table does not have it.
type Coverage struct {
	Version  string    `json:"version"`
	Date     time.Time `json:"date,omitzero"`
	Prefixes int       `json:"prefixes"`
	Size
}

// Change is the set of addresses that move from one place to another. An empty
// place means no cloud.
type Change struct {
	From     string         `json:"from"`
	To       string         `json:"to"`
	Prefixes []netip.Prefix `json:"prefixes"`
	Size
}

// Compare returns what differs between two tables. The zero table is an empty
// one.
func Compare(before, after ranges.Table) Report {
	r := Report{Changes: []Change{}, Conflicts: []string{}}
	was, is := coverage(before), coverage(after)
	for _, cloud := range ranges.Clouds {
		if b, a := was[cloud], is[cloud]; b != (Coverage{}) || a != (Coverage{}) {
			r.Clouds = append(r.Clouds, CloudChange{cloud, b, a})
		}
	}
	type pair struct{ from, to ranges.Place }
	moved := map[pair]*Change{}
	for _, m := range differences(slices.Collect(before.All()), slices.Collect(after.All())) {
		key := pair{m.from, m.to}
		c := moved[key]
		if c == nil {
			c = &Change{From: m.from.String(), To: m.to.String()}
			moved[key] = c
		}
		c.Prefixes = append(c.Prefixes, prefixesOf(m.first, m.last)...)
		c.add(m.first, m.last)
	}
	for _, c := range moved {
		r.Changes = append(r.Changes, *c)
	}
	slices.SortFunc(r.Changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return r
}

// ErrShrunk is wrapped by the error of CheckSize.
var ErrShrunk = errors.New("more than a fifth is missing")

// CheckSize returns an error if a cloud lost more than a fifth of its prefixes,
// IPv4 addresses or IPv6 networks. Each counts by itself: a document without its
// IPv6 may still have most of its prefixes.
func (r Report) CheckSize() error {
	for _, c := range r.Clouds {
		for _, m := range []struct {
			what          string
			before, after float64
		}{
			{"prefixes", float64(c.Before.Prefixes), float64(c.After.Prefixes)},
			{"IPv4 addresses", c.Before.IPv4, c.After.IPv4},
			{"IPv6 /64 networks", c.Before.IPv6, c.After.IPv6},
		} {
			if m.after < m.before*4/5 {
				return fmt.Errorf("%s shrinks from %s to %s %s: %w", c.Cloud, count(m.before), count(m.after), m.what, ErrShrunk)
			}
		}
	}
	return nil
}

// Text returns the report for a reader.
func (r Report) Text() string {
	var out strings.Builder
	t := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLOUD\tDOCUMENT\tPREFIXES\tIPv4 ADDRESSES\tIPv6 /64s")
	for _, c := range r.Clouds {
		b, a := c.Before, c.After
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", c.Cloud, step(b.Version, a.Version),
			step(count(float64(b.Prefixes)), count(float64(a.Prefixes))), step(count(b.IPv4), count(a.IPv4)), step(count(b.IPv6), count(a.IPv6)))
	}
	t.Flush()
	for _, c := range r.Conflicts {
		fmt.Fprintf(&out, "\nconflict: %s\n", c)
	}
	if len(r.Changes) == 0 {
		fmt.Fprintf(&out, "\nno address moves\n")
	}
	for _, c := range r.Changes {
		c.write(&out)
	}
	return out.String()
}

// lineLength is how many columns of prefixes are written before a line break.
const lineLength = 96

func (c Change) write(w io.Writer) {
	verb := "moves from " + c.From + " to " + c.To
	switch {
	case c.From == "":
		verb = "added to " + c.To
	case c.To == "":
		verb = "removed from " + c.From
	}
	fmt.Fprintf(w, "\n%s: %s", verb, plural(len(c.Prefixes), "prefix", "prefixes"))
	if c.IPv4 > 0 {
		fmt.Fprintf(w, ", %s IPv4 addresses", count(c.IPv4))
	}
	if c.IPv6 > 0 {
		fmt.Fprintf(w, ", %s IPv6 /64s", count(c.IPv6))
	}
	fmt.Fprintln(w)
	var line strings.Builder
	for _, p := range c.Prefixes {
		if line.Len()+len(p.String()) > lineLength {
			fmt.Fprintln(w, " "+line.String())
			line.Reset()
		}
		line.WriteString(" " + p.String())
	}
	fmt.Fprintln(w, " "+line.String())
}

// step returns a value that may have changed.
func step(before, after string) string {
	switch {
	case before == after:
		return after
	case before == "" || after == "":
		return cmp.Or(before, "none") + " -> " + cmp.Or(after, "none")
	}
	return before + " -> " + after
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
