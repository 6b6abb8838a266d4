package route

import (
	"slices"

	"archeio/lambda/config"
	"archeio/lambda/oci"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// anyDigest is one that every mirror may have.
const anyDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"

// First returns where blobs come from first for a client at a place, for a reader:
// "mirror us-east-1", "default mirror" or "upstream". The client sends neither
// Authorization nor a position. noDistribution is as in Request.
func (p *Planner) First(place ranges.Place, noDistribution bool) string {
	blob := oci.Path{Kind: oci.Blob, Name: "a", Reference: anyDigest, Digest: true}
	d := p.Decide(&Request{Path: blob, Place: place, NoDistribution: noDistribution})
	first := d.Candidates()[0]
	if first.Target == Regional {
		return "mirror " + p.config.Mirrors[first.Mirror].Region
	}
	return first.Target.String()
}

// First returns a function that returns where blobs come from first for a client at a
// place, which reaches the nearest of some redirectors. There must be at least one.
// noDistribution is as in Request.
func First(redirectors []*config.Config, noDistribution bool) func(ranges.Place) string {
	planners := make([]*Planner, len(redirectors))
	at := make([]regions.Region, len(redirectors))
	for i, c := range redirectors {
		planners[i] = New(c)
		at[i], _ = regions.Find(string(ranges.AWS), c.Region)
	}
	nearest := regions.NewIndex(at)
	return func(place ranges.Place) string {
		if here, ok := regions.Find(string(place.Cloud), place.Region); ok && here.Located {
			return planners[max(0, nearest.Nearest(here.Point, -1))].First(place, noDistribution)
		}
		// The redirector that the client reaches is unknown.
		var all []string
		for _, p := range planners {
			if first := p.First(place, noDistribution); !slices.Contains(all, first) {
				all = append(all, first)
			}
		}
		if len(all) > 1 {
			return "mirror of the nearest redirector"
		}
		return all[0]
	}
}
