package route

import (
	"archeio/lambda/oci"
	"archeio/ranges"
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
