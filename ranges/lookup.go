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
//	node: bit 31 set; bit 30: the slot is taken from the low half of an IPv6
//	      address; bits 24-29: shift; bits 20-23: width-1; bits 0-19: where
//	      its cells begin
const (
	nodeBit    = 1 << 31
	lowBit     = 1 << 30
	shiftAt    = 24
	widthAt    = 20
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
	if hi == 0 && lo>>32 == 0xffff { // IPv4, or mapped
		hi, e = lo<<32, load32(t, atRoot4)
	} else {
		e = shortcut(t, hi, load32(t, atRoot6))
	}
	for e&nodeBit != 0 {
		key := hi
		if e&lowBit != 0 {
			key = lo
		}
		slot := key >> (e >> shiftAt & 63) & (1<<(e>>widthAt&15+1) - 1)
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
