package copier

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"archeio/lambda/registry"
)

// snapshot is the content of all buckets when they were listed: sorted digests,
// each with a mask of the buckets that have it. It is searched in its stored form.
type snapshot []byte

const (
	digestSize = len(Digest{})
	maskSize   = 8
	entrySize  = digestSize + maskSize
	// maxBuckets is the number of buckets that fit into a mask.
	maxBuckets = 8*maskSize - 1
)

func parseSnapshot(data []byte) (snapshot, error) {
	if len(data)%entrySize != 0 {
		return nil, fmt.Errorf("invalid snapshot: %d bytes are not a whole number of entries", len(data))
	}
	return snapshot(data), nil
}

func (s snapshot) entry(i int) []byte { return s[i*entrySize : (i+1)*entrySize] }

// mask returns a bit for each bucket that has a blob.
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

// Has implements Inventory. Sizes are unknown.
func (s snapshot) Has(bucket int, d Digest) (int64, bool) {
	return registry.SizeUnknown, s.mask(d)&(1<<bucket) != 0
}

// with returns the snapshot with one more bucket, of which digests are the sorted
// digests, concatenated.
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
