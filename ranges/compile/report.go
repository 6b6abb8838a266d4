package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/big"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"

	"archeio/ranges"
)

// report is what an update means, in terms of answers: which addresses get
// another one. A prefix that comes or goes inside a longer one of the same
// place changes no answer and is not listed.
type report struct {
	Sources []sourceChange `json:"sources"`
	Changes []change       `json:"changes"`
	Doubts  []string       `json:"doubts"`
}

type sourceChange struct {
	Cloud     ranges.Cloud `json:"cloud"`
	Published string       `json:"published"`
	Before    coverage     `json:"before"`
	After     coverage     `json:"after"`
}

// coverage is how much of the address space a cloud has: IPv4 addresses, and
// IPv6 in networks of /64, as fractions of one where a prefix is longer.
type coverage struct {
	Prefixes int     `json:"prefixes"`
	IPv4     float64 `json:"ipv4_addresses"`
	IPv6     float64 `json:"ipv6_networks"`
}

// change is everything that moves from one place to another. An empty place
// is no cloud: the addresses appear or vanish.
type change struct {
	From     string         `json:"from"`
	To       string         `json:"to"`
	Prefixes []netip.Prefix `json:"prefixes"`
	IPv4     float64        `json:"ipv4_addresses"`
	IPv6     float64        `json:"ipv6_networks"`
}

func name(p ranges.Place) string {
	if p == (ranges.Place{}) {
		return ""
	}
	return string(p.Cloud) + " " + p.Region
}

func compare(before *ranges.Table, after ranges.Table) *report {
	r := &report{Changes: []change{}, Doubts: []string{}}
	was := map[ranges.Cloud]coverage{}
	var old []ranges.Range
	if before != nil {
		was = covered(*before)
		old = slices.Collect(before.All())
	}
	is := covered(after)
	for _, s := range after.Sources() {
		r.Sources = append(r.Sources, sourceChange{s.Cloud, s.Version, was[s.Cloud], is[s.Cloud]})
	}
	moved := map[[2]string]*change{}
	for _, m := range differences(old, slices.Collect(after.All())) {
		key := [2]string{name(m.from), name(m.to)}
		c := moved[key]
		if c == nil {
			c = &change{From: key[0], To: key[1]}
			moved[key] = c
		}
		c.Prefixes = append(c.Prefixes, prefixesOf(m.first, m.last)...)
		v4, v6 := size(m.first, m.last)
		c.IPv4 += v4
		c.IPv6 += v6
	}
	for _, c := range moved {
		r.Changes = append(r.Changes, *c)
	}
	slices.SortFunc(r.Changes, func(a, b change) int {
		return cmp.Or(cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return r
}

func covered(t ranges.Table) map[ranges.Cloud]coverage {
	sum := map[ranges.Cloud]coverage{}
	for _, s := range t.Sources() {
		sum[s.Cloud] = coverage{Prefixes: s.Prefixes}
	}
	for x := range t.All() {
		c := sum[x.Place.Cloud]
		v4, v6 := size(x.First, x.Last)
		c.IPv4 += v4
		c.IPv6 += v6
		sum[x.Place.Cloud] = c
	}
	return sum
}

// lost says which cloud shrinks by more than a fifth, if one does. Each
// measure counts by itself: a document that lost all of its IPv6 may still
// have most of its prefixes.
func (r *report) lost() string {
	for _, s := range r.Sources {
		for _, m := range []struct {
			what          string
			before, after float64
		}{
			{"prefixes", float64(s.Before.Prefixes), float64(s.After.Prefixes)},
			{"IPv4 addresses", s.Before.IPv4, s.After.IPv4},
			{"IPv6 networks", s.Before.IPv6, s.After.IPv6},
		} {
			if m.after < m.before*4/5 {
				return fmt.Sprintf("%s shrinks from %s to %s %s, more than a fifth", s.Cloud, count(m.before), count(m.after), m.what)
			}
		}
	}
	return ""
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r *report) writeText(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLOUD\tDOCUMENT\tPREFIXES\tIPv4 ADDRESSES\tIPv6 /64s")
	for _, s := range r.Sources {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", s.Cloud, s.Published,
			step(float64(s.Before.Prefixes), float64(s.After.Prefixes)), step(s.Before.IPv4, s.After.IPv4), step(s.Before.IPv6, s.After.IPv6))
	}
	t.Flush()
	for _, d := range r.Doubts {
		fmt.Fprintln(w, "\ndoubt:", d)
	}
	if len(r.Changes) == 0 {
		fmt.Fprintln(w, "\nno address gets another answer")
		return nil
	}
	for _, c := range r.Changes {
		var verb string
		switch {
		case c.From == "":
			verb = "appears in " + c.To
		case c.To == "":
			verb = "vanishes from " + c.From
		default:
			verb = "moves from " + c.From + " to " + c.To
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
			if line.Len()+len(p.String()) > 96 {
				fmt.Fprintln(w, " "+line.String())
				line.Reset()
			}
			line.WriteString(" " + p.String())
		}
		fmt.Fprintln(w, " "+line.String())
	}
	return nil
}

func step(before, after float64) string {
	if before == after {
		return count(after)
	}
	return count(before) + " -> " + count(after)
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

func count(v float64) string {
	switch {
	case v < 1 && v > 0:
		return "<1"
	case v >= 1e12:
		return fmt.Sprintf("%.3g", v)
	}
	digits := fmt.Sprintf("%.0f", math.Floor(v))
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// size is a range in IPv4 addresses or in IPv6 networks of /64.
func size(first, last netip.Addr) (v4, v6 float64) {
	n := new(big.Int).Sub(number(last), number(first))
	f, _ := new(big.Float).SetInt(n.Add(n, big.NewInt(1))).Float64()
	if first.Is4() {
		return f, 0
	}
	return 0, math.Ldexp(f, -64)
}

func number(a netip.Addr) *big.Int { return new(big.Int).SetBytes(a.AsSlice()) }
