package ranges

import (
	"cmp"
	"fmt"
	"slices"
)

// The IPv6 addresses of clouds differ first in their upper 40 bits: a region has
// blocks of /40, with small networks inside. The shortcuts map these 40 bits to
// the entry that the trie has for them, past the levels above. They are a hash
// table with buckets of two slots. A block that does not fit into its bucket, or
// that belongs to a very short prefix, is found through the trie instead.
//
// The hash is a multiplication by an odd number modulo 2^40, which is a
// bijection: its upper bits select the bucket, and the rest of it, the tag,
// identifies the block. A slot is the entry (4 bytes) and the tag with bit 31 set
// (4 bytes); an empty slot is 0.
const (
	shortcutBits = 40
	bucketBits   = 12
	bucketSize   = 16
	tagBits      = shortcutBits - bucketBits
	tagBit       = 1 << 31
	multiplier   = 0x9E3779B97F4A7C15 & (1<<shortcutBits - 1) // 2^64 divided by the golden ratio
	shortcutSize = bucketSize << bucketBits

	// minShortcutLength is the length of the shortest prefix with shortcuts for
	// all of its blocks.
	minShortcutLength = 35
)

// shortcut returns the entry for the upper half of an IPv6 address and the bits
// that are left of it: the root and all bits if there is no shortcut. Its
// branches are faster than arithmetic without them.
func shortcut(t string, hi uint64) (e uint32, key uint64) {
	h := hi >> (64 - shortcutBits) * multiplier & (1<<shortcutBits - 1)
	tag := tagBit | uint32(h&(1<<tagBits-1))
	bucket := headerSize + h>>tagBits*bucketSize
	first, second := load64(t, bucket), load64(t, bucket+8)
	slot := uint64(load32(t, atRoot6))
	if uint32(first>>32) == tag {
		slot = first
	}
	if uint32(second>>32) == tag {
		slot = second
	}
	if slot>>32 != 0 {
		hi <<= shortcutBits
	}
	return uint32(slot), hi
}

// shortcuts returns the slots of the hash table. Where a bucket has too many
// blocks, those with the most ranges win.
func (b *builder) shortcuts(root uint32) []uint64 {
	type candidate struct {
		block  uint64
		entry  uint32
		weight float64
	}
	var all []candidate
	b.walk(root, 0, 64, func(block uint64, span uint, e uint32) {
		for i := range uint64(1) << span {
			all = append(all, candidate{block + i, e, b.weight(e) / float64(uint64(1)<<span)})
		}
	})
	slices.SortStableFunc(all, func(x, y candidate) int { return cmp.Compare(y.weight, x.weight) })
	slots := make([]uint64, shortcutSize/8)
	for _, c := range all {
		h := c.block * multiplier & (1<<shortcutBits - 1)
		at := h >> tagBits * 2
		slot := uint64(tagBit|h&(1<<tagBits-1))<<32 | uint64(c.entry)
		switch {
		case slots[at] == 0:
			slots[at] = slot
		case slots[at+1] == 0:
			slots[at+1] = slot
		}
	}
	return slots
}

// walk visits the entries of the trie that shortcuts may lead to, each with the
// first of the 2^span blocks that it covers.
func (b *builder) walk(e uint32, hi uint64, top uint, visit func(block uint64, span uint, e uint32)) {
	const below = 64 - shortcutBits
	switch {
	case e == 0:
	case e&nodeBit == 0 || top == below:
		if top >= below && top <= 64-minShortcutLength {
			visit(hi>>below, top-below, e)
		}
	default:
		shift := top - widthOf(e)
		for slot := range uint64(1) << widthOf(e) {
			b.walk(b.child(e, slot), hi|slot<<shift, shift, visit)
		}
	}
}

// weight returns the number of leaves under an entry.
func (b *builder) weight(e uint32) float64 {
	if e&nodeBit == 0 {
		return 1
	}
	sum, previous := 0.0, uint32(0)
	for slot := range uint64(1) << widthOf(e) {
		if i := b.position(e, slot); i != previous {
			previous = i
			sum += b.weight(b.words[i])
		}
	}
	return sum
}

// checkShortcuts compares every shortcut with the trie.
func (t Table) checkShortcuts() error {
	const below = 64 - shortcutBits
	inverse := uint64(multiplier)
	for range 5 { // each step of Newton's method doubles the number of correct bits
		inverse *= 2 - multiplier*inverse
	}
	for at := uint64(headerSize); at < headerSize+shortcutSize; at += 8 {
		slot := load64(t.data, at)
		if slot == 0 {
			continue
		}
		h := (at-headerSize)/bucketSize<<tagBits | slot>>32&(1<<tagBits-1)
		hi := h * inverse & (1<<shortcutBits - 1) << below
		e, top := load32(t.data, atRoot6), uint(64)
		for e&nodeBit != 0 && top > below {
			top -= widthOf(e)
			e = t.word(t.position(e, hi>>top&(1<<widthOf(e)-1)))
		}
		if e != uint32(slot) || slot>>32&tagBit == 0 || top < below {
			return fmt.Errorf("shortcut for %s/%d differs from the trie", uint128{hi: hi}.addr(128), shortcutBits)
		}
	}
	return nil
}
