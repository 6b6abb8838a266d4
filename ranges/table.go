package ranges

import (
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"math/bits"
	"net/netip"
)

// The layout of table.bin, little-endian:
//
//	header   magic with the version (8), checksum (4), then the values below
//	shortcuts  for IPv6, see shortcut.go
//	direct   for IPv4: a word for each block of 2^16 addresses, its entry
//	trie     words of 4 bytes, see lookup.go
//	places   words of 4 bytes, as the leaves of the trie
//	sources  12 bytes each: the date as a place's name (4), prefixes (4), unused (4)
//	text     the dates of the sources and the names of the regions
const (
	magic = "ARCHIP\x00\x02"

	atChecksum = 8
	atRoot6    = 12
	atPlaces   = 16
	atSources  = 20
	atText     = 24
	headerSize = 32

	placeSize  = 4
	sourceSize = 12
)

// ErrDamaged is wrapped by every error of Parse.
var ErrDamaged = errors.New("damaged range table")

// Table is a compiled table. The zero value is not usable: a Table comes from
// Parse or Compile. It is immutable.
type Table struct{ data string }

// Source is a provider's document that a table was compiled from.
type Source struct {
	Cloud Cloud
	// Published is the document's own date or version, as it is written there.
	Published string
	// Prefixes is how many distinct prefixes the document holds.
	Prefixes int
}

// Parse checks data from end to end and makes it a Table: the checksum, every
// offset, and that no question can run in circles. Its errors wrap ErrDamaged.
func Parse(data []byte) (Table, error) {
	t := Table{string(data)}
	if err := t.check(); err != nil {
		return Table{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return t, nil
}

// Bytes is the table in the form that Parse reads.
func (t Table) Bytes() []byte { return []byte(t.data) }

// Lookup is the package's Lookup on this table.
func (t Table) Lookup(addr netip.Addr) (Place, bool) { return lookup(t.data, addr) }

// Places lists every place that the table can answer.
func (t Table) Places() []Place {
	n := (load32(t.data, atSources) - load32(t.data, atPlaces)) / placeSize
	places := make([]Place, 0, n)
	for i := range n {
		places = append(places, placeAt(t.data, load32(t.data, uint64(load32(t.data, atPlaces)+placeSize*i))))
	}
	return places
}

// Sources tells which documents the table was compiled from.
func (t Table) Sources() []Source {
	var sources []Source
	text := int(load32(t.data, atText))
	for at := int(load32(t.data, atSources)); at < text; at += sourceSize {
		date := placeAt(t.data, load32(t.data, uint64(at)))
		sources = append(sources, Source{
			Cloud:     date.Cloud,
			Published: date.Region,
			Prefixes:  int(load32(t.data, uint64(at)+4)),
		})
	}
	return sources
}

// All goes through the ranges of the table in the order of their addresses,
// IPv4 first. Neighbours of one place are one range.
func (t Table) All() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		for _, size := range []int{32, 128} {
			var open Range
			var openLeaf uint32
			alive := true
			t.leaves(size, func(start wide, leaf uint32) bool {
				if leaf == openLeaf {
					return true
				}
				if openLeaf != 0 {
					open.Last = start.minusOne().addr(size)
					alive = yield(open)
				}
				openLeaf = leaf
				if alive && leaf != 0 {
					open = Range{First: start.addr(size), Place: placeAt(t.data, leaf)}
				}
				return alive
			})
			if alive && openLeaf != 0 {
				open.Last = wide{^uint64(0), ^uint64(0)}.addr(size)
				alive = yield(open)
			}
			if !alive {
				return
			}
		}
	}
}

// leaves visits those of a family in the order of their addresses, until visit
// answers false.
func (t Table) leaves(size int, visit func(start wide, leaf uint32) bool) {
	if size == 128 {
		t.blocks(load32(t.data, atRoot6), wide{}, 64, false, visit)
		return
	}
	for i := range uint64(1) << directBits {
		if !t.blocks(t.direct(i), wide{hi: i << (64 - directBits)}, 64-directBits, false, visit) {
			return
		}
	}
}

// direct is the entry of a block of IPv4.
func (t Table) direct(i uint64) uint32 { return load32(t.data, directAt+wordSize*i) }

// blocks visits the leaves below an entry in the order of their addresses,
// until visit answers false. The entry's block begins at base and is 2^top
// addresses wide in the half that low names.
func (t Table) blocks(e uint32, base wide, top uint, low bool, visit func(start wide, leaf uint32) bool) bool {
	if e&nodeBit == 0 {
		return visit(base, e)
	}
	if e&lowBit != 0 {
		low, top = true, 64
	}
	shift, slots := top-widthOf(e), uint64(1)<<widthOf(e)
	for slot := uint64(0); slot < slots; {
		starts, _ := t.cell(e, slot)
		child := t.word(t.position(e, slot))
		start := base
		if low {
			start.lo |= slot << shift
		} else {
			start.hi |= slot << shift
		}
		if !t.blocks(child, start, shift, low, visit) {
			return false
		}
		slot++
		// A leaf is visited once however many slots share it; a node never
		// shares its entry.
		for child&nodeBit == 0 && slot%slotsACell != 0 && slot < slots && starts>>(slot%slotsACell)&1 == 0 {
			slot++
		}
	}
	return true
}

func (t Table) word(i uint32) uint32 {
	return load32(t.data, trieAt+wordSize*uint64(i))
}

func (t Table) cell(e uint32, slot uint64) (starts uint64, before uint32) {
	i := e&offsetMask + uint32(slot/slotsACell*cellWords)
	return uint64(t.word(i)) | uint64(t.word(i+1))<<32, t.word(i + 2)
}

// position is where the entry of a slot stands.
func (t Table) position(e uint32, slot uint64) uint32 {
	starts, before := t.cell(e, slot)
	return before + uint32(bits.OnesCount64(starts<<(63-slot%slotsACell)))
}

func (t Table) check() error {
	d := t.data
	if len(d) < headerSize {
		return fmt.Errorf("%d bytes are shorter than its header", len(d))
	}
	if d[:len(magic)] != magic {
		return fmt.Errorf("it begins with %q, a table of this version with %q", d[:len(magic)], magic)
	}
	if got, want := checksum(d), load32(d, atChecksum); got != want {
		return fmt.Errorf("its checksum is %08x, its header says %08x", got, want)
	}
	places, sources, text := int(load32(d, atPlaces)), int(load32(d, atSources)), int(load32(d, atText))
	switch {
	case trieAt > places || places >= sources || sources > text || text > len(d),
		(places-trieAt)%wordSize != 0, (sources-places)%placeSize != 0, (text-sources)%sourceSize != 0:
		return errors.New("its sections overlap or are cut")
	}
	c := checker{
		Table:   t,
		words:   uint64(places-trieAt) / wordSize,
		places:  map[uint32]bool{0: true},
		visited: map[uint32]bool{},
	}
	for at := places; at < text; {
		p := load32(d, uint64(at))
		start, length := int(p&0xffff), int(p>>lengthAt&0xff)
		if start > len(d)-text || length > start || p>>cloudAt >= uint32(len(Clouds)) {
			return errors.New("a name lies outside of its text")
		}
		if at < sources {
			if length == 0 {
				return errors.New("a place has no name")
			}
			c.places[p] = true
			at += placeSize
		} else {
			at += sourceSize
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
	return t.checkShortcuts()
}

type checker struct {
	Table
	words   uint64
	places  map[uint32]bool
	visited map[uint32]bool
}

// follow checks an entry whose block is 2^top addresses wide in the half that
// low names. Each node takes bits that its parent has left, so a walk always
// ends.
func (c *checker) follow(e uint32, top uint, low bool) error {
	if e&nodeBit == 0 {
		if !c.places[e] {
			return fmt.Errorf("an entry names the place %08x, which is not in the list", e)
		}
		return nil
	}
	switch {
	case (e&lowBit != 0) != (top == 0 && !low):
		return errors.New("a node takes its bits from the wrong half")
	case top == 0:
		low, top = true, 64
	}
	width := widthOf(e)
	switch {
	case width > top || width > maxWidth:
		return errors.New("a node takes more bits than are left")
	case c.visited[e]:
		return errors.New("a node has two parents")
	}
	shift := top - width
	c.visited[e] = true
	slots := uint64(1) << width
	if uint64(e&offsetMask)+max(1, slots/slotsACell)*cellWords > c.words {
		return errors.New("a node lies outside of the trie")
	}
	previous := uint64(0)
	for slot := range slots {
		starts, before := c.cell(e, slot)
		i := uint64(before) + uint64(bits.OnesCount64(starts<<(63-slot%slotsACell)))
		switch {
		case i >= c.words:
			return errors.New("an entry lies outside of the trie")
		case slot > 0 && i == previous:
			if c.word(uint32(i))&nodeBit != 0 {
				return errors.New("two slots share a node")
			}
			continue
		}
		previous = i
		if err := c.follow(c.word(uint32(i)), shift, low); err != nil {
			return err
		}
	}
	return nil
}

func checksum(data string) uint32 {
	// The table is not a variable, which would be made at start. It is made once.
	return crc32.Checksum([]byte(data[atChecksum+4:]), crc32.MakeTable(crc32.Castagnoli))
}
