package compile

import (
	"net/netip"
	"slices"

	"archeio/ranges"
)

// move is a run of addresses with another place; the zero place is none.
type move struct {
	first, last netip.Addr
	from, to    ranges.Place
}

// differences compares two lists of ranges, each ordered and without overlaps.
func differences(before, after []ranges.Range) []move {
	before, after = slices.Clone(before), slices.Clone(after)
	var moves []move
	for len(before) > 0 || len(after) > 0 {
		var first, last netip.Addr
		var from, to ranges.Place
		switch {
		case len(after) == 0 || len(before) > 0 && before[0].First.Less(after[0].First):
			first, last, from = before[0].First, before[0].Last, before[0].Place
			if len(after) > 0 && !last.Less(after[0].First) {
				last = after[0].First.Prev()
			}
		case len(before) == 0 || after[0].First.Less(before[0].First):
			first, last, to = after[0].First, after[0].Last, after[0].Place
			if len(before) > 0 && !last.Less(before[0].First) {
				last = before[0].First.Prev()
			}
		default:
			first, last = before[0].First, before[0].Last
			if after[0].Last.Less(last) {
				last = after[0].Last
			}
			from, to = before[0].Place, after[0].Place
		}
		if from != to {
			moves = append(moves, move{first, last, from, to})
		}
		before, after = trim(before, last), trim(after, last)
	}
	return moves
}

// trim removes the addresses up to last. It may change the first element.
func trim(list []ranges.Range, last netip.Addr) []ranges.Range {
	switch {
	case len(list) == 0 || last.Less(list[0].First):
		return list
	case !last.Less(list[0].Last):
		return list[1:]
	}
	list[0].First = last.Next()
	return list
}

// prefixesOf returns the fewest prefixes that cover a range.
func prefixesOf(first, last netip.Addr) []netip.Prefix {
	var out []netip.Prefix
	for {
		bits := first.BitLen()
		p := netip.PrefixFrom(first, bits)
		for bits > 0 {
			wider := netip.PrefixFrom(first, bits-1)
			if wider.Masked().Addr() != first || last.Less(lastOf(wider)) {
				break
			}
			bits, p = bits-1, wider
		}
		out = append(out, p)
		end := lastOf(p)
		if !end.Less(last) {
			return out
		}
		first = end.Next()
	}
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}
