package regions

import "math"

// Index finds the nearest of a set of regions. It is immutable and safe for
// concurrent use. The zero value is the empty set.
type Index struct {
	sites []site
}

// site is the point of one region as a unit vector from the centre of the Earth.
// The nearer of two points to a third has the larger dot product with it, so a
// lookup needs trigonometry for its own point only.
type site struct {
	x, y, z  float64
	position int
}

// NewIndex returns an index of rs and does not retain the slice. Regions that are
// not located, or have an invalid point, count as positions but are never nearest.
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

// Nearest returns the position of the region nearest to p, in the slice that the
// index was made from, without the region at position except; -1 excludes none. It
// returns -1 if no region is left or p is not valid.
//
// Of equally near regions, it returns the one with the lowest position. Distances
// that differ by less than a metre may count as equal or be ordered wrongly.
// Nearest does not allocate.
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

// vector returns the same vector for all coordinates of one point: a pole has any
// longitude, and the antimeridian has two. Otherwise rounding would order points
// that are equally near.
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
