package index

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"
)

const (
	// Skew is how much clocks may differ: an index of a later time is invalid.
	Skew = 5 * time.Minute
	// DigestSize is the size of a SHA-256 in bytes.
	DigestSize = 32

	magic       = "ARCHEIO2"
	algorithm   = "sha256:"
	checksumAt  = 28
	mirrorsAt   = 32
	mirrorSize  = 32
	witnessesAt = mirrorsAt + MaxMirrors*mirrorSize
)

// Digest is a SHA-256.
type Digest [DigestSize]byte

// String returns the digest as the OCI image specification writes it.
func (d Digest) String() string { return algorithm + hex.EncodeToString(d[:]) }

// ParseDigest returns the digest that a text of "sha256:" and 64 hexadecimal digits
// stands for, false if it is not one.
func ParseDigest(text string) (d Digest, ok bool) {
	digits, ok := strings.CutPrefix(text, algorithm)
	if !ok || len(digits) != hex.EncodedLen(DigestSize) {
		return d, false
	}
	_, err := hex.Decode(d[:], []byte(digits))
	return d, err == nil
}

func (d Digest) prefix() uint64 { return binary.BigEndian.Uint64(d[:]) }

// Header is what an index says about itself.
type Header struct {
	// Listed is the start of the listing that it was made of.
	Listed time.Time
	// Mirrors are the AWS regions of the mirrors that it covers, ascending.
	Mirrors []string
	// Witnesses are digests of blobs that all of them have, ascending and spread
	// over all digests. There are none only if there are no entries.
	Witnesses []string
	// Entries is the number of entries.
	Entries int
}

// Size returns the size of the index in bytes, and how many bytes it needs in memory.
func (h *Header) Size() (stored, inMemory int64) {
	n := int64(h.Entries) * entrySize
	return HeaderSize + n, n + 4<<bits.Len(uint(h.Entries/16))
}

// ErrInvalid is in the chain of every error about the content of an index.
var ErrInvalid = errors.New("invalid blob index")

func invalid(format string, values ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, values...)...)
}

// ParseHeader parses the first HeaderSize bytes of an index. The checksum is of the
// whole index, so it is not verified.
func ParseHeader(data []byte) (h Header, err error) {
	if len(data) < HeaderSize || string(data[:len(magic)]) != magic {
		return h, invalid("it does not begin with %q, or is shorter than its header", magic)
	}
	h.Listed = time.UnixMilli(int64(binary.BigEndian.Uint64(data[8:])))
	n := binary.BigEndian.Uint32(data[16:])
	mirrors, witnesses := int(binary.BigEndian.Uint16(data[20:])), int(binary.BigEndian.Uint16(data[22:]))
	switch {
	case n > maxEntries:
		return h, invalid("%d entries, want at most %d", n, maxEntries)
	case mirrors < 1 || mirrors > MaxMirrors:
		return h, invalid("%d mirrors, want 1 to %d", mirrors, MaxMirrors)
	case witnesses > MaxWitnesses || witnesses == 0 && n > 0:
		return h, invalid("%d witnesses, want 1 to %d", witnesses, MaxWitnesses)
	case !zero(data[24:checksumAt]), !zero(data[mirrorsAt+mirrors*mirrorSize : witnessesAt]), !zero(data[witnessesAt+witnesses*DigestSize : HeaderSize]):
		return h, invalid("unused bytes of the header are not zero")
	}
	h.Entries = int(n)
	h.Mirrors = make([]string, mirrors)
	for i := range h.Mirrors {
		name := strings.TrimRight(string(data[mirrorsAt+i*mirrorSize:][:mirrorSize]), "\x00")
		if !validRegion(name) || i > 0 && name <= h.Mirrors[i-1] {
			return h, invalid("mirror %d: %.40q: want AWS regions in ascending order", i+1, name)
		}
		h.Mirrors[i] = name
	}
	h.Witnesses = make([]string, witnesses)
	for i := range h.Witnesses {
		h.Witnesses[i] = Digest(data[witnessesAt+i*DigestSize:][:DigestSize]).String()
		if i > 0 && h.Witnesses[i] <= h.Witnesses[i-1] {
			return h, invalid("witness %d: %s: want digests in ascending order", i+1, h.Witnesses[i])
		}
	}
	return h, nil
}

// validRegion reports whether a name can be that of an AWS region.
func validRegion(name string) bool {
	if name == "" || len(name) > mirrorSize {
		return false
	}
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

func zero(data []byte) bool {
	for _, b := range data {
		if b != 0 {
			return false
		}
	}
	return true
}
