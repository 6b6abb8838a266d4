package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
)

// Extend returns an encoded index with more digests, and the number of those that it did
// not have. The memory of data is used again and must not be read afterwards. The error
// wraps ErrInvalid if data is invalid; it also fails if there are too many blobs.
func Extend(data []byte, digests ...Digest) (extended []byte, added int, err error) {
	x, err := Parse(data)
	if err != nil {
		return nil, 0, err
	}
	digests = slices.SortedFunc(slices.Values(digests), func(a, b Digest) int { return bytes.Compare(a[:], b[:]) })
	digests = slices.CompactFunc(digests, func(a, b Digest) bool { return a.prefix() == b.prefix() })
	digests = slices.DeleteFunc(digests, func(d Digest) bool { return x.has(d.prefix()) })
	n, added := x.Len(), len(digests)
	if added == 0 {
		return data, 0, nil
	}
	if n+added > maxEntries {
		return nil, 0, fmt.Errorf("extending the blob index: %d blobs: want at most %d", n+added, maxEntries)
	}
	var e Encoder // for the witnesses
	for _, text := range x.Witnesses {
		if w, ok := ParseDigest(text); ok {
			e.addWitness(w)
		}
	}
	for _, d := range digests {
		e.addWitness(d)
	}
	data = slices.Grow(data, added*entrySize)[:len(data)+added*entrySize]
	entries := data[HeaderSize:]
	for i := n; len(digests) > 0; { // merged from the end, so that no entry is overwritten
		last := digests[len(digests)-1].prefix()
		to := entries[(i+len(digests)-1)*entrySize:]
		if i > 0 {
			if p := binary.BigEndian.Uint64(entries[(i-1)*entrySize:]); p > last {
				binary.BigEndian.PutUint64(to, p)
				i--
				continue
			}
		}
		binary.BigEndian.PutUint64(to, last)
		digests = digests[:len(digests)-1]
	}
	clear(data[:HeaderSize])
	extended, err = finish(data, x.Listed, x.Mirrors, e.witnesses())
	return extended, added, err
}
