package ranges

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// oracle looks at every prefix and keeps the longest match: slow and obviously
// correct.
type oracle []Prefix

func (o oracle) Lookup(a netip.Addr) (Place, bool) {
	a = a.Unmap().WithZone("")
	best := -1
	for i, p := range o {
		if p.Prefix.Contains(a) && (best < 0 || p.Prefix.Bits() > o[best].Prefix.Bits()) {
			best = i
		}
	}
	if best < 0 {
		return Place{}, false
	}
	return o[best].Place, true
}

// edges returns the first and last address of a prefix and their neighbours outside.
func edges(p netip.Prefix) []netip.Addr {
	last := lastOf(p)
	out := []netip.Addr{p.Addr(), last}
	for _, a := range []netip.Addr{p.Addr().Prev(), last.Next()} {
		if a.IsValid() {
			out = append(out, a)
		}
	}
	return out
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// randomPrefixes returns distinct prefixes, many of them nested in others, down to
// single addresses.
func randomPrefixes(r *rand.Rand, n int) []Prefix {
	places := []Place{{AWS, "GLOBAL"}, {AWS, "eu-west-3"}, {AWS, "us-east-1"}, {GCP, "europe-west9"}, {Azure, "westeurope"}}
	seen := map[netip.Prefix]bool{}
	var out []Prefix
	for len(out) < n {
		var p netip.Prefix
		switch {
		case len(out) > 0 && r.IntN(3) > 0: // inside another
			outer := out[r.IntN(len(out))].Prefix
			a := outer.Addr().AsSlice()
			for i := outer.Bits(); i < len(a)*8; i++ {
				if r.IntN(2) == 0 {
					a[i/8] |= 0x80 >> (i % 8)
				}
			}
			addr, _ := netip.AddrFromSlice(a)
			p = netip.PrefixFrom(addr, outer.Bits()+r.IntN(outer.Addr().BitLen()-outer.Bits()+1))
		case r.IntN(2) == 0:
			p = netip.PrefixFrom(randomAddr(r, 4), r.IntN(33))
		default:
			p = netip.PrefixFrom(randomAddr(r, 16), r.IntN(129))
		}
		// Addresses in ::ffff:0:0/96 are looked up as IPv4.
		if p = p.Masked(); seen[p] || p.Overlaps(netip.MustParsePrefix("::ffff:0:0/96")) {
			continue
		}
		seen[p] = true
		out = append(out, Prefix{p, places[r.IntN(len(places))]})
	}
	return out
}

func randomAddr(r *rand.Rand, size int) netip.Addr {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// walk is Lookup through the trie alone, without shortcuts.
func (t Table) walk(addr netip.Addr) (Place, bool) {
	u := uint128Of(addr.Unmap())
	e, key := load32(t.data, atRoot6), u.hi
	if addr.Unmap().Is4() {
		e, key = t.direct(u.hi>>(64-directBits)), u.hi<<directBits
	}
	for e&nodeBit != 0 {
		if e&lowBit != 0 {
			key = u.lo
		}
		e, key = t.word(t.position(e, key>>(64-widthOf(e)))), key<<widthOf(e)
	}
	if e == 0 {
		return Place{}, false
	}
	return placeAt(t.data, e), true
}

func TestShortcutsAgreeWithTrie(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(10, 11))
	small, err := Compile(randomPrefixes(r, 100), nil)
	if err != nil {
		t.Fatal(err)
	}
	addrs := slices.Clone(hits()[:100_000])
	for range 100_000 {
		addrs = append(addrs, randomAddr(r, 4), randomAddr(r, 16))
	}
	for _, table := range []Table{Embedded(), small} {
		for _, a := range addrs {
			got, ok := table.Lookup(a)
			if want, wantOK := table.walk(a); got != want || ok != wantOK {
				t.Fatalf("Lookup(%s) = %+v, %v, want %+v, %v", a, got, ok, want, wantOK)
			}
		}
	}
}
