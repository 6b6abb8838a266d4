package ranges

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"slices"
	"strings"
)

// Prefix is a published prefix and its place.
type Prefix struct {
	Prefix netip.Prefix
	Place  Place
}

// Compile returns the table of a set of distinct prefixes. Where they are nested,
// the longest match wins. The sources are recorded in the table, ordered by
// cloud. The same prefixes and sources give the same bytes, in whatever order. It is
// an error if the table would be larger than MaxSize, or take too long to compile.
func Compile(prefixes []Prefix, sources []Source) (Table, error) {
	b := builder{places: map[Place]uint32{}, plans: map[block]plan{}}
	if err := b.namePlaces(prefixes); err != nil {
		return Table{}, err
	}
	v4, err := b.flatten(prefixes, 32)
	if err != nil {
		return Table{}, err
	}
	v6, err := b.flatten(prefixes, 128)
	if err != nil {
		return Table{}, err
	}
	var direct []uint32
	for _, s := range slots(v4, 0, uint128{}, 64, directBits, false) {
		direct = append(direct, b.node(s.boundaries, s.inherited, s.start, 64-directBits, false))
	}
	root6 := b.node(v6, 0, uint128{}, 64, false)
	if len(b.plans) > maxPlans {
		return Table{}, fmt.Errorf("%d prefixes are too many or too scattered for one table", len(prefixes))
	}
	if len(b.words) > offsetMask {
		return Table{}, fmt.Errorf("trie needs %d words, the format is limited to %d", len(b.words), offsetMask)
	}
	data, err := b.encode(direct, root6, sources)
	if err != nil {
		return Table{}, err
	}
	return Parse(data)
}

type builder struct {
	words  []uint32
	names  []Place
	places map[Place]uint32 // the leaf of each place
	text   []byte           // the names of the regions, the end of the table
	plans  map[block]plan
}

// boundary is the address where a place starts. It extends to the next boundary.
type boundary struct {
	at    uint128
	place uint32
}

func (b *builder) namePlaces(prefixes []Prefix) error {
	for _, p := range prefixes {
		if !p.Place.Valid() {
			return fmt.Errorf("prefix %s: invalid place: cloud %q, region %q", p.Prefix, p.Place.Cloud, p.Place.Region)
		}
		if !p.Prefix.IsValid() || p.Prefix != p.Prefix.Masked() || p.Prefix.Addr().Is4In6() {
			return fmt.Errorf("prefix %s: not a prefix, host bits set, or IPv4 written as IPv6", p.Prefix)
		}
		b.places[p.Place] = 0
	}
	for place := range b.places {
		b.names = append(b.names, place)
	}
	slices.SortFunc(b.names, comparePlaces)
	for _, place := range b.names {
		b.text = append(b.text, place.Region...)
	}
	left := len(b.text)
	for _, place := range b.names {
		leaf, err := label(left, place.Region, place.Cloud)
		if err != nil {
			return err
		}
		b.places[place] = leaf
		left -= len(place.Region)
	}
	return nil
}

// flatten turns the nested prefixes of one family into boundaries. It sorts them,
// so that each prefix comes after all that contain it, and keeps a stack of the
// prefixes that contain the current address.
func (b *builder) flatten(prefixes []Prefix, size int) ([]boundary, error) {
	type nested struct {
		first  uint128
		length int
		place  uint32
	}
	var blocks []nested
	for _, p := range prefixes {
		if p.Prefix.Addr().BitLen() == size {
			blocks = append(blocks, nested{uint128Of(p.Prefix.Addr()), p.Prefix.Bits(), b.places[p.Place]})
		}
	}
	slices.SortFunc(blocks, func(x, y nested) int {
		switch {
		case x.first.less(y.first):
			return -1
		case y.first.less(x.first):
			return 1
		}
		return x.length - y.length
	})

	out := []boundary{{}}
	mark := func(at uint128, place uint32) {
		if out[len(out)-1].at == at {
			out = out[:len(out)-1]
		}
		if len(out) > 0 && out[len(out)-1].place == place {
			return
		}
		out = append(out, boundary{at, place})
	}
	type open struct {
		end   uint128
		ends  bool // false: it extends to the end of the address space
		place uint32
	}
	stack := []open{{}}
	closeBefore := func(at uint128, all bool) {
		for len(stack) > 1 {
			top := stack[len(stack)-1]
			if !all && (!top.ends || at.less(top.end)) {
				return
			}
			stack = stack[:len(stack)-1]
			if top.ends {
				mark(top.end, stack[len(stack)-1].place)
			}
		}
	}
	for i, x := range blocks {
		if i > 0 && blocks[i-1].first == x.first && blocks[i-1].length == x.length {
			return nil, fmt.Errorf("duplicate prefix %s/%d", x.first.addr(size), x.length)
		}
		closeBefore(x.first, false)
		end, wraps := x.first.plusBlock(x.length)
		stack = append(stack, open{end, !wraps, x.place})
		mark(x.first, x.place)
	}
	closeBefore(uint128{}, true)
	return out, nil
}

// node builds the trie of one block and returns its entry. The boundaries are
// those inside the block; inherited is the place at its start.
func (b *builder) node(boundaries []boundary, inherited uint32, start uint128, top uint, low bool) uint32 {
	if len(boundaries) > 0 && boundaries[0].at == start {
		inherited, boundaries = boundaries[0].place, boundaries[1:]
	}
	if len(boundaries) == 0 {
		return inherited
	}
	e := uint32(nodeBit) | uint32(len(b.words))
	if top == 0 {
		low, top = true, 64
		e |= lowBit
	}
	width := b.choose(boundaries, start, top, low).width
	if len(b.plans) > maxPlans {
		return 0
	}
	e |= uint32(64-width) << restAt

	// The content of each slot is determined first, so that the size of the node
	// is known and its entries can follow its cells: a small node then fits into
	// one cache line.
	starts := make([]uint64, max(1, 1<<width/slotsPerCell))
	var distinct []slot
	for i, s := range slots(boundaries, inherited, start, top, width, low) {
		if i == 0 || len(s.boundaries) > 0 || len(distinct[len(distinct)-1].boundaries) > 0 {
			starts[i/slotsPerCell] |= 1 << (i % slotsPerCell)
			distinct = append(distinct, s)
		}
	}
	entry := uint32(len(b.words) + len(starts)*cellWords)
	before := entry - 1
	for _, s := range starts {
		b.words = append(b.words, uint32(s), uint32(s>>32), before)
		before += uint32(bits.OnesCount64(s))
	}
	b.words = append(b.words, make([]uint32, len(distinct))...)
	for i, s := range distinct {
		b.words[entry+uint32(i)] = b.node(s.boundaries, s.inherited, s.start, top-width, low)
	}
	return e
}

// slot is a part of a block: the boundaries inside it, and the place before the
// first of them.
type slot struct {
	boundaries []boundary
	inherited  uint32
	start      uint128
}

// slots splits a block into 2^width parts.
func slots(boundaries []boundary, inherited uint32, start uint128, top, width uint, low bool) []slot {
	out := make([]slot, 1<<width)
	shift := top - width
	for i := range out {
		s := slot{inherited: inherited, start: start}
		if low {
			s.start.lo |= uint64(i) << shift
		} else {
			s.start.hi |= uint64(i) << shift
		}
		end, n := s.start.fill(shift, low), 0
		for n < len(boundaries) && !end.less(boundaries[n].at) {
			n++
		}
		s.boundaries, boundaries = boundaries[:n], boundaries[n:]
		if n > 0 {
			inherited = s.boundaries[n-1].place
		}
		out[i] = s
	}
	return out
}

// position returns the position of the entry of a slot.
func (b *builder) position(e uint32, slot uint64) uint32 {
	c := b.words[e&offsetMask+uint32(slot/slotsPerCell*cellWords):]
	starts := uint64(c[0]) | uint64(c[1])<<32
	return c[2] + uint32(bits.OnesCount64(starts<<(63-slot%slotsPerCell)))
}

func (b *builder) child(e uint32, slot uint64) uint32 { return b.words[b.position(e, slot)] }

// plan is the cheapest way to resolve one block: the width of its node, and the
// cost of the node and everything below it.
type plan struct {
	width uint
	cost  float64
}

type block struct {
	start uint128
	top   uint
	low   bool
}

// cellCost is the cost of one cell in the unit of choose: levels of the trie,
// summed over all ranges. It trades memory for time. The value was found with
// BenchmarkLookup; a test limits the size of the table.
const cellCost = 0.1

// maxPlans limits the time and the memory of Compile, to a few seconds and some 50
// MB: documents may be hostile. The embedded table needs a fifth of it.
const maxPlans = 200_000

// choose returns the width for a block with the lowest cost. A block without a
// boundary inside needs no node and costs nothing. With more than maxPlans plans
// the result has no meaning.
func (b *builder) choose(boundaries []boundary, start uint128, top uint, low bool) plan {
	weight := float64(len(boundaries))
	if len(boundaries) > 0 && boundaries[0].at == start {
		boundaries = boundaries[1:]
	}
	if len(boundaries) == 0 {
		return plan{}
	}
	if top == 0 {
		low, top = true, 64
	}
	key := block{start, top, low}
	if p, ok := b.plans[key]; ok {
		return p
	}
	if len(b.plans) > maxPlans {
		return plan{width: 1}
	}
	best := plan{cost: math.Inf(1)}
	limit := min(top, maxWidth)
	if !low && top > 64-shortcutBits {
		limit = min(limit, top-(64-shortcutBits)) // shortcuts lead to entries of whole blocks
	}
	for width := uint(1); width <= limit; width++ {
		cells := max(1, 1<<width/slotsPerCell)
		cost := weight + cellCost*float64(cells)
		shift := top - width
		for rest := boundaries; len(rest) > 0 && cost < best.cost; {
			at := rest[0].at.truncate(shift, low)
			end := at.fill(shift, low)
			n := 1
			for n < len(rest) && !end.less(rest[n].at) {
				n++
			}
			cost += b.choose(rest[:n], at, shift, low).cost
			rest = rest[n:]
		}
		if cost < best.cost {
			best = plan{width, cost}
		}
	}
	b.plans[key] = best
	return best
}

func (b *builder) encode(direct []uint32, root6 uint32, sources []Source) ([]byte, error) {
	sources = slices.SortedStableFunc(slices.Values(sources), func(x, y Source) int { return x.Cloud.code() - y.Cloud.code() })
	le := binary.LittleEndian
	out := make([]byte, headerSize)
	copy(out, magic)
	le.PutUint32(out[atRoot6:], root6)
	for _, s := range b.shortcuts(root6) {
		out = le.AppendUint64(out, s)
	}
	for _, e := range direct {
		out = le.AppendUint32(out, e)
	}
	for _, w := range b.words {
		out = le.AppendUint32(out, w)
	}
	le.PutUint32(out[atPlaces:], uint32(len(out)))
	for _, p := range b.names {
		out = le.AppendUint32(out, b.places[p])
	}
	le.PutUint32(out[atSources:], uint32(len(out)))
	var versions []byte
	for _, s := range sources {
		versions = append(versions, s.Version...)
	}
	left := len(versions) + len(b.text)
	for _, s := range sources {
		if s.Cloud.code() < 0 || !ValidVersion(s.Version) {
			return nil, fmt.Errorf("source: invalid cloud %q or version %q", s.Cloud, s.Version)
		}
		version, err := label(left, s.Version, s.Cloud)
		if err != nil {
			return nil, err
		}
		left -= len(s.Version)
		out = le.AppendUint32(out, version)
		out = le.AppendUint32(out, uint32(s.Prefixes))
		seconds := uint64(0)
		if !s.Date.IsZero() {
			seconds = uint64(s.Date.Unix())
		}
		out = le.AppendUint64(out, seconds)
	}
	le.PutUint32(out[atText:], uint32(len(out)))
	out = append(append(out, versions...), b.text...)
	le.PutUint32(out[atChecksum:], checksum(out))
	return out, nil
}

// label returns a leaf: the name's distance from the end of the table, its
// length, and the cloud.
func label(fromEnd int, name string, cloud Cloud) (uint32, error) {
	if fromEnd > endMask || len(name) > lengthMask {
		return 0, errors.New("names of the regions are too long for the format")
	}
	return uint32(fromEnd) | uint32(len(name))<<lengthAt | uint32(cloud.code())<<cloudAt, nil
}

// comparePlaces orders places by the precedence of their cloud, then by region.
func comparePlaces(a, b Place) int {
	return cmp.Or(a.Cloud.code()-b.Cloud.code(), strings.Compare(a.Region, b.Region))
}
