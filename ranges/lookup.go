package ranges

import (
	"math/bits"
	"net/netip"
	"unsafe"
)

// The searched part of the table is a trie whose nodes differ in width. A
// node of width w splits its block of addresses into 2^w slots; neighbouring
// slots with the same content share one entry. Which slots begin a new entry
// is a bitmap, 64 slots a cell, and the number of ones up to a slot is the
// position of its entry: one load of the cell, one population count, one load
// of the entry, and no branch that depends on the address.
//
// All is in words of 4 bytes. A cell is the bitmap (2 words) and the position
// of the entry before its first (1). The entries of a node follow its cells:
//
//	leaf: the index of the place, 0 for none
//	node: bit 31 set; bit 30: it is the first that looks at the low half of an
//	      IPv6 address; bits 20-25: 64 minus its width; bits 0-19: where its
//	      cells begin
//
// A node takes its slot from the upper end of the bits that are left.
const (
	nodeBit    = 1 << 31
	lowBit     = 1 << 30
	restAt     = 20
	restMask   = 63
	offsetMask = 1<<20 - 1

	maxWidth   = 16
	slotsACell = 64
	cellWords  = 3
	wordSize   = 4
	trieAt     = headerSize + shortcutSize
)

func lookup(t string, addr netip.Addr) (Place, bool) {
	if !addr.IsValid() {
		return Place{}, false
	}
	hi, lo := halves(&addr)
	var e uint32
	key := hi
	if hi == 0 && lo>>32 == 0xffff { // IPv4, or mapped
		key, e = lo<<32, load32(t, atRoot4)
	} else {
		e, key = shortcut(t, hi)
	}
	for e&nodeBit != 0 {
		if e&lowBit != 0 {
			key = lo
		}
		rest := e >> restAt & restMask
		slot := key >> rest
		key <<= (64 - rest) & 63
		cell := trieAt + wordSize*(uint64(e&offsetMask)+slot/slotsACell*cellWords)
		starts := load64(t, cell) << (63 - slot%slotsACell)
		entry := uint64(load32(t, cell+8)) + uint64(bits.OnesCount64(starts))
		e = load32(t, trieAt+wordSize*entry)
	}
	if e == 0 {
		return Place{}, false
	}
	return placeAt(t, e), true
}

// halves reads the address as two numbers. The only way that netip offers,
// As16, costs as much as half of a lookup: its result is written in two parts
// and copied in one, which stalls the processor. TestHalves compares the two.
func halves(addr *netip.Addr) (hi, lo uint64) {
	h := (*[2]uint64)(unsafe.Pointer(addr))
	return h[0], h[1]
}

// widthOf is how many bits of the address a node takes.
func widthOf(e uint32) uint { return uint(64 - e>>restAt&restMask) }

// placeAt answers the place with an index above 0. Its name is a part of the
// table's own text, so nothing is allocated.
func placeAt(t string, index uint32) Place {
	p := load32(t, uint64(load32(t, atPlaces))+placeSize*uint64(index))
	name := t[load32(t, atText)+p&0xffff:]
	return Place{Cloud: Clouds[p>>24], Region: name[:p>>16&0xff]}
}

func load32(s string, at uint64) uint32 {
	s = s[at : at+4]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func load64(s string, at uint64) uint64 {
	s = s[at : at+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}
