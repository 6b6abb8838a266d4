package ranges

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"unsafe"
)

// The searched part of the table is a trie whose nodes differ in width. A
// node of width w splits its block of addresses into 2^w slots; neighbouring
// slots with the same content share one entry. Which slots begin a new entry
// is a bitmap, 64 slots a cell, and the number of ones up to a slot is the
// position of its entry: one load of the cell, one population count, one load
// of the entry, and no branch that depends on the address. Above it stand an
// array for IPv4, whose upper 16 bits lead to an entry by one load, and the
// shortcuts for IPv6.
//
// All is in words of 4 bytes. A cell is the bitmap (2 words) and the position
// of the entry before its first (1). The entries of a node follow its cells:
//
//	leaf: the place, 0 for none: bits 0-15: how far before the table's end its
//	      name begins; bits 16-23: the name's length; bits 24-25: the cloud
//	node: bit 31 set; bit 30: it is the first that looks at the low half of an
//	      IPv6 address; bits 20-25: 64 minus its width; bits 0-19: where its
//	      cells begin
//
// A node takes its slot from the upper end of the bits that are left.
const (
	lengthAt   = 16
	cloudAt    = 24
	cloudMask  = 3
	nodeBit    = 1 << 31
	lowBit     = 1 << 30
	restAt     = 20
	restMask   = 63
	offsetMask = 1<<20 - 1

	maxWidth   = 16
	slotsACell = 64
	cellWords  = 3
	wordSize   = 4
	directAt   = headerSize + shortcutSize
	directBits = 16
	directSize = wordSize << directBits
	trieAt     = directAt + directSize
)

func lookup(t string, addr netip.Addr) (Place, bool) {
	if !addr.IsValid() {
		return Place{}, false
	}
	hi, lo := halves(&addr)
	var e uint32
	key := hi
	if hi == 0 && lo>>32 == 0xffff { // IPv4, or mapped
		key, e = lo<<(32+directBits), word32(t, directAt+lo>>(32-directBits)&(1<<directBits-1)*wordSize)
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
		starts := word64(t, cell) << (63 - slot%slotsACell)
		entry := uint64(word32(t, cell+8)) + uint64(bits.OnesCount64(starts))
		e = word32(t, trieAt+wordSize*entry)
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

// placeAt answers the place of a leaf that is not 0, or of what has its form. Its
// name is a part of the table's own text, so nothing is allocated; as with word32,
// Parse has seen that it lies inside.
func placeAt(t string, leaf uint32) Place {
	name := unsafe.Add(unsafe.Pointer(unsafe.StringData(t)), len(t)-int(leaf&0xffff))
	return Place{Cloud: cloudOf[leaf>>cloudAt&cloudMask], Region: unsafe.String((*byte)(name), int(leaf>>lengthAt&0xff))}
}

// cloudOf has as many elements as a leaf can name, so that no index needs a check.
var cloudOf = [cloudMask + 1]Cloud{AWS, GCP, Azure}

// word32 and word64 read a table without asking whether the offset lies inside of
// it, which costs a sixth of a lookup. Parse has followed every offset that a
// lookup can, and TestLookupStaysInside does it again with loads that ask. The
// embedded table is not parsed at start; TestEmbeddedTableIsSound parses it.
func word32(t string, at uint64) uint32 {
	return binary.LittleEndian.Uint32((*[4]byte)(unsafe.Add(unsafe.Pointer(unsafe.StringData(t)), at))[:])
}

func word64(t string, at uint64) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(unsafe.Pointer(unsafe.StringData(t)), at))[:])
}

// load32 and load64 panic where an offset lies outside.
func load32(s string, at uint64) uint32 {
	s = s[at : at+4]
	return uint32(s[0]) | uint32(s[1])<<8 | uint32(s[2])<<16 | uint32(s[3])<<24
}

func load64(s string, at uint64) uint64 {
	return uint64(load32(s, at)) | uint64(load32(s, at+4))<<32
}
