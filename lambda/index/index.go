// Package index encodes and searches the blob index, the list of the blobs that all
// mirrors have. It is one object in each mirror: the mirror functions write it, and
// the redirector reads it to save existence checks.
//
// The object is a header, followed by 8 bytes for each blob: the first 64 bits of its
// SHA-256, in ascending order. It is searched as it is stored, with a table of where
// to start. In an index of a million blobs, another blob is found with a probability
// of about 1 in 18 trillion, unless a client makes up a digest that begins like one.
//
// The header lists the mirrors that the index is about, and the whole digests of some
// blobs that all of them have. If a mirror does not have these witnesses, the index is
// not true of it.
//
//	offset  bytes
//	0       8      "ARCHEIO2": type and version of the format
//	8       8      start of the listing that it was made of, Unix milliseconds
//	16      4      number of entries
//	20      2      number of mirrors
//	22      2      number of witnesses
//	24      4      0
//	28      4      CRC-32C of everything else, in order
//	32      32×64  AWS regions of the mirrors, ascending, each filled up with zeros
//	2080    32×32  witnesses, ascending
//	3104           entries
//
// Numbers are big-endian. The rest of both lists is zero.
package index

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"slices"
	"strings"
)

const (
	// Name is the key of the object below the prefix of the blobs.
	Name = "index.v2"
	// HeaderSize is the size of the header in bytes.
	HeaderSize = witnessesAt + MaxWitnesses*DigestSize
	// MaxSize is the maximum size of an index in bytes: eight million blobs.
	MaxSize = HeaderSize + entrySize*maxEntries
	// MaxMirrors and MaxWitnesses are the maximum numbers of mirrors and witnesses.
	MaxMirrors, MaxWitnesses = 64, 32

	entrySize  = 8
	maxEntries = 8_000_000
)

// Index is a parsed index. It is immutable and safe for concurrent use.
type Index struct {
	Header
	entries []byte
	// starts has the position of the first entry for each value of the bits above
	// shift, and finally the number of entries.
	starts []uint32
	shift  uint
}

// Covers reports whether the index is about the mirror in an AWS region.
func (x *Index) Covers(region string) bool {
	_, found := slices.BinarySearch(x.Mirrors, region)
	return found
}

// Prefix returns the entry of a digest, false if an index cannot have the digest.
func Prefix(digest string) (uint64, bool) {
	text, ok := strings.CutPrefix(digest, algorithm)
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

// makeTable allocates the table of where the entries of each value of the upper bits
// start, about sixteen each. A binary search alone would wait for memory many times.
func (x *Index) makeTable(entries int) {
	width := bits.Len(uint(entries / 16))
	x.shift = uint(64 - width)
	x.starts = make([]uint32, 1<<width+1)
}
