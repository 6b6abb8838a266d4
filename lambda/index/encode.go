package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"slices"
	"sort"
	"time"
)

// Encode returns an index of the blobs that the mirrors in some AWS regions have. The
// same blobs give the same index, in whatever order they are. It fails if there are
// too many blobs or mirrors, or no mirror.
func Encode(listed time.Time, mirrors []string, blobs iter.Seq[Digest]) ([]byte, error) {
	e := NewEncoder(0)
	for d := range blobs {
		e.Add(d)
	}
	return e.Encode(listed, mirrors)
}

// Encoder encodes an index of blobs that are added one by one. It needs no more memory
// than the index. It is not safe for concurrent use.
type Encoder struct {
	data []byte // space for the header, and the entries
	// first are the smallest digests of each part of all digests, the witnesses.
	first    [MaxWitnesses]Digest
	found    [MaxWitnesses]bool
	last     uint64 // entry
	unsorted bool
	tooMany  int // blobs that were not added
}

// NewEncoder returns an Encoder with memory for a number of blobs; more may be added.
func NewEncoder(blobs int) *Encoder {
	return &Encoder{data: make([]byte, HeaderSize, HeaderSize+entrySize*min(blobs, maxEntries))}
}

// Add adds a blob. It costs the least if the digests ascend.
func (e *Encoder) Add(d Digest) {
	e.addWitness(d)
	p, n := d.prefix(), e.Len()
	switch {
	case n > 0 && p == e.last:
	case n == maxEntries:
		e.tooMany++
	default:
		e.unsorted = e.unsorted || n > 0 && p < e.last
		e.data = binary.BigEndian.AppendUint64(e.data, p)
		e.last = p
	}
}

// addWitness makes a digest a witness if it is the smallest of its part.
func (e *Encoder) addWitness(d Digest) {
	part := int(d[0]) * MaxWitnesses / 256
	if !e.found[part] || bytes.Compare(d[:], e.first[part][:]) < 0 {
		e.first[part], e.found[part] = d, true
	}
}

// Len returns the number of entries.
func (e *Encoder) Len() int { return (len(e.data) - HeaderSize) / entrySize }

// Encode returns the index of the blobs that the mirrors in some AWS regions have.
// Nothing may be added afterwards.
func (e *Encoder) Encode(listed time.Time, mirrors []string) ([]byte, error) {
	if e.tooMany > 0 {
		return nil, fmt.Errorf("encoding the blob index: %d blobs: want at most %d", maxEntries+e.tooMany, maxEntries)
	}
	if e.unsorted {
		sorted := entries(e.data[HeaderSize:])
		sort.Sort(sorted)
		e.data = e.data[:HeaderSize+entrySize*sorted.compact()]
	}
	return finish(e.data, listed, mirrors, e.witnesses())
}

// witnesses returns the witnesses, ascending.
func (e *Encoder) witnesses() (all []Digest) {
	for part, ok := range e.found {
		if ok {
			all = append(all, e.first[part])
		}
	}
	return all
}

// entries are those of an index.
type entries []byte

func (x entries) at(i int) []byte    { return x[i*entrySize:][:entrySize] }
func (x entries) Len() int           { return len(x) / entrySize }
func (x entries) Less(i, j int) bool { return bytes.Compare(x.at(i), x.at(j)) < 0 }
func (x entries) Swap(i, j int) {
	a, b := [entrySize]byte(x.at(i)), x.at(j)
	copy(x.at(i), b)
	copy(b, a[:])
}

// compact removes duplicates of sorted entries, and returns how many entries are left.
func (x entries) compact() (n int) {
	for i := range x.Len() {
		if n == 0 || !bytes.Equal(x.at(i), x.at(n-1)) {
			copy(x.at(n), x.at(i))
			n++
		}
	}
	return n
}

// finish writes the header of an index. data has space for it, and the entries. The
// witnesses must be sorted.
func finish(data []byte, listed time.Time, mirrors []string, witnesses []Digest) ([]byte, error) {
	mirrors = slices.Compact(slices.Sorted(slices.Values(mirrors)))
	switch {
	case len(mirrors) == 0:
		return nil, errors.New("encoding the blob index: no mirrors: want at least one")
	case len(mirrors) > MaxMirrors:
		return nil, fmt.Errorf("encoding the blob index: %d mirrors: want at most %d", len(mirrors), MaxMirrors)
	}
	copy(data, magic)
	binary.BigEndian.PutUint64(data[8:], uint64(listed.UnixMilli()))
	binary.BigEndian.PutUint32(data[16:], uint32((len(data)-HeaderSize)/entrySize))
	binary.BigEndian.PutUint16(data[20:], uint16(len(mirrors)))
	binary.BigEndian.PutUint16(data[22:], uint16(len(witnesses)))
	for i, name := range mirrors {
		if !validRegion(name) {
			return nil, fmt.Errorf("encoding the blob index: invalid mirror %.40q: want an AWS region", name)
		}
		copy(data[mirrorsAt+i*mirrorSize:], name)
	}
	for i, w := range witnesses {
		copy(data[witnessesAt+i*DigestSize:], w[:])
	}
	sum := crc32.Update(crc32.Checksum(data[:checksumAt], castagnoli()), castagnoli(), data[checksumAt+4:])
	binary.BigEndian.PutUint32(data[checksumAt:], sum)
	return data, nil
}

// Without returns the encoded index without the entries of some digests (see Prefix), which
// must be in ascending order. It returns nil if the index has none of them. If no witness
// remains, the index is empty, because nothing would show that it is wrong.
func (x *Index) Without(gone []uint64) ([]byte, error) {
	if !slices.ContainsFunc(gone, x.has) {
		return nil, nil
	}
	var witnesses []Digest
	for _, text := range x.Witnesses {
		w, ok := ParseDigest(text)
		if _, is := slices.BinarySearch(gone, w.prefix()); ok && !is {
			witnesses = append(witnesses, w)
		}
	}
	data := make([]byte, HeaderSize, HeaderSize+len(x.entries))
	if len(witnesses) > 0 {
		for i := range x.Len() {
			p := x.at(i)
			for len(gone) > 0 && gone[0] < p {
				gone = gone[1:]
			}
			if len(gone) == 0 || gone[0] != p {
				data = binary.BigEndian.AppendUint64(data, p)
			}
		}
	}
	return finish(data, x.Listed, x.Mirrors, witnesses)
}
