package ranges

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/bits"
	"net/netip"
	"time"
)

// The layout of a table, little-endian:
//
//	header     magic with the version (8), checksum (4), then the values below; the
//	           time of issue is in seconds since 1970, or 0
//	shortcuts  for IPv6, see shortcut.go
//	direct     for IPv4: one word for each block of 2^16 addresses, its entry
//	trie       words of 4 bytes, see lookup.go
//	places     words of 4 bytes, as the leaves of the trie
//	sources    16 bytes each: the document's version in the form of a leaf (4),
//	           number of prefixes (4), date in seconds since 1970 or 0 (8)
//	text       the versions of the sources and the names of the regions
const (
	magic = "ARCHIP\x00\x03"

	atChecksum = 8
	atRoot6    = 12
	atPlaces   = 16
	atSources  = 20
	atText     = 24
	atIssued   = 28
	headerSize = 32

	placeSize        = 4
	sourceSize       = 16
	maxVersionLength = 64
)

// MaxSize is the size of the largest table that Parse accepts, in bytes. It is
// about three times that of the embedded table.
const MaxSize = 2_000_000

// ErrDamaged is wrapped by every error of Parse.
var ErrDamaged = errors.New("damaged range table")

// Table is a compiled table, made by Parse or Compile. It is immutable. The zero
// value is an empty table.
type Table struct{ data string }

// Source is a provider's document that a table was compiled from.
type Source struct {
	Cloud Cloud
	// Version is what the document calls its version or date, for example
	// createDate (AWS) or changeNumber (Azure).
	Version string
	// Date is when the provider published the document, in UTC, to the second.
	// It is zero if the document has no date, as is the case for Azure.
	Date time.Time
	// Prefixes is the number of distinct prefixes in the document.
	Prefixes int
}

// Parse validates data and returns it as a Table. It checks the size (at most
// MaxSize), the version of the format, the checksum, every name and every offset, so
// that a lookup in the table always ends and never reads outside of it, also if the
// data are hostile. A table has at most one source a cloud and 65,536 places; the
// number of its ranges is bounded by its size. Dates are at most the year 9999:
// whether they are plausible is up to the caller, as is whether the prefixes are.
//
// Parse takes one pass over the data, and memory for a copy of them and at most
// 256 KB more. Its errors are one line and wrap [ErrDamaged].
func Parse(data []byte) (Table, error) {
	if err := checkHeader(data); err != nil {
		return Table{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	t := Table{string(data)}
	if err := t.check(); err != nil {
		return Table{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return t, nil
}

// Bytes returns the table in the form that Parse reads.
func (t Table) Bytes() []byte { return []byte(t.data) }

// Lookup is the package's [Lookup] in this table.
func (t Table) Lookup(addr netip.Addr) (Place, bool) { return lookup(t.data, addr) }

// Places returns every place in the table, ordered by cloud, then region.
func (t Table) Places() []Place {
	var places []Place
	for at := t.section(atPlaces); at < t.section(atSources); at += placeSize {
		places = append(places, placeAt(t.data, load32(t.data, at)))
	}
	return places
}

// Sources returns the documents that the table was compiled from, ordered by
// cloud.
func (t Table) Sources() []Source {
	var sources []Source
	for at := t.section(atSources); at < t.section(atText); at += sourceSize {
		version := placeAt(t.data, load32(t.data, at))
		s := Source{Cloud: version.Cloud, Version: version.Region, Prefixes: int(load32(t.data, at+4))}
		if seconds := load64(t.data, at+8); seconds != 0 {
			s.Date = time.Unix(int64(seconds), 0).UTC()
		}
		sources = append(sources, s)
	}
	return sources
}

// Date returns the newest date of a source, in UTC, or the zero time if no source
// has one. As all documents are read together, nothing that was published before
// it is missing from the table. Providers publish when something changes, so a
// source with an older date is not out of date.
func (t Table) Date() time.Time {
	var newest time.Time
	for _, s := range t.Sources() {
		if s.Date.After(newest) {
			newest = s.Date
		}
	}
	return newest
}

// Issue returns the table with a time of issue, to the second, for one that is
// published by itself: an earlier table that is issued again counts as newer. It has
// no effect on lookups. The time must be before 2106.
func (t Table) Issue(at time.Time) Table {
	data := t.Bytes()
	if len(data) < headerSize {
		return t
	}
	le := binary.LittleEndian
	le.PutUint32(data[atIssued:], uint32(max(0, min(at.Unix(), math.MaxUint32))))
	le.PutUint32(data[atChecksum:], checksum(data))
	return Table{string(data)}
}

// Issued returns the time of issue in UTC, zero for a table without one, such as the
// embedded one.
func (t Table) Issued() time.Time {
	if s := t.section(atIssued); s != 0 {
		return time.Unix(int64(s), 0).UTC()
	}
	return time.Time{}
}

// Newer reports whether the table is newer than another one: by the later of its
// time of issue and its date.
func (t Table) Newer(than Table) bool { return t.Latest().After(than.Latest()) }

// Latest returns the later of the time of issue and the date, in UTC.
func (t Table) Latest() time.Time {
	issued, date := t.Issued(), t.Date()
	if issued.After(date) {
		return issued
	}
	return date
}

// All returns the ranges of the table in the order of their addresses, IPv4
// first. Adjacent ranges of one place are merged.
func (t Table) All() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		if t.data == "" {
			return
		}
		for _, size := range []int{32, 128} {
			var open Range
			var openLeaf uint32
			more := true
			t.leaves(size, func(start uint128, leaf uint32) bool {
				if leaf == openLeaf {
					return true
				}
				if openLeaf != 0 {
					open.Last = start.minusOne().addr(size)
					more = yield(open)
				}
				openLeaf = leaf
				if more && leaf != 0 {
					open = Range{First: start.addr(size), Place: placeAt(t.data, leaf)}
				}
				return more
			})
			if more && openLeaf != 0 {
				open.Last = uint128{^uint64(0), ^uint64(0)}.addr(size)
				more = yield(open)
			}
			if !more {
				return
			}
		}
	}
}

// leaves visits the leaves of a family in the order of their addresses until
// visit returns false.
func (t Table) leaves(size int, visit func(start uint128, leaf uint32) bool) {
	if size == 128 {
		t.blocks(load32(t.data, atRoot6), uint128{}, 64, false, visit)
		return
	}
	for i := range uint64(1) << directBits {
		if !t.blocks(t.direct(i), uint128{hi: i << (64 - directBits)}, 64-directBits, false, visit) {
			return
		}
	}
}

// blocks visits the leaves under an entry in the order of their addresses until
// visit returns false. The block of the entry starts at base and has 2^top
// addresses in the high half, or in the low half.
func (t Table) blocks(e uint32, base uint128, top uint, low bool, visit func(start uint128, leaf uint32) bool) bool {
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
		// A leaf is visited once for all slots of a cell that share it. Nodes
		// are not shared.
		for child&nodeBit == 0 && slot%slotsPerCell != 0 && slot < slots && starts>>(slot%slotsPerCell)&1 == 0 {
			slot++
		}
	}
	return true
}

// section returns where a section of the table starts; 0 in an empty table.
func (t Table) section(header uint64) uint64 {
	if t.data == "" {
		return 0
	}
	return uint64(load32(t.data, header))
}

// direct returns the entry of a block of IPv4.
func (t Table) direct(i uint64) uint32 { return load32(t.data, directAt+wordSize*i) }

func (t Table) word(i uint32) uint32 { return load32(t.data, trieAt+wordSize*uint64(i)) }

// cell returns the bitmap that a slot belongs to, and the position of the entry
// before the first of the bitmap.
func (t Table) cell(e uint32, slot uint64) (starts uint64, before uint32) {
	i := e&offsetMask + uint32(slot/slotsPerCell*cellWords)
	return uint64(t.word(i)) | uint64(t.word(i+1))<<32, t.word(i + 2)
}

// position returns the position of the entry of a slot.
func (t Table) position(e uint32, slot uint64) uint32 {
	starts, before := t.cell(e, slot)
	return before + uint32(bits.OnesCount64(starts<<(63-slot%slotsPerCell)))
}
