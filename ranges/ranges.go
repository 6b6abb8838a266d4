// Package ranges tells in which cloud and region an IP address is.
//
// The answer comes from the address lists that AWS, Google and Azure publish.
// They are compiled by the program in compile/ into one table, table.bin,
// which is embedded in the binary as it is and searched in place: nothing is
// parsed, copied or allocated, neither at start-up nor by a question.
//
// Where published prefixes are nested the longest one counts, so a regional
// prefix inside a global one is answered with its region.
//
// Everything here is safe for concurrent use.
package ranges

import (
	_ "embed"
	"iter"
	"net/netip"
)

// Cloud is a provider whose addresses are known. The zero value is none.
type Cloud string

// The clouds of the table, in the order in which they win: should two
// documents claim the same prefix, the later one has it.
const (
	AWS   Cloud = "AWS"
	GCP   Cloud = "GCP"
	Azure Cloud = "Azure"
)

// Clouds lists every cloud, in the order of their rank.
var Clouds = [...]Cloud{AWS, GCP, Azure}

// Place is where an address belongs. The zero value is unknown.
type Place struct {
	Cloud Cloud
	// Region is spelled as in the provider's document: "eu-west-3",
	// "europe-west9", "westeurope"; "GLOBAL" (AWS) and "global" (Google) are
	// addresses that belong to no region.
	Region string
}

// Range is a run of addresses of one place, both ends included. It may span
// several published prefixes of that place.
type Range struct {
	First, Last netip.Addr
	Place       Place
}

//go:embed table.bin
var embedded string

// Lookup answers the place of an address: false if no provider claims it or
// the address is not valid. An IPv4 address mapped into IPv6 is looked up as
// IPv4; a zone is ignored. It does not allocate.
func Lookup(addr netip.Addr) (Place, bool) {
	return lookup(embedded, addr)
}

// All goes through the ranges of the table in the order of their addresses,
// IPv4 first. Neighbours of one place are one range.
func All() iter.Seq[Range] {
	return Table{embedded}.All()
}

// Sources tells which documents the table was compiled from.
func Sources() []Source {
	return Table{embedded}.Sources()
}

// Places lists every place that the table can answer.
func Places() []Place {
	return Table{embedded}.Places()
}

// Check verifies the embedded table, checksum first. Lookup trusts the table,
// because checking it would be work at start-up; tests and the commands that
// people run call this instead.
func Check() error {
	_, err := Parse([]byte(embedded))
	return err
}
