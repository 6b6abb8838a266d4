package copier

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// snapshot is what all buckets had when they were listed: sorted digests, each
// with a bit for every bucket that has it. It is searched as it is stored.
type snapshot []byte

const (
	digestSize = len(Digest{})
	maskSize   = 8
	entrySize  = digestSize + maskSize
	// maxBuckets is how many a snapshot tells apart.
	maxBuckets = 8*maskSize - 1
)

func parseSnapshot(data []byte) (snapshot, error) {
	if len(data)%entrySize != 0 {
		return nil, fmt.Errorf("a snapshot of %d bytes is none", len(data))
	}
	return snapshot(data), nil
}

func (s snapshot) entry(i int) []byte { return s[i*entrySize : (i+1)*entrySize] }

// mask has a bit for each bucket that has a blob.
func (s snapshot) mask(d Digest) uint64 {
	low, high := 0, len(s)/entrySize
	for low < high {
		middle := int(uint(low+high) >> 1)
		entry := s.entry(middle)
		switch bytes.Compare(entry[:digestSize], d[:]) {
		case 0:
			return binary.BigEndian.Uint64(entry[digestSize:])
		case -1:
			low = middle + 1
		default:
			high = middle
		}
	}
	return 0
}

// Has is that of Inventory; sizes are not kept.
func (s snapshot) Has(bucket int, d Digest) (int64, bool) {
	return unknown, s.mask(d)&(1<<bucket) != 0
}

// with adds a bucket: what it has, as digests one after the other, sorted.
func (s snapshot) with(bucket int, digests []byte) snapshot {
	out := make(snapshot, 0, max(len(s), len(digests)/digestSize*entrySize))
	for len(s) > 0 || len(digests) > 0 {
		order := 0
		switch {
		case len(s) == 0:
			order = 1
		case len(digests) == 0:
			order = -1
		default:
			order = bytes.Compare(s[:digestSize], digests[:digestSize])
		}
		var mask uint64
		from := digests
		if order <= 0 {
			mask = binary.BigEndian.Uint64(s[digestSize:entrySize])
			from = s
		}
		if order >= 0 {
			mask |= 1 << bucket
		}
		out = append(out, from[:digestSize]...)
		out = binary.BigEndian.AppendUint64(out, mask)
		if order <= 0 {
			s = s[entrySize:]
		}
		if order >= 0 {
			digests = digests[digestSize:]
		}
	}
	return out
}
