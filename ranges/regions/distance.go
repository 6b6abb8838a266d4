package regions

import "math"

// earthRadius is the mean radius (2a+b)/3 of the GRS 80 ellipsoid, in
// kilometres, as the IUGG defines it.
const earthRadius = 6371.0088

const radiansPerDegree = math.Pi / 180

// Point is a position on the Earth's surface in degrees, north and east positive.
type Point struct{ Latitude, Longitude float64 }

// Valid reports whether both coordinates are finite, the latitude is from -90 to
// 90 and the longitude from -180 to 180, ends included.
func (p Point) Valid() bool {
	// A NaN fails both comparisons, an infinity one of them.
	return math.Abs(p.Latitude) <= 90 && math.Abs(p.Longitude) <= 180
}

// Distance returns the great-circle distance between a and b in kilometres, on a
// sphere with the Earth's mean radius. The distance on the ellipsoid may differ by
// up to about 0.5%.
//
// Distance(a, b) equals Distance(b, a). It is +Inf if a coordinate is not finite,
// and never NaN.
func Distance(a, b Point) float64 {
	sinLat := math.Sin((b.Latitude - a.Latitude) / 2 * radiansPerDegree)
	sinLon := math.Sin((b.Longitude - a.Longitude) / 2 * radiansPerDegree)
	cosines := math.Cos(a.Latitude*radiansPerDegree) * math.Cos(b.Latitude*radiansPerDegree)
	h := sinLat*sinLat + cosines*(sinLon*sinLon)
	if math.IsNaN(h) {
		return math.Inf(1)
	}
	// Rounding can put h just outside the domain of the root and the arcsine for
	// antipodes, and a latitude past a pole can put it well outside.
	h = min(max(h, 0), 1)
	return 2 * earthRadius * math.Asin(math.Sqrt(h))
}
