package ranges

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
)

// maxDate is 9999-12-31T23:59:59Z, the last that RFC 3339 can express, in seconds
// since 1970.
const maxDate = 253402300799

// checkHeader validates size, version and checksum of a table.
func checkHeader(data []byte) error {
	switch {
	case len(data) > MaxSize:
		return fmt.Errorf("%d bytes exceed the limit of %d", len(data), MaxSize)
	case len(data) < headerSize:
		return fmt.Errorf("%d bytes are less than a header", len(data))
	case string(data[:len(magic)]) != magic:
		return fmt.Errorf("starts with %q, want %q", data[:len(magic)], magic)
	}
	if got, want := checksum(data), binary.LittleEndian.Uint32(data[atChecksum:]); got != want {
		return fmt.Errorf("checksum is %08x, want %08x as in the header", got, want)
	}
	return nil
}

// check validates everything behind the header.
func (t Table) check() error {
	d := t.data
	places, sources, text := t.section(atPlaces), t.section(atSources), t.section(atText)
	switch {
	case trieAt > places || places > sources || sources > text || text > uint64(len(d)),
		(places-trieAt)%wordSize != 0, (sources-places)%placeSize != 0, (text-sources)%sourceSize != 0:
		return errors.New("sections overlap or have wrong sizes")
	}
	c := checker{Table: t, words: (places - trieAt) / wordSize}
	c.places = make([]uint32, min(uint64(len(d))-text, endMask)+1)
	for at := places; at < sources; at += placeSize {
		leaf := load32(d, at)
		if err := t.checkName(leaf); err != nil {
			return err
		}
		if p := placeAt(d, leaf); !p.Valid() {
			return fmt.Errorf("invalid region %q", p.Region)
		}
		if at := leaf & endMask; c.places[at] == 0 {
			c.places[at] = leaf
		} else {
			return errors.New("two places share a name")
		}
	}
	next := uint32(0) // the cloud of a source is this one or a later one
	for at := sources; at < text; at += sourceSize {
		leaf := load32(d, at)
		if err := t.checkName(leaf); err != nil {
			return err
		}
		if leaf>>cloudAt < next {
			return errors.New("documents are not in the order of their clouds, or two are of one cloud")
		}
		next = leaf>>cloudAt + 1
		if v := nameAt(d, leaf); !ValidVersion(v) {
			return fmt.Errorf("invalid version %q of a document", v)
		}
		if load64(d, at+8) > maxDate {
			return errors.New("date of a document is out of range")
		}
	}
	for i := range uint64(1) << directBits {
		if err := c.follow(t.direct(i), 64-directBits, false); err != nil {
			return err
		}
	}
	if err := c.follow(load32(d, atRoot6), 64, false); err != nil {
		return err
	}
	if c.next != c.words {
		return errors.New("trie has unused words")
	}
	return t.checkShortcuts()
}

// checkName checks that a leaf, or a value in its form, refers to a known cloud
// and to text.
func (t Table) checkName(leaf uint32) error {
	end, length := uint64(leaf&endMask), uint64(leaf>>lengthAt&lengthMask)
	switch {
	case end > uint64(len(t.data))-t.section(atText) || length > end:
		return errors.New("name is outside of the text")
	case leaf>>cloudAt >= uint32(len(Clouds)):
		return fmt.Errorf("unknown cloud with code %d", leaf>>cloudAt)
	}
	return nil
}

// checker walks the trie in the order in which Compile writes it: each node is
// followed by the subtrees of its entries. As every node must be at the next
// free position, no two overlap, none has two parents, and the walk is linear in
// the size of the table.
type checker struct {
	Table
	words, next uint64
	// places has the leaf of each place at its name's distance from the end of the
	// table, which no two places share.
	places []uint32
}

// follow checks an entry with a block of 2^top addresses in the high half, or in
// the low half. Each node consumes bits that its parent has left, so a lookup
// always ends.
func (c *checker) follow(e uint32, top uint, low bool) error {
	if e&nodeBit == 0 {
		if at := e & endMask; e != 0 && (int(at) >= len(c.places) || c.places[at] != e) {
			return fmt.Errorf("entry %08x is not in the list of places", e)
		}
		return nil
	}
	switch {
	case (e&lowBit != 0) != (top == 0 && !low):
		return errors.New("node is in the wrong half of the address")
	case top == 0:
		low, top = true, 64
	}
	width := widthOf(e)
	if width > top || width > maxWidth {
		return errors.New("node consumes too many bits")
	}
	slots := uint64(1) << width
	first := c.next + max(1, slots/slotsPerCell)*cellWords // the position of its first entry
	if uint64(e&offsetMask) != c.next || first > c.words {
		return errors.New("node is at a wrong position")
	}
	entry := first
	for slot := uint64(0); slot < slots; slot += slotsPerCell {
		starts, before := c.cell(e, slot)
		switch {
		case slot == 0 && starts&1 == 0, slots < slotsPerCell && starts>>slots != 0:
			return errors.New("bitmap of a node is invalid")
		case uint64(before) != entry-1:
			return errors.New("entries of a node are at a wrong position")
		}
		entry += uint64(bits.OnesCount64(starts))
	}
	if entry > c.words {
		return errors.New("entries of a node are outside of the trie")
	}
	c.next = entry
	i := uint32(first - 1)
	for slot := uint64(0); slot < slots; slot += slotsPerCell {
		starts, _ := c.cell(e, slot)
		if starts&1 == 0 && c.word(i)&nodeBit != 0 {
			return errSharedNode
		}
		for rest := starts; rest != 0; rest &= rest - 1 {
			i++
			child, after := c.word(i), uint64(bits.TrailingZeros64(rest)+1)
			if child&nodeBit != 0 && after < min(slots, slotsPerCell) && starts>>after&1 == 0 {
				return errSharedNode
			}
			if err := c.follow(child, top-width, low); err != nil {
				return err
			}
		}
	}
	return nil
}

// errSharedNode is an error because a walk over all ranges would take exponential
// time.
var errSharedNode = errors.New("two slots share a node")

// ValidVersion reports whether the version of a document is 1 to 64 printable
// ASCII characters.
func ValidVersion(v string) bool {
	for i := range len(v) {
		if v[i] < ' ' || v[i] > '~' {
			return false
		}
	}
	return v != "" && len(v) <= maxVersionLength
}

func checksum(data []byte) uint32 {
	// Calling MakeTable here keeps it out of the start-up. It makes the table once.
	return crc32.Checksum(data[atChecksum+4:], crc32.MakeTable(crc32.Castagnoli))
}
