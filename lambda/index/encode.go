package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"slices"
	"time"
)

// Encode returns an index of the blobs that the mirrors in some AWS regions have. The
// same blobs give the same index, in whatever order they are. It fails if there are
// too many blobs or mirrors, or no mirror.
func Encode(listed time.Time, mirrors []string, blobs iter.Seq[Digest]) ([]byte, error) {
	var prefixes []uint64
	// The witnesses are the first digest of each part of all digests.
	var first [MaxWitnesses]Digest
	var found [MaxWitnesses]bool
	for d := range blobs {
		prefixes = append(prefixes, d.prefix())
		part := int(d[0]) * MaxWitnesses / 256
		if !found[part] || bytes.Compare(d[:], first[part][:]) < 0 {
			first[part], found[part] = d, true
		}
	}
	var witnesses []Digest
	for part, ok := range found {
		if ok {
			witnesses = append(witnesses, first[part])
		}
	}
	return encode(listed, mirrors, witnesses, prefixes)
}

// encode sorts the prefixes in place. The witnesses must be sorted.
func encode(listed time.Time, mirrors []string, witnesses []Digest, prefixes []uint64) ([]byte, error) {
	mirrors = slices.Compact(slices.Sorted(slices.Values(mirrors)))
	slices.Sort(prefixes)
	prefixes = slices.Compact(prefixes)
	switch {
	case len(prefixes) > maxEntries:
		return nil, fmt.Errorf("encoding the blob index: %d blobs: want at most %d", len(prefixes), maxEntries)
	case len(mirrors) == 0:
		return nil, errors.New("encoding the blob index: no mirrors: want at least one")
	case len(mirrors) > MaxMirrors:
		return nil, fmt.Errorf("encoding the blob index: %d mirrors: want at most %d", len(mirrors), MaxMirrors)
	}
	data := make([]byte, HeaderSize, HeaderSize+entrySize*len(prefixes))
	copy(data, magic)
	binary.BigEndian.PutUint64(data[8:], uint64(listed.UnixMilli()))
	binary.BigEndian.PutUint32(data[16:], uint32(len(prefixes)))
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
	for _, p := range prefixes {
		data = binary.BigEndian.AppendUint64(data, p)
	}
	sum := crc32.Update(crc32.Checksum(data[:checksumAt], castagnoli()), castagnoli(), data[checksumAt+4:])
	binary.BigEndian.PutUint32(data[checksumAt:], sum)
	return data, nil
}

// Without returns the encoded index without a digest. It fails if an index cannot
// have the digest. If no witness remains, the index is empty, because nothing would
// show that it is wrong.
func (x *Index) Without(digest string) ([]byte, error) {
	gone, ok := Prefix(digest)
	if !ok {
		return nil, fmt.Errorf("removing a digest from the blob index: %q: want sha256: and 64 hexadecimal digits", digest)
	}
	var witnesses []Digest
	for _, text := range x.Witnesses {
		if w, ok := ParseDigest(text); ok && w.prefix() != gone {
			witnesses = append(witnesses, w)
		}
	}
	var prefixes []uint64
	if len(witnesses) > 0 {
		prefixes = make([]uint64, 0, x.Len())
		for i := range x.Len() {
			if p := x.at(i); p != gone {
				prefixes = append(prefixes, p)
			}
		}
	}
	return encode(x.Listed, x.Mirrors, witnesses, prefixes)
}
