// Package worldmap draws the world map of a configuration as SVG: every AWS
// region joined to the mirror that serves its clients. The joins are decisions of
// package route, so the map cannot disagree with what clients get.
//
// The coastlines are Natural Earth's land polygons at 1:110 million, which are in
// the public domain. The picture has no scripts, fonts or links, and colours for
// light and dark backgrounds.
package worldmap

import (
	"archeio/lambda/config"
	"archeio/lambda/oci"
	"archeio/lambda/route"
	"archeio/ranges"
	"archeio/ranges/regions"
)

// The size of the map. It is an equirectangular projection of the latitudes from
// 80 degrees north to 56 degrees south.
const (
	Width  = 1000
	Height = (north - south) * scale

	north, south = 80, -56
	scale        = Width / 360.0
)

// Project returns where a point is on the map: x to the right, y down. Points far
// north or south are outside of it.
func Project(p regions.Point) (x, y float64) {
	return (p.Longitude + 180) * scale, (north - p.Latitude) * scale
}

// Region is an AWS region on the map.
type Region struct {
	regions.Region
	// Mirror is the region of the mirror that serves it, empty if it is served by
	// the default mirror or the upstream.
	Mirror string
	// Redirector reports whether a redirector function runs in it.
	Redirector bool
}

// Regions returns all AWS regions with a known location and the mirror of each, in
// the order of their names. Redirectors are the regions of the redirector
// functions.
func Regions(c *config.Config, redirectors []string) []Region {
	isRedirector := map[string]bool{}
	for _, name := range redirectors {
		isRedirector[name] = true
	}
	plan := route.New(c)
	var all []Region
	for r := range regions.All(string(ranges.AWS)) {
		if !r.Located {
			continue
		}
		d := plan.Decide(&route.Request{
			Path:  oci.Path{Kind: oci.Blob, Reference: anyDigest, Digest: true},
			Place: ranges.Place{Cloud: ranges.AWS, Region: r.Name},
		})
		at := Region{Region: r, Redirector: isRedirector[r.Name]}
		if first := d.Candidates()[0]; first.Target == route.Regional {
			at.Mirror = c.Mirrors[first.Mirror].Region
		}
		all = append(all, at)
	}
	return all
}

// anyDigest is a digest of the algorithm that mirrors hold.
const anyDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
