package ranges

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// The searched part of the table is a multi-bit trie compressed with bitmaps, as
// in Poptrie (Asai and Ohara, SIGCOMM 2015), but with nodes of different widths.
// A node of width w splits its block of addresses into 2^w slots; neighbouring
// slots with the same content share one entry. A bitmap, 64 slots to a cell,
// marks the slots that begin a new entry, and the number of ones up to a slot is
// the position of its entry: one load of the cell, one population count and one
// load of the entry, without a branch that depends on the address. In front of
// the trie are an array for IPv4, indexed by the upper 16 bits of an address, and
// the shortcuts for IPv6.
//
// The trie is in words of 4 bytes. A cell is the bitmap (2 words) and the
// position of the entry before its first one (1 word). The entries of a node
// follow its cells. An entry is one of:
//
//	leaf: 0 for no place, or bits 0-15: the distance of the region's name from
//	      the end of the table; bits 16-23: the length of the name;
//	      bits 24-29: the code of the cloud
//	node: bit 31 set; bit 30: the first node in the low half of an IPv6 address;
//	      bits 20-25: 64 minus the width; bits 0-19: the position of its cells
//
// A node consumes the uppermost of the bits that are left.
const (
	lengthAt   = 16
	lengthMask = 0xff
	cloudAt    = 24
	cloudMask  = 63
	endMask    = 0xffff

	nodeBit    = 1 << 31
	lowBit     = 1 << 30
	restAt     = 20
	restMask   = 63
	offsetMask = 1<<20 - 1
	maxWidth   = 16

	slotsPerCell = 64
	cellWords    = 3
	wordSize     = 4
	directAt     = headerSize + shortcutSize
	directBits   = 16
	directSize   = wordSize << directBits
	trieAt       = directAt + directSize
)

func lookup(t string, addr netip.Addr) (Place, bool) {
	if !addr.IsValid() || t == "" {
		return Place{}, false
	}
	var e uint32
	var key, lo uint64
	if addr.Is4() || addr.Is4In6() {
		b := addr.As4()
		v := uint64(binary.BigEndian.Uint32(b[:]))
		e, key = load32(t, directAt+v>>(32-directBits)*wordSize), v<<(32+directBits)
	} else {
		// As16 would copy the result, which stalls the processor for half of the
		// time of a lookup. AsSlice does not allocate here, because b does not
		// escape; TestLookupDoesNotAllocate holds that.
		b := addr.AsSlice()
		lo = binary.BigEndian.Uint64(b[8:])
		e, key = shortcut(t, binary.BigEndian.Uint64(b))
	}
	for e&nodeBit != 0 {
		if e&lowBit != 0 {
			key = lo
		}
		rest := e >> restAt & restMask
		slot := key >> rest
		key <<= (64 - rest) & 63
		cell := trieAt + wordSize*(uint64(e&offsetMask)+slot/slotsPerCell*cellWords)
		starts := load64(t, cell) << (63 - slot%slotsPerCell)
		entry := uint64(load32(t, cell+8)) + uint64(bits.OnesCount64(starts))
		e = load32(t, trieAt+wordSize*entry)
	}
	if e == 0 {
		return Place{}, false
	}
	return placeAt(t, e), true
}

// widthOf returns the number of address bits that a node consumes.
func widthOf(e uint32) uint { return uint(64 - e>>restAt&restMask) }

// placeAt returns the place of a leaf other than 0. The name is a substring of
// the table, so nothing is allocated.
func placeAt(t string, leaf uint32) Place {
	return Place{Cloud: Clouds[leaf>>cloudAt&cloudMask], Region: nameAt(t, leaf)}
}

// nameAt returns the name that a leaf, or a value in its form, refers to.
func nameAt(t string, leaf uint32) string {
	begin := len(t) - int(leaf&endMask)
	return t[begin : begin+int(leaf>>lengthAt&lengthMask)]
}

// load32 and load64 panic outside of the table. Parse accepts no table for which
// a lookup can do that. The conversions to bytes copy nothing.
func load32(t string, at uint64) uint32 {
	return binary.LittleEndian.Uint32([]byte(t[at : at+4]))
}

func load64(t string, at uint64) uint64 {
	return binary.LittleEndian.Uint64([]byte(t[at : at+8]))
}
