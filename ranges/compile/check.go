package compile

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"archeio/ranges"
)

// Check is a check of new documents against the table that they are to replace.
type Check struct {
	// Name is a word for flags and logs.
	Name string
	// Meaning is what the check refuses.
	Meaning string

	// problem returns what is wrong with a cloud, empty if nothing is.
	problem func(c CloudChange, now time.Time) string
}

// Conflicting is the name of the check that there are no conflicts.
const Conflicting = "conflicting"

// Checks lists every check.
var Checks = [...]Check{
	{"older", "a document that is older than the one in the table", older},
	{"republished", "a document that changed while its version did not", republished},
	{"future", "a document with a date more than a day ahead of the clock", future},
	{"shrunk", "a cloud that lost more than a fifth of its prefixes or addresses", shrunk},
	{"moved", "a cloud of which more than 1% of the addresses change their region", moved},
	{Conflicting, "addresses that two clouds or two regions claim", nil},
}

// Problem is what a check refuses.
type Problem struct {
	Check string `json:"check"`
	// Text is one line.
	Text string `json:"text"`
}

// String returns the name of the check and the text.
func (p Problem) String() string { return p.Check + ": " + p.Text }

// problems returns what the checks refuse in the step from the first table of the
// report to the second, in the order of Checks and of clouds.
func (r Report) problems(now time.Time) []Problem {
	var out []Problem
	for _, check := range Checks {
		if check.Name == Conflicting && len(r.Conflicts) > 0 {
			out = append(out, Problem{check.Name, fmt.Sprintf("%s, the first: %s", plural(len(r.Conflicts), "conflict", "conflicts"), r.Conflicts[0])})
		}
		if check.problem == nil {
			continue
		}
		for _, c := range r.Clouds {
			if text := check.problem(c, now); text != "" {
				out = append(out, Problem{check.Name, string(c.Cloud) + " " + text})
			}
		}
	}
	return out
}

// older compares dates, or the change numbers of Azure if one of the documents has
// no date.
func older(c CloudChange, _ time.Time) string {
	b, a := c.Before, c.After
	if b.Version == "" || a.Version == "" {
		return ""
	}
	was, is, numbered := b.change(), a.change(), b.change() > 0 && a.change() > 0
	if dated := !b.Date.IsZero() && !a.Date.IsZero(); dated && a.Date.Before(b.Date) || !dated && numbered && is < was {
		return fmt.Sprintf("goes back from %s to %s", b.Version, a.Version)
	}
	return ""
}

// change returns the number in a version that is one, 0 in others.
func (c Coverage) change() int {
	n := 0
	if _, err := fmt.Sscanf(c.Version, azureVersion, &n); err != nil {
		return 0
	}
	return n
}

func republished(c CloudChange, _ time.Time) string {
	changed := c.Appear != (Size{}) || c.Vanish != (Size{}) || c.Move != (Size{})
	if c.Before.Version == c.After.Version && c.Before.Date.Equal(c.After.Date) && changed {
		return fmt.Sprintf("changes, but its version is still %s", c.After.Version)
	}
	return ""
}

func future(c CloudChange, now time.Time) string {
	if c.After.Date.After(now.Add(24 * time.Hour)) {
		return fmt.Sprintf("is dated %s, ahead of the clock", c.After.Date.Format(time.RFC3339))
	}
	return ""
}

// shrunk compares prefixes, IPv4 and IPv6 each by itself: a document without its
// IPv6 may still have most of its prefixes.
func shrunk(c CloudChange, _ time.Time) string {
	for _, m := range []struct {
		what          string
		before, after float64
	}{
		{"prefixes", float64(c.Before.Prefixes), float64(c.After.Prefixes)},
		{"IPv4 addresses", c.Before.IPv4, c.After.IPv4},
		{"IPv6 /64 networks", c.Before.IPv6, c.After.IPv6},
	} {
		if m.after < m.before*4/5 {
			return fmt.Sprintf("shrinks from %s to %s %s, by more than a fifth", count(m.before), count(m.after), m.what)
		}
	}
	return ""
}

func moved(c CloudChange, _ time.Time) string {
	for _, m := range []struct {
		what       string
		move, from float64
	}{
		{"IPv4 addresses", c.Move.IPv4, c.Before.IPv4},
		{"IPv6 /64 networks", c.Move.IPv6, c.Before.IPv6},
	} {
		if m.move > m.from/100 {
			return fmt.Sprintf("moves %s of its %s %s to another region, more than 1%%", count(m.move), count(m.from), m.what)
		}
	}
	return ""
}

// Except returns the problems without those of the named checks.
func Except(problems []Problem, checks []string) []Problem {
	return slices.DeleteFunc(slices.Clone(problems), func(p Problem) bool { return slices.Contains(checks, p.Check) })
}

// Keep returns the part of a table that is of a cloud as a document, for a provider
// that cannot be reached: compiling it gives the same places as before. It returns
// false if the table has no document of the cloud.
func Keep(t ranges.Table, cloud ranges.Cloud) (Document, bool) {
	sources := t.Sources()
	i := slices.IndexFunc(sources, func(s ranges.Source) bool { return s.Cloud == cloud })
	if i < 0 {
		return Document{}, false
	}
	d := Document{Cloud: cloud, Version: sources[i].Version, Date: sources[i].Date, published: sources[i].Prefixes}
	for x := range t.All() {
		if x.Place.Cloud == cloud {
			for _, p := range prefixesOf(x.First, x.Last) {
				d.Prefixes = append(d.Prefixes, ranges.Prefix{Prefix: p, Place: x.Place})
			}
		}
	}
	return d, true
}

// Texts returns the problems as one line.
func Texts(problems []Problem) string {
	var texts []string
	for _, p := range problems {
		texts = append(texts, p.Text)
	}
	return strings.Join(texts, "; ")
}
