package main

import (
	"math"
	"math/rand/v2"
	"net/netip"

	"archeio/ranges"
)

// block is a prefix and its place.
type block struct {
	prefix netip.Prefix
	place  ranges.Place
}

// blocks returns the fewest prefixes that cover each range of the table. They
// replace the documents of the cloud providers, which are not in the repository.
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

// addresses returns n different addresses in the table, each from a random range:
// ranges rather than addresses are drawn evenly, so that small ones count too.
func addresses(n int, from [][]block) []netip.Addr {
	r := rand.New(rand.NewPCG(1, 2))
	seen := make(map[netip.Addr]bool, n)
	out := make([]netip.Addr, 0, n)
	for len(out) < n {
		a := randomAddress(r, draw(r, from[r.IntN(len(from))]))
		if !seen[a] {
			seen[a] = true
			out = append(out, a)
		}
	}
	return out
}

// draw returns a prefix of a range, with its share of the range's addresses as
// the probability.
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

// randomAddress returns a random address in a prefix.
func randomAddress(r *rand.Rand, p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		if r.IntN(2) == 1 {
			b[i/8] |= 0x80 >> (i % 8)
		}
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// last returns the last address in a prefix.
func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
