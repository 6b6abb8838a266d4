package regions

import "math"

// Index is a set of regions prepared for the question which of them is nearest
// to a point. It does not change once made and may be used from any number of
// goroutines at once. The zero Index is the empty set.
type Index struct {
	sites []site
}

// site is the place of one region as a vector of length 1 from the centre of
// the Earth. Of two places the nearer to a third is the one whose vector has the
// larger dot product with the third's, so a question needs trigonometry only
// for the point it asks about.
type site struct {
	x, y, z  float64
	position int
}

// NewIndex answers an index of rs, which it does not keep. Regions that are not
// located, or whose point is not valid, keep their positions but are never
// answered.
func NewIndex(rs []Region) *Index {
	x := &Index{sites: make([]site, 0, len(rs))}
	for i, r := range rs {
		if r.Located && r.Point.Valid() {
			s := vector(r.Point)
			s.position = i
			x.sites = append(x.sites, s)
		}
	}
	return x
}

// Nearest answers the position, in the slice the index was made from, of the
// region nearest to p. It leaves out the region at position except; -1 leaves
// out none. If there is no region to answer, or p is not valid, it answers -1.
//
// Of regions equally near it answers the one with the lowest position. Two
// distances that differ by less than a metre may count as equal or be taken in
// the wrong order. Nearest does not allocate.
func (x *Index) Nearest(p Point, except int) int {
	if !p.Valid() {
		return -1
	}
	v := vector(p)
	nearest, best := -1, math.Inf(-1)
	for i := range x.sites {
		s := &x.sites[i]
		if s.position == except {
			continue
		}
		if dot := v.x*s.x + v.y*s.y + v.z*s.z; dot > best {
			nearest, best = s.position, dot
		}
	}
	return nearest
}

// vector answers the same vector for every spelling of one place: a pole has
// any longitude, and the antimeridian two. Otherwise rounding would break ties
// between them.
func vector(p Point) site {
	switch {
	case p.Latitude == 90:
		return site{z: 1}
	case p.Latitude == -90:
		return site{z: -1}
	case p.Longitude == -180:
		p.Longitude = 180
	}
	sinLat, cosLat := math.Sincos(p.Latitude * radiansPerDegree)
	sinLon, cosLon := math.Sincos(p.Longitude * radiansPerDegree)
	return site{x: cosLat * cosLon, y: cosLat * sinLon, z: sinLat}
}
