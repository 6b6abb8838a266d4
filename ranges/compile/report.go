package compile

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"archeio/ranges"
	"archeio/ranges/regions"
)

// Report is what differs between two tables, in terms of lookups: which addresses
// get another place. A prefix that comes or goes inside a longer one of the same
// place changes no lookup and is not listed. It has the names of its JSON. Text
// leaves out what JSON has in full.
type Report struct {
	Clouds []CloudChange `json:"clouds"`
	// Regions are those that gain or lose addresses, the largest changes first.
	Regions   []RegionChange `json:"regions"`
	Conflicts []Conflict     `json:"conflicts"`
	// Changes are the largest first.
	Changes []Change `json:"changes"`
	// Largest are the ten largest prefixes that change, the largest first.
	Largest []Largest `json:"largest"`
	// Unlocated are the regions without known coordinates that gain addresses.
	Unlocated []Unlocated `json:"unlocated"`
	// Stage is what changes in a stage, nil without one.
	Stage *StageChange `json:"stage,omitempty"`
	// Problems is what the checks refuse. Only Update fills it.
	Problems []Problem `json:"problems,omitempty"`
}

// CloudChange is a cloud in both tables. Appear is what had no place before, Vanish
// what has none after, and Move what had a place in this cloud and has another one
// after, also in another cloud.
type CloudChange struct {
	Cloud  ranges.Cloud `json:"cloud"`
	Before Coverage     `json:"before"`
	After  Coverage     `json:"after"`
	Appear Size         `json:"appear"`
	Vanish Size         `json:"vanish"`
	Move   Size         `json:"move"`
}

// Coverage is a cloud in one table. All is zero if the table does not have it.
type Coverage struct {
	Version  string    `json:"version"`
	Date     time.Time `json:"date,omitzero"`
	Prefixes int       `json:"prefixes"`
	Size
}

// RegionChange is what a region gains and loses.
type RegionChange struct {
	Cloud   ranges.Cloud `json:"cloud"`
	Region  string       `json:"region"`
	Appear  Size         `json:"appear"`
	Vanish  Size         `json:"vanish"`
	MoveIn  Size         `json:"move_in"`
	MoveOut Size         `json:"move_out"`
}

func (c RegionChange) rank() float64 {
	return c.Appear.rank() + c.Vanish.rank() + c.MoveIn.rank() + c.MoveOut.rank()
}

// Change is the set of addresses that move from one place to another. An empty
// place means no cloud.
type Change struct {
	From     string         `json:"from"`
	To       string         `json:"to"`
	Prefixes []netip.Prefix `json:"prefixes"`
	Size

	from, to ranges.Place
}

// Largest is a prefix that moves from one place to another.
type Largest struct {
	Prefix netip.Prefix `json:"prefix"`
	From   string       `json:"from"`
	To     string       `json:"to"`
	Size
}

// maxLargest is the length of Report.Largest.
const maxLargest = 10

// Unlocated is a region without known coordinates, and what that means for its
// clients.
type Unlocated struct {
	Place  string `json:"place"`
	Effect string `json:"effect"`

	place ranges.Place
}

// Compare returns what differs between two tables. The zero table is an empty
// one.
func Compare(before, after ranges.Table) Report {
	r := Report{
		Clouds: []CloudChange{}, Regions: []RegionChange{}, Conflicts: []Conflict{},
		Changes: changes(before, after), Largest: []Largest{}, Unlocated: []Unlocated{},
	}
	was, is := coverage(before), coverage(after)
	at := map[ranges.Cloud]int{}
	for _, cloud := range ranges.Clouds {
		if b, a := was[cloud], is[cloud]; b != (Coverage{}) || a != (Coverage{}) {
			at[cloud] = len(r.Clouds)
			r.Clouds = append(r.Clouds, CloudChange{Cloud: cloud, Before: b, After: a})
		}
	}
	byRegion := map[ranges.Place]*RegionChange{}
	region := func(p ranges.Place) *RegionChange {
		if byRegion[p] == nil {
			byRegion[p] = &RegionChange{Cloud: p.Cloud, Region: p.Region}
		}
		return byRegion[p]
	}
	for _, c := range r.Changes {
		switch none := (ranges.Place{}); {
		case c.from == none:
			r.Clouds[at[c.to.Cloud]].Appear.sum(c.Size)
			region(c.to).Appear.sum(c.Size)
		case c.to == none:
			r.Clouds[at[c.from.Cloud]].Vanish.sum(c.Size)
			region(c.from).Vanish.sum(c.Size)
		default:
			r.Clouds[at[c.from.Cloud]].Move.sum(c.Size)
			region(c.from).MoveOut.sum(c.Size)
			region(c.to).MoveIn.sum(c.Size)
		}
		for _, p := range c.Prefixes {
			l := Largest{Prefix: p, From: c.From, To: c.To}
			l.add(p.Addr(), lastOf(p))
			r.Largest = append(r.Largest, l)
		}
	}
	for _, c := range byRegion {
		r.Regions = append(r.Regions, *c)
	}
	slices.SortFunc(r.Regions, func(a, b RegionChange) int {
		return cmp.Or(cmp.Compare(b.rank(), a.rank()), strings.Compare(string(a.Cloud), string(b.Cloud)), strings.Compare(a.Region, b.Region))
	})
	slices.SortStableFunc(r.Largest, func(a, b Largest) int {
		return cmp.Or(cmp.Compare(b.rank(), a.rank()), a.Prefix.Compare(b.Prefix))
	})
	r.Largest = slices.Clone(r.Largest[:min(len(r.Largest), maxLargest)])
	r.Unlocated = append(r.Unlocated, unlocated(byRegion)...)
	return r
}

// changes returns what differs, the largest changes first.
func changes(before, after ranges.Table) []Change {
	type pair struct{ from, to ranges.Place }
	moved := map[pair]*Change{}
	for _, m := range differences(slices.Collect(before.All()), slices.Collect(after.All())) {
		key := pair{m.from, m.to}
		c := moved[key]
		if c == nil {
			c = &Change{From: m.from.String(), To: m.to.String(), from: m.from, to: m.to}
			moved[key] = c
		}
		c.Prefixes = append(c.Prefixes, prefixesOf(m.first, m.last)...)
		c.add(m.first, m.last)
	}
	all := make([]Change, 0, len(moved))
	for _, c := range moved {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Change) int {
		return cmp.Or(cmp.Compare(b.rank(), a.rank()), strings.Compare(a.From, b.From), strings.Compare(a.To, b.To))
	})
	return all
}

// unlocated returns the regions that gain addresses and have no known coordinates.
// Names for no region, such as "GLOBAL", are not meant to have any.
func unlocated(changed map[ranges.Place]*RegionChange) []Unlocated {
	var out []Unlocated
	for p, c := range changed {
		gains := c.Appear != (Size{}) || c.MoveIn != (Size{})
		if at, ok := regions.Find(string(p.Cloud), p.Region); !gains || ok && at.Located || strings.EqualFold(p.Region, "global") {
			continue
		}
		effect := "no effect: only clients in AWS are redirected by their region"
		if p.Cloud == ranges.AWS {
			effect = "its clients get the default mirror, or without one the mirror nearest to the viewer or the function, unless MIRROR_FOR names one"
		}
		out = append(out, Unlocated{Place: p.String(), Effect: effect, place: p})
	}
	slices.SortFunc(out, func(a, b Unlocated) int { return strings.Compare(a.Place, b.Place) })
	return out
}

// StageChange is which addresses get another mirror in a stage.
type StageChange struct {
	Name    string         `json:"name"`
	Mirrors []MirrorChange `json:"mirrors"`
}

// MirrorChange is a set of addresses that get another mirror. Place is the one that
// they have after the change, or had if they have none.
type MirrorChange struct {
	Place  string `json:"place"`
	Before string `json:"before"`
	After  string `json:"after"`
	Size
}

// InStage adds what changes in a stage. first returns where blobs come from first
// for a client at a place, for example "mirror us-east-1"; the zero place is an
// unknown one.
func (r *Report) InStage(name string, first func(ranges.Place) string) {
	r.Stage = &StageChange{Name: name, Mirrors: []MirrorChange{}}
	at := map[MirrorChange]int{}
	for _, c := range r.Changes {
		m := MirrorChange{Place: cmp.Or(c.To, c.From), Before: first(c.from), After: first(c.to)}
		if m.Before == m.After {
			continue
		}
		i, ok := at[m]
		if !ok {
			i = len(r.Stage.Mirrors)
			at[m] = i
			r.Stage.Mirrors = append(r.Stage.Mirrors, m)
		}
		r.Stage.Mirrors[i].sum(c.Size)
	}
	slices.SortStableFunc(r.Stage.Mirrors, func(a, b MirrorChange) int { return cmp.Compare(b.rank(), a.rank()) })
	for i, u := range r.Unlocated {
		r.Unlocated[i].Effect = "its clients get: " + first(u.place)
	}
}
