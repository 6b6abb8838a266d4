package copier

import (
	"bytes"
	"encoding/binary"
	"iter"
	"sort"
	"strings"
)

// snapshot is what buckets have of a range of digests: sorted digests, each with a mask
// of the buckets that have it.
type snapshot []byte

const (
	digestSize = len(Digest{})
	maskSize   = 8
	entrySize  = digestSize + maskSize
	// maxBuckets is the number of buckets that fit into a mask.
	maxBuckets = 8*maskSize - 1
)

func (s snapshot) len() int { return len(s) / entrySize }

func (s snapshot) at(i int) (d Digest, mask uint64) {
	entry := s[i*entrySize:][:entrySize]
	return Digest(entry[:digestSize]), binary.BigEndian.Uint64(entry[digestSize:])
}

// add appends a digest. Digests must be added in ascending order.
func (s snapshot) add(d Digest, mask uint64) snapshot {
	return binary.BigEndian.AppendUint64(append(s, d[:]...), mask)
}

// all iterates over the entries.
func (s snapshot) all(yield func(d Digest, mask uint64) bool) {
	for i := range s.len() {
		if !yield(s.at(i)) {
			return
		}
	}
}

// from returns an iterator over all entries that begins with the entry with index first,
// and continues with those before it.
func (s snapshot) from(first int) iter.Seq2[Digest, uint64] {
	return func(yield func(d Digest, mask uint64) bool) {
		for _, part := range []snapshot{s[first*entrySize:], s[:first*entrySize]} {
			for d, mask := range part.all {
				if !yield(d, mask) {
					return
				}
			}
		}
	}
}

// within returns the entries of the digests that begin with a prefix.
func (s snapshot) within(prefix string) snapshot {
	from := sort.Search(s.len(), func(i int) bool { d, _ := s.at(i); return d.String() >= "sha256:"+prefix })
	to := from + sort.Search(s.len()-from, func(i int) bool {
		d, _ := s.at(from + i)
		return !strings.HasPrefix(d.String(), "sha256:"+prefix)
	})
	return s[from*entrySize : to*entrySize]
}

// mask returns the mask of a digest, 0 if no bucket has it.
func (s snapshot) mask(d Digest) uint64 {
	i := sort.Search(s.len(), func(i int) bool { return bytes.Compare(s[i*entrySize:][:digestSize], d[:]) >= 0 })
	if i == s.len() {
		return 0
	}
	if at, mask := s.at(i); at == d {
		return mask
	}
	return 0
}

// merge returns the entries of two snapshots, with the bits of both.
func (s snapshot) merge(other snapshot) snapshot {
	switch {
	case len(s) == 0:
		return other
	case len(other) == 0:
		return s
	}
	out := make(snapshot, 0, max(len(s), len(other))+entrySize)
	for len(s) > 0 && len(other) > 0 {
		switch bytes.Compare(s[:digestSize], other[:digestSize]) {
		case -1:
			out, s = append(out, s[:entrySize]...), s[entrySize:]
		case 1:
			out, other = append(out, other[:entrySize]...), other[entrySize:]
		default:
			_, one := s.at(0)
			d, two := other.at(0)
			out, s, other = out.add(d, one|two), s[entrySize:], other[entrySize:]
		}
	}
	return append(append(out, s...), other...)
}

// without returns the entries without the bits of a mask.
func (s snapshot) without(mask uint64) snapshot {
	out := make(snapshot, 0, len(s))
	for d, has := range s.all {
		if has &^= mask; has != 0 {
			out = out.add(d, has)
		}
	}
	return out
}
