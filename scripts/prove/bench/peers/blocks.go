package peers

import (
	"net/netip"
	"sync"

	"archeio/ranges"
)

// Block is a prefix and its place.
type Block struct {
	Prefix netip.Prefix
	Place  ranges.Place
}

// Blocks returns, for each range of the embedded table, the fewest prefixes that cover
// it. They replace the documents of the cloud providers, which are not in the
// repository. The caller must not change them.
var Blocks = sync.OnceValue(blocks)

func blocks() [][]Block {
	var all [][]Block
	for x := range ranges.All() {
		var one []Block
		for a := x.First; ; {
			p := netip.PrefixFrom(a, a.BitLen())
			for p.Bits() > 0 {
				wider := netip.PrefixFrom(a, p.Bits()-1)
				if wider.Masked().Addr() != a || x.Last.Less(last(wider)) {
					break
				}
				p = wider
			}
			one = append(one, Block{p, x.Place})
			if last(p) == x.Last {
				break
			}
			a = last(p).Next()
		}
		all = append(all, one)
	}
	return all
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
