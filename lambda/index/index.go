// Package index encodes and searches the blob index, the list of the blobs that all
// mirrors have. It is one object in each mirror: the mirror functions write it, and
// the redirector reads it to save existence checks.
//
// The object is a header of 32 bytes, followed by 8 bytes for each blob: the first
// 64 bits of its SHA-256, in ascending order. It is searched as it is stored, with a
// table of where to start. In an index of a million blobs, another blob is found
// with a probability of about 1 in 18 trillion.
//
//	offset  bytes
//	0       8      "ARCHEIO1": type and version of the format
//	8       8      start of the listing that it was made of, Unix milliseconds
//	16      8      number of entries
//	24      4      0
//	28      4      CRC-32C of the entries, followed by the first 28 bytes
//
// Numbers are big-endian.
package index

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"math/bits"
	"slices"
	"strings"
	"time"
)

const (
	// Name is the key of the object below the prefix of the blobs.
	Name = "index.v1"
	// HeaderSize is the size of the header in bytes.
	HeaderSize = 32
	// MaxSize is the maximum size of an index in bytes: eight million blobs.
	MaxSize = HeaderSize + entrySize*maxEntries

	// Skew is how much clocks may differ: an index of a later time is invalid.
	Skew = 5 * time.Minute

	magic      = "ARCHEIO1"
	entrySize  = 8
	maxEntries = 8_000_000
	checksum   = 28 // its offset
)

// Index is a parsed index. It is immutable and safe for concurrent use.
type Index struct {
	// Listed is the start of the listing that it was made of.
	Listed  time.Time
	entries []byte
	// starts has the position of the first entry for each value of the bits above
	// shift, and finally the number of entries.
	starts []uint32
	shift  uint
}

// Parse parses an index, which refers to data afterwards. Its error says what is
// wrong with the index.
func Parse(data []byte) (*Index, error) {
	listed, count, err := ParseHeader(data)
	if err != nil {
		return nil, err
	}
	entries := data[HeaderSize:]
	if int64(len(entries)) != count*entrySize {
		return nil, fmt.Errorf("blob index has %d bytes of entries: want %d by its header", len(entries), count*entrySize)
	}
	if sum(data[:checksum], entries) != binary.BigEndian.Uint32(data[checksum:]) {
		return nil, errors.New("blob index does not match its checksum")
	}
	x := &Index{Listed: listed, entries: entries}
	x.makeStarts()
	return x, nil
}

// ParseHeader returns the start of the listing and the number of entries from the
// first HeaderSize bytes of an index.
func ParseHeader(data []byte) (listed time.Time, count int64, err error) {
	if len(data) < HeaderSize || string(data[:len(magic)]) != magic {
		return time.Time{}, 0, fmt.Errorf("blob index does not begin with %q, or is shorter than its header", magic)
	}
	n := binary.BigEndian.Uint64(data[16:])
	if n > maxEntries {
		return time.Time{}, 0, fmt.Errorf("blob index has %d entries by its header: want at most %d", n, maxEntries)
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(data[8:]))), int64(n), nil
}

func sum(header, entries []byte) uint32 {
	// Not a package variable, which would be initialized at start-up. The table
	// is made once.
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(entries, castagnoli), castagnoli, header)
}

// Prefix returns the entry of a digest, false if an index cannot have the digest.
func Prefix(digest string) (uint64, bool) {
	text, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(text) < 2*entrySize {
		return 0, false
	}
	// Not strconv, which branches on each digit: with random digits the processor
	// mispredicts. hex uses a table.
	var p [entrySize]byte
	_, err := hex.Decode(p[:], []byte(text[:2*entrySize]))
	return binary.BigEndian.Uint64(p[:]), err == nil
}

// Len returns the number of entries.
func (x *Index) Len() int { return len(x.entries) / entrySize }

func (x *Index) at(i int) uint64 { return binary.BigEndian.Uint64(x.entries[i*entrySize:]) }

// Has reports whether the index has a blob.
func (x *Index) Has(digest string) bool {
	p, ok := Prefix(digest)
	return ok && x.has(p)
}

// linear is up to how many entries are searched one by one.
const linear = 64

// has searches the entries with the same upper bits, which are few because digests
// are uniformly distributed.
func (x *Index) has(p uint64) bool {
	first := p >> x.shift
	low, high := int(x.starts[first]), int(x.starts[first+1])
	for high-low > linear {
		if middle := (low + high) / 2; x.at(middle) <= p {
			low = middle
		} else {
			high = middle
		}
	}
	for ; low < high; low++ {
		if e := x.at(low); e >= p {
			return e == p
		}
	}
	return false
}

// makeStarts makes the table of where the entries of each value of the upper bits
// start, about sixteen each. A binary search alone would wait for memory many times.
func (x *Index) makeStarts() {
	n := x.Len()
	width := bits.Len(uint(n / 16))
	x.shift = uint(64 - width)
	x.starts = make([]uint32, 1<<width+1)
	at := 0
	for first := range x.starts {
		for at < n && x.at(at)>>x.shift < uint64(first) {
			at++
		}
		x.starts[first] = uint32(at)
	}
}

// Encode returns an index of the prefixes of digests, which it sorts in place. It
// fails if there are too many.
func Encode(listed time.Time, prefixes []uint64) ([]byte, error) {
	slices.Sort(prefixes)
	prefixes = slices.Compact(prefixes)
	if len(prefixes) > maxEntries {
		return nil, fmt.Errorf("encoding the blob index: %d blobs: want at most %d", len(prefixes), maxEntries)
	}
	data := make([]byte, HeaderSize, HeaderSize+entrySize*len(prefixes))
	copy(data, magic)
	binary.BigEndian.PutUint64(data[8:], uint64(listed.UnixMilli()))
	binary.BigEndian.PutUint64(data[16:], uint64(len(prefixes)))
	for _, p := range prefixes {
		data = binary.BigEndian.AppendUint64(data, p)
	}
	binary.BigEndian.PutUint32(data[checksum:], sum(data[:checksum], data[HeaderSize:]))
	return data, nil
}

// Without returns the encoded index without a digest. It fails if an index cannot
// have the digest.
func (x *Index) Without(digest string) ([]byte, error) {
	gone, ok := Prefix(digest)
	if !ok {
		return nil, fmt.Errorf("removing a digest from the blob index: %q: want sha256: and 64 hexadecimal digits", digest)
	}
	prefixes := make([]uint64, 0, x.Len())
	for i := range x.Len() {
		if p := x.at(i); p != gone {
			prefixes = append(prefixes, p)
		}
	}
	return Encode(x.Listed, prefixes)
}
