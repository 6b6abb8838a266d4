// Package regions is a table of cloud regions: where each region is, which
// partition it belongs to, and which region of a set is nearest to a point.
//
// The names are those of the providers' IP range documents, so that the region of
// an address can be looked up unchanged. Places are those that the providers
// publish, with the precision of a city; the comment at each table gives the
// sources. A region in a document without a published place is in the table, but
// not located. Names that stand for no single place, such as AWS "GLOBAL", are not
// in the table.
//
// The tables are constant data. Everything in this package is safe for concurrent
// use.
package regions

import (
	"iter"
	"slices"
	"strings"
)

// Region is a region of a cloud.
type Region struct {
	// Name is the region as it is spelled in the provider's IP range document. For
	// Azure that is often not the name in its command line.
	Name string
	// Partition is the AWS partition, such as "aws" or "aws-cn". Credentials and
	// endpoints of one partition are not valid in another. It is empty for other
	// clouds.
	Partition string
	// Place is the city or area; empty if Located is false.
	Place string
	// Point is where Place is, to about a hundredth of a degree. It has no meaning
	// if Located is false.
	Point Point
	// Located reports whether the provider has published where the region is.
	Located bool
}

// Find returns the region of a cloud with a name and reports whether there is
// one. Clouds are named as in ranges.Clouds. Case matters in both.
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

// All returns the regions of a cloud, sorted by name. An unknown cloud has none.
func All(cloud string) iter.Seq[Region] {
	return func(yield func(Region) bool) {
		for _, r := range table(cloud) {
			if !yield(r) {
				return
			}
		}
	}
}

// tables has the regions of each cloud. The names of the clouds are those of
// ranges.Clouds; a test compares them.
var tables = [...]struct {
	cloud   string
	regions []Region
}{
	{"AWS", awsRegions[:]},
	{"GCP", googleRegions[:]},
	{"Azure", azureRegions[:]},
	{"OCI", oracleRegions[:]},
}

func table(cloud string) []Region {
	for i := range tables {
		if tables[i].cloud == cloud {
			return tables[i].regions
		}
	}
	return nil
}
