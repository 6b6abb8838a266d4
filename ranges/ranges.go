// Package ranges maps an IP address to the cloud and region that it belongs to.
//
// The data are the address lists that the clouds in Clouds publish. Package
// ranges/compile turns them into one table, table.bin, which is embedded in the
// binary and searched in place: nothing is parsed, copied or allocated, neither
// at start-up nor by a lookup. A table from elsewhere must go through [Parse].
//
// Where published prefixes are nested, the longest match wins, so an address
// under a regional prefix inside a global one gets the region.
//
// Everything in this package is safe for concurrent use.
package ranges

import (
	_ "embed"
	"iter"
	"net/netip"
	"slices"
	"time"
)

// Cloud is a provider with published addresses. The zero value is no cloud.
type Cloud string

// The clouds of the embedded table.
const (
	AWS   Cloud = "AWS"
	GCP   Cloud = "GCP"
	Azure Cloud = "Azure"
	OCI   Cloud = "OCI" // Oracle Cloud Infrastructure
)

// Clouds lists every cloud in order of precedence: if two documents claim the
// same prefix, the later cloud wins. The position in this list is also the
// cloud's code in a table, so new clouds are appended. A new cloud also needs a
// reader, which is a row of compile.Providers, and its regions in package regions.
// Everything else follows from this list.
var Clouds = [...]Cloud{AWS, GCP, Azure, OCI}

// code returns the cloud's code in a table, -1 for an unknown cloud.
func (c Cloud) code() int { return slices.Index(Clouds[:], c) }

// Place is the cloud and region of an address. The zero value is unknown.
type Place struct {
	Cloud Cloud
	// Region is spelled as in the provider's document: "eu-west-3",
	// "europe-west9", "westeurope". "GLOBAL" (AWS) and "global" (Google) mark
	// addresses that belong to no region.
	Region string
}

// maxRegionLength is that of a DNS label.
const maxRegionLength = 63

// Valid reports whether the cloud is known and the region is 1 to 63 letters,
// digits and hyphens that do not start with a hyphen. All providers keep
// to this, and it makes a region safe to print in logs, metrics and headers.
func (p Place) Valid() bool {
	if p.Cloud.code() < 0 || p.Region == "" || len(p.Region) > maxRegionLength || p.Region[0] == '-' {
		return false
	}
	for _, b := range []byte(p.Region) {
		if letter := b|0x20 >= 'a' && b|0x20 <= 'z'; !letter && (b < '0' || b > '9') && b != '-' {
			return false
		}
	}
	return true
}

// String returns cloud and region, as "AWS eu-west-3", or "" for the zero value.
func (p Place) String() string {
	if p == (Place{}) {
		return ""
	}
	return string(p.Cloud) + " " + p.Region
}

// Range is a run of addresses in one place, both ends included. It may span
// several published prefixes.
type Range struct {
	First, Last netip.Addr
	Place       Place
}

//go:embed table.bin
var embedded string

// Embedded returns the embedded table.
func Embedded() Table { return Table{embedded} }

// Lookup returns the place of an address in the embedded table. It returns false
// if no provider claims the address or the address is not valid. An IPv4-mapped
// IPv6 address is looked up as IPv4; a zone is ignored. It does not allocate.
func Lookup(addr netip.Addr) (Place, bool) { return lookup(embedded, addr) }

// All returns the ranges of the embedded table, see [Table.All].
func All() iter.Seq[Range] { return Embedded().All() }

// Sources returns the documents that the embedded table was compiled from.
func Sources() []Source { return Embedded().Sources() }

// Date returns the date of the embedded table, see [Table.Date].
func Date() time.Time { return Embedded().Date() }

// Places returns every place in the embedded table, see [Table.Places].
func Places() []Place { return Embedded().Places() }

// Check validates the embedded table as [Parse] does. Lookup does not, because
// that would be work at start-up; tests and commands call this instead. A lookup
// in a damaged table may return a wrong place or panic; it cannot read outside
// of the table.
func Check() error {
	_, err := Parse([]byte(embedded))
	return err
}
