package compile

import (
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"strings"

	"archeio/ranges"
)

// Size is a part of the address space. IPv4 is in addresses. IPv6 is in networks
// of /64, in fractions of one for longer prefixes.
type Size struct {
	IPv4 float64 `json:"ipv4_addresses"`
	IPv6 float64 `json:"ipv6_networks"`
}

// String returns what is not zero, for example "256 IPv4 addresses".
func (s Size) String() string {
	var parts []string
	if s.IPv4 > 0 {
		parts = append(parts, unit(s.IPv4, "IPv4 address", "IPv4 addresses"))
	}
	if s.IPv6 > 0 {
		parts = append(parts, unit(s.IPv6, "IPv6 /64", "IPv6 /64s"))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

func unit(v float64, one, many string) string {
	if v == 1 {
		return "1 " + one
	}
	return count(v) + " " + many
}

// short returns the size for a cell of a table.
func (s Size) short() string {
	var parts []string
	if s.IPv4 > 0 {
		parts = append(parts, count(s.IPv4))
	}
	if s.IPv6 > 0 {
		parts = append(parts, count(s.IPv6)+" /64s")
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// rank makes both families comparable: one IPv4 address counts as an IPv6 network of
// /48, which is what a site gets (RFC 6177).
func (s Size) rank() float64 { return s.IPv4 + s.IPv6/(1<<16) }

func (s *Size) sum(more Size) {
	s.IPv4 += more.IPv4
	s.IPv6 += more.IPv6
}

func (s *Size) add(first, last netip.Addr) {
	n := new(big.Int).Sub(number(last), number(first))
	f, _ := new(big.Float).SetInt(n.Add(n, big.NewInt(1))).Float64()
	if first.Is4() {
		s.IPv4 += f
	} else {
		s.IPv6 += math.Ldexp(f, -64)
	}
}

func number(a netip.Addr) *big.Int { return new(big.Int).SetBytes(a.AsSlice()) }

// coverage returns the clouds of a table.
func coverage(t ranges.Table) map[ranges.Cloud]Coverage {
	all := map[ranges.Cloud]Coverage{}
	for _, s := range t.Sources() {
		all[s.Cloud] = Coverage{Version: s.Version, Date: s.Date, Prefixes: s.Prefixes}
	}
	for x := range t.All() {
		c := all[x.Place.Cloud]
		c.add(x.First, x.Last)
		all[x.Place.Cloud] = c
	}
	return all
}

// count returns a number with separators; "<1" between 0 and 1.
func count(v float64) string {
	switch {
	case v < 1 && v > 0:
		return "<1"
	case v >= 1e12:
		return fmt.Sprintf("%.3g", v)
	}
	digits := fmt.Sprintf("%.0f", math.Floor(v))
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
