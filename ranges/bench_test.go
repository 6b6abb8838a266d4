package ranges

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"

	"github.com/gaissmai/bart"
)

// hits are a million distinct random addresses in the table: a random range, then
// a random address in it. Every range has the same weight, so that small and
// nested ones count.
var hits = sync.OnceValue(func() []netip.Addr {
	r := rand.New(rand.NewPCG(1, 2))
	var all []Range
	for x := range All() {
		all = append(all, x)
	}
	seen := make(map[netip.Addr]bool, 1<<20)
	out := make([]netip.Addr, 0, 1e6)
	for len(out) < 1e6 {
		a := randomIn(r, all[r.IntN(len(all))])
		if !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	return out
})

func randomIn(r *rand.Rand, x Range) netip.Addr {
	first, last := uint128Of(x.First), uint128Of(x.Last)
	span := uint128{last.hi - first.hi, last.lo - first.lo}
	if last.lo < first.lo {
		span.hi--
	}
	var at uint128
	switch {
	case span.hi == ^uint64(0):
		at.hi = r.Uint64()
	default:
		at.hi = r.Uint64N(span.hi + 1)
	}
	if at.hi == span.hi && span.lo != ^uint64(0) {
		at.lo = r.Uint64N(span.lo + 1)
	} else {
		at.lo = r.Uint64()
	}
	if x.First.Is4() {
		return uint128{hi: first.hi + at.hi>>32<<32}.addr(32)
	}
	sum := uint128{first.hi + at.hi, first.lo + at.lo}
	if sum.lo < at.lo {
		sum.hi++
	}
	return sum.addr(128)
}

func BenchmarkLookup(b *testing.B) {
	table, fast := new(bart.Table[Place]), new(bart.Fast[Place])
	for _, p := range published(b) {
		table.Insert(p.Prefix, p.Place)
		fast.Insert(p.Prefix, p.Place)
	}
	b.Run("archeio", func(b *testing.B) { benchmark(b, Lookup) })
	b.Run("bart-table", func(b *testing.B) { benchmark(b, table.Lookup) })
	b.Run("bart-fast", func(b *testing.B) { benchmark(b, fast.Lookup) })
}

func benchmark(b *testing.B, lookup func(netip.Addr) (Place, bool)) {
	addrs := hits()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := lookup(addrs[i]); !ok {
			b.Fatalf("Lookup(%s) found nothing", addrs[i])
		}
		if i++; i == len(addrs) {
			i = 0
		}
	}
}

// published returns the fewest prefixes that cover the ranges of the table. They
// stand in for the providers' documents, which are not part of the project.
func published(tb testing.TB) []Prefix {
	tb.Helper()
	var out []Prefix
	for x := range All() {
		for a := x.First; ; {
			p := netip.PrefixFrom(a, a.BitLen())
			for p.Bits() > 0 {
				wider := netip.PrefixFrom(a, p.Bits()-1)
				if wider.Masked().Addr() != a || x.Last.Less(lastOf(wider)) {
					break
				}
				p = wider
			}
			out = append(out, Prefix{p, x.Place})
			if a = lastOf(p).Next(); lastOf(p) == x.Last {
				break
			}
		}
	}
	return out
}
