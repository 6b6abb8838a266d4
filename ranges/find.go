package ranges

import (
	"math/bits"
	"net/netip"
)

// Find returns the range that an address is in, as [Table.All] yields it, and reports
// whether there is one. It takes a lookup for each block of the table that the range
// consists of.
func (t Table) Find(addr netip.Addr) (Range, bool) {
	if !addr.IsValid() || t.data == "" {
		return Range{}, false
	}
	addr = addr.Unmap().WithZone("")
	size := addr.BitLen()
	first, last, leaf := t.block(uint128Of(addr), size)
	if leaf == 0 {
		return Range{}, false
	}
	for first != (uint128{}) {
		before, _, other := t.block(first.minusOne(), size)
		if other != leaf {
			break
		}
		first = before
	}
	for last != (uint128{^uint64(0), ^uint64(0)}) {
		_, after, other := t.block(last.plusOne(), size)
		if other != leaf {
			break
		}
		last = after
	}
	return Range{First: first.addr(size), Last: last.addr(size), Place: placeAt(t.data, leaf)}, true
}

// block returns the block of addresses around one that the trie has one leaf for.
func (t Table) block(at uint128, size int) (first, last uint128, leaf uint32) {
	e, top, low := load32(t.data, atRoot6), uint(64), false
	if size == 32 {
		e, top = t.direct(at.hi>>(64-directBits)), 64-directBits
	}
	for e&nodeBit != 0 {
		if e&lowBit != 0 && !low {
			low, top = true, 64
		}
		key := at.hi
		if low {
			key = at.lo
		}
		top -= widthOf(e)
		e = t.word(t.position(e, key>>top&(1<<widthOf(e)-1)))
	}
	return at.truncate(top, low), at.fill(top, low), e
}

func (u uint128) plusOne() uint128 {
	lo, carry := bits.Add64(u.lo, 1, 0)
	return uint128{u.hi + carry, lo}
}
