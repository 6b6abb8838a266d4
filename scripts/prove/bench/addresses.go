package main

import (
	"math"
	"math/rand/v2"
	"net/netip"

	"archeio/scripts/prove/bench/peers"
)

// addresses returns n different addresses in the table, each from a random range:
// ranges rather than addresses are drawn evenly, so that small ones count too.
func addresses(n int, from [][]peers.Block) []netip.Addr {
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
func draw(r *rand.Rand, one []peers.Block) netip.Prefix {
	sum := 0.0
	for _, x := range one {
		sum += math.Ldexp(1, -x.Prefix.Bits())
	}
	at := r.Float64() * sum
	for _, x := range one {
		if at -= math.Ldexp(1, -x.Prefix.Bits()); at < 0 {
			return x.Prefix
		}
	}
	return one[len(one)-1].Prefix
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
