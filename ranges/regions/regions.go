// Package regions is a table of cloud regions: where each one is, which
// partition it belongs to, and which of a set of regions is nearest to a point.
//
// The names are those the providers use in their published IP range documents,
// so that a region found by address can be looked up here unchanged. Places are
// those the providers publish, at city precision; the comment above each table
// says where its facts come from. A region that a document names but whose place
// its provider has not published is in the table without a location. Names that
// stand for no one place, such as AWS "GLOBAL", are not in the table at all.
//
// The tables are constant data. Everything in the package may be used from any
// number of goroutines at once.
package regions

import (
	"iter"
	"slices"
	"strings"
)

// Region is one region of one cloud.
type Region struct {
	// Cloud is "AWS", "GCP" or "Azure".
	Cloud string
	// Name is the region as the provider's IP range document spells it, which
	// for Azure is often not the name its command line uses.
	Name string
	// Partition is the AWS partition, such as "aws" or "aws-cn": credentials and
	// addresses of one are of no use in another. It is empty for other clouds.
	Partition string
	// Place is the city or area, as a person would recognise it; empty when
	// Located is false.
	Place string
	// Point is where Place is, to about a hundredth of a degree. It means
	// nothing when Located is false.
	Point Point
	// Located tells whether the provider has published where the region is.
	Located bool
}

// Find answers the region of cloud with that name, and whether there is one.
// Both are matched exactly, letter case included.
func Find(cloud, name string) (Region, bool) {
	t := table(cloud)
	i, ok := slices.BinarySearchFunc(t, name, func(r Region, name string) int {
		return strings.Compare(r.Name, name)
	})
	if !ok {
		return Region{}, false
	}
	return t[i], true
}

// All yields the regions of cloud in the order of their names, compared as
// bytes. It yields nothing for a cloud it does not know.
func All(cloud string) iter.Seq[Region] {
	return func(yield func(Region) bool) {
		for _, r := range table(cloud) {
			if !yield(r) {
				return
			}
		}
	}
}

func table(cloud string) []Region {
	switch cloud {
	case "AWS":
		return awsRegions[:]
	case "GCP":
		return googleRegions[:]
	case "Azure":
		return azureRegions[:]
	}
	return nil
}
