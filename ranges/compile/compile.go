// Package compile turns the documents in which the clouds publish their IP ranges
// into a range table, and reports what differs between tables.
//
//	var documents []compile.Document
//	for _, p := range compile.Providers {
//		d, err := p.Read(ctx, nil, p.URL)
//		…
//		documents = append(documents, d)
//	}
//	after, report, err := compile.Update(before, documents, time.Now())
//	if len(report.Problems) == 0 {
//		…
//	}
//
// The same documents always give the same bytes. Package ranges holds the format
// of the table.
package compile

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"archeio/ranges"
)

// Conflict is a prefix that is claimed for two places, or that is inside a shorter
// prefix of another cloud. Prefixes inside others of the same cloud are no conflict:
// AWS has regional prefixes inside global ones.
type Conflict struct {
	Prefix netip.Prefix
	// Outer is the shorter prefix, or else Prefix itself.
	Outer netip.Prefix
	// Ignored is the earlier claim, Used the later one, in the order of
	// ranges.Clouds and within a document; or Used is the place of Prefix, Ignored
	// that of Outer.
	Ignored, Used ranges.Place
}

func (c Conflict) String() string {
	if c.Outer != c.Prefix {
		return fmt.Sprintf("%s of %s is inside %s of %s; using %s", c.Prefix, c.Used, c.Outer, c.Ignored, c.Used)
	}
	return fmt.Sprintf("%s is claimed for %s and %s; using %s", c.Prefix, c.Ignored, c.Used, c.Used)
}

// MarshalText returns the conflict as String does.
func (c Conflict) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// Compile returns the table of the documents and the conflicts between them,
// ordered by prefix. The order of the documents does not matter.
func Compile(documents []Document) (ranges.Table, []Conflict, error) {
	documents = slices.SortedStableFunc(slices.Values(documents), func(a, b Document) int {
		return slices.Index(ranges.Clouds[:], a.Cloud) - slices.Index(ranges.Clouds[:], b.Cloud)
	})
	var all []ranges.Prefix
	var sources []ranges.Source
	var conflicts []Conflict
	at := map[netip.Prefix]int{}
	for _, d := range documents {
		distinct := map[netip.Prefix]bool{}
		for _, p := range d.Prefixes {
			distinct[p.Prefix] = true
			i, claimed := at[p.Prefix]
			switch {
			case !claimed:
				at[p.Prefix] = len(all)
				all = append(all, p)
			case all[i].Place != p.Place:
				conflicts = append(conflicts, Conflict{p.Prefix, p.Prefix, all[i].Place, p.Place})
				all[i] = p
			}
		}
		sources = append(sources, ranges.Source{Cloud: d.Cloud, Version: d.Version, Date: d.Date, Prefixes: cmp.Or(d.published, len(distinct))})
	}
	conflicts = append(conflicts, nested(all)...)
	table, err := ranges.Compile(all, sources)
	if err != nil {
		return ranges.Table{}, nil, fmt.Errorf("compiling %d prefixes: %w", len(all), err)
	}
	slices.SortStableFunc(conflicts, func(a, b Conflict) int { return a.Prefix.Compare(b.Prefix) })
	return table, conflicts, nil
}

// Update compiles documents into a table that is to replace another one. The report
// has what changes, and what the checks refuse; now is the time of the clock. Time
// and memory are bounded, also if the documents are hostile.
func Update(before ranges.Table, documents []Document, now time.Time) (ranges.Table, Report, error) {
	after, conflicts, err := Compile(documents)
	if err != nil {
		return ranges.Table{}, Report{}, err
	}
	report := Compare(before, after)
	report.Conflicts = append(report.Conflicts, conflicts...)
	report.Problems = report.problems(now)
	return after, report, nil
}

// nested returns the prefixes that are inside a shorter one of another cloud, the
// longest of those that contain it.
func nested(all []ranges.Prefix) []Conflict {
	all = slices.SortedFunc(slices.Values(all), func(a, b ranges.Prefix) int { return a.Prefix.Compare(b.Prefix) })
	var conflicts []Conflict
	var outer []ranges.Prefix // the prefixes that contain the current one
	for _, p := range all {
		for len(outer) > 0 && !outer[len(outer)-1].Prefix.Overlaps(p.Prefix) {
			outer = outer[:len(outer)-1]
		}
		if n := len(outer); n > 0 && outer[n-1].Place.Cloud != p.Place.Cloud {
			conflicts = append(conflicts, Conflict{p.Prefix, outer[n-1].Prefix, outer[n-1].Place, p.Place})
		}
		outer = append(outer, p)
	}
	return conflicts
}
