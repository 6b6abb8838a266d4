package main

import (
	"math"
	"math/rand/v2"
	"net/netip"

	"archeio/ranges"
)

// block is a prefix and the place that it belongs to.
type block struct {
	prefix netip.Prefix
	place  ranges.Place
}

// blocks are the fewest prefixes that cover each range of the table. They
// stand in for the providers' documents, which are no part of the project.
func blocks() [][]block {
	var all [][]block
	for x := range ranges.All() {
		var one []block
		for a := x.First; ; {
			p := netip.PrefixFrom(a, a.BitLen())
			for p.Bits() > 0 {
				wider := netip.PrefixFrom(a, p.Bits()-1)
				if wider.Masked().Addr() != a || x.Last.Less(last(wider)) {
					break
				}
				p = wider
			}
			one = append(one, block{p, x.Place})
			if last(p) == x.Last {
				break
			}
			a = last(p).Next()
		}
		all = append(all, one)
	}
	return all
}

// addresses are n different ones that the table knows: a range at random,
// then an address in it. Ranges rather than addresses are drawn evenly, so
// that small ones count.
func addresses(n int, from [][]block) []netip.Addr {
	r := rand.New(rand.NewPCG(1, 2))
	seen := make(map[netip.Addr]bool, n)
	out := make([]netip.Addr, 0, n)
	for len(out) < n {
		a := within(r, draw(r, from[r.IntN(len(from))]))
		if !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	return out
}

// draw picks a prefix of a range by its share of the range's addresses.
func draw(r *rand.Rand, one []block) netip.Prefix {
	sum := 0.0
	for _, x := range one {
		sum += math.Ldexp(1, -x.prefix.Bits())
	}
	at := r.Float64() * sum
	for _, x := range one {
		if at -= math.Ldexp(1, -x.prefix.Bits()); at < 0 {
			return x.prefix
		}
	}
	return one[len(one)-1].prefix
}

// within is a random address of a prefix.
func within(r *rand.Rand, p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		if r.IntN(2) == 1 {
			b[i/8] |= 0x80 >> (i % 8)
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
