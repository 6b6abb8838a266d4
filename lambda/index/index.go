// Package index is the list of the blobs that all mirrors hold, as one object
// that lies in each of them: what fills the mirrors writes it, and the
// redirector reads it and then need not ask a mirror on the way.
//
// The object has a header of 32 bytes and then 8 bytes for each blob, in
// ascending order: the first 64 bits of its SHA-256. It is searched as it is
// stored, with a table of where to begin. A blob that is not in a list of a million
// passes for one that is with a chance of about 1 in 18 million million.
//
//	offset  bytes
//	0       8      "ARCHEIO1": what it is, and the version of the format
//	8       8      when the listing that it was made of began, Unix milliseconds
//	16      8      number of entries
//	24      4      0
//	28      4      CRC-32C of the entries and the 28 bytes before this one
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
	// Name is what the object is called, where a mirror keeps its blobs.
	Name = "index.v1"
	// HeaderSize is how many bytes stand before the entries.
	HeaderSize = 32
	// Largest is how many bytes the whole of it may have: eight million blobs.
	Largest = HeaderSize + 8*8_000_000

	// Skew is how far clocks may differ: an index of a later time is a mistake.
	Skew = 5 * time.Minute

	magic     = "ARCHEIO1"
	entrySize = 8
	checksum  = 28 // where it stands
)

// Index is a list that was read. It is not changed any more; it is safe for
// concurrent use.
type Index struct {
	// Listed is when the listing began that it was made of.
	Listed  time.Time
	entries []byte
	// starts has the position of the first entry for each value of its upper
	// bits, those above shift, and at its end the number of entries.
	starts []uint32
	shift  uint
}

// Parse reads an index, and keeps data. Its error says what is wrong with it.
func Parse(data []byte) (*Index, error) {
	listed, count, err := ParseHeader(data)
	if err != nil {
		return nil, err
	}
	entries := data[HeaderSize:]
	if int64(len(entries)) != count*entrySize {
		return nil, fmt.Errorf("it has %d bytes of entries, its header says %d", len(entries), count*entrySize)
	}
	if sum(data[:checksum], entries) != binary.BigEndian.Uint32(data[checksum:]) {
		return nil, errors.New("its checksum is wrong")
	}
	x := &Index{Listed: listed, entries: entries}
	x.prepare()
	return x, nil
}

// ParseHeader reads when the listing of an index began, and how many entries it
// has, of its first HeaderSize bytes.
func ParseHeader(data []byte) (listed time.Time, count int64, err error) {
	if len(data) < HeaderSize || string(data[:len(magic)]) != magic {
		return time.Time{}, 0, errors.New("it is no index of this version")
	}
	n := binary.BigEndian.Uint64(data[16:])
	if n > (Largest-HeaderSize)/entrySize {
		return time.Time{}, 0, fmt.Errorf("it says that it has %d entries, %d are the most", n, (Largest-HeaderSize)/entrySize)
	}
	return time.UnixMilli(int64(binary.BigEndian.Uint64(data[8:]))), int64(n), nil
}

func sum(header, entries []byte) uint32 {
	// Not a variable, which would be made at start. It is made once.
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum(entries, castagnoli), castagnoli, header)
}

// Prefix is what an index has of a digest; false for one that it cannot have.
func Prefix(digest string) (uint64, bool) {
	text, ok := strings.CutPrefix(digest, "sha256:")
	if !ok || len(text) < 2*entrySize {
		return 0, false
	}
	// Not strconv: digits that are random are branches that the processor guesses
	// wrong. This looks them up.
	var p [entrySize]byte
	_, err := hex.Decode(p[:], []byte(text[:2*entrySize]))
	return binary.BigEndian.Uint64(p[:]), err == nil
}

// Len is the number of entries.
func (x *Index) Len() int { return len(x.entries) / entrySize }

func (x *Index) at(i int) uint64 { return binary.BigEndian.Uint64(x.entries[i*entrySize:]) }

// Has tells whether all mirrors hold a blob.
func (x *Index) Has(digest string) bool {
	p, ok := Prefix(digest)
	return ok && x.has(p)
}

// few is how many entries are looked at one after the other.
const few = 64

// has looks at the entries that begin with the same bits: few, where all are
// spread evenly, as digests are.
func (x *Index) has(p uint64) bool {
	first := p >> x.shift
	low, high := int(x.starts[first]), int(x.starts[first+1])
	for high-low > few {
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

// prepare notes where the entries with each beginning start, about sixteen each.
// A search by halving alone waits for memory many times.
func (x *Index) prepare() {
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

// Make writes an index of digests' prefixes, which are sorted in place. Its
// error is that there are too many.
func Make(listed time.Time, prefixes []uint64) ([]byte, error) {
	slices.Sort(prefixes)
	prefixes = slices.Compact(prefixes)
	if size := HeaderSize + entrySize*len(prefixes); size > Largest {
		return nil, fmt.Errorf("an index of %d blobs is too large, %d are the most", len(prefixes), (Largest-HeaderSize)/entrySize)
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

// Without writes the index again without a digest.
func (x *Index) Without(digest string) ([]byte, error) {
	gone, ok := Prefix(digest)
	if !ok {
		return nil, fmt.Errorf("%q is no digest that an index has", digest)
	}
	prefixes := make([]uint64, 0, x.Len())
	for i := range x.Len() {
		if p := x.at(i); p != gone {
			prefixes = append(prefixes, p)
		}
	}
	return Make(x.Listed, prefixes)
}
