package copier

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	// prunePrefix is the prefix in a State of the record of blobs that no manifest refers
	// to. It has a piece for each first hexadecimal digit of digests, so that one after the
	// other fits into memory.
	prunePrefix = "prune/"
	pruneDigits = "0123456789abcdef"
	// oldPruneName is the name of the record of an earlier version, which is not read.
	oldPruneName = "prune.json"
)

// pruneEntry is what the record has of a blob. Times are Unix seconds.
type pruneEntry struct {
	digest Digest
	// since is the time of the first run that found it unreferenced, 0 if no bucket had it
	// in the last run.
	since int64
	// out is the time from which on no index had it, 0 if that is not known.
	out int64
	// until is the time until which no index may be written that has it, 0 if one may.
	until int64
}

// pruneRecord is a piece of the record: the time until which every blob with its digit
// stays out of new indexes, and entries with ascending digests.
type pruneRecord []byte

const (
	pruneHeader    = 8
	pruneEntrySize = digestSize + 3*8
)

// newPruneRecord returns a record without entries.
func newPruneRecord(allUntil int64) pruneRecord {
	return binary.BigEndian.AppendUint64(nil, uint64(allUntil))
}

func (r pruneRecord) allUntil() int64 { return int64(binary.BigEndian.Uint64(r)) }

func (r pruneRecord) len() int { return (len(r) - pruneHeader) / pruneEntrySize }

func (r pruneRecord) at(i int) pruneEntry {
	e := r[pruneHeader+i*pruneEntrySize:][:pruneEntrySize]
	seconds := func(n int) int64 { return int64(binary.BigEndian.Uint64(e[digestSize+8*n:])) }
	return pruneEntry{Digest(e[:digestSize]), seconds(0), seconds(1), seconds(2)}
}

// all iterates over the entries.
func (r pruneRecord) all(yield func(pruneEntry) bool) {
	for i := range r.len() {
		if !yield(r.at(i)) {
			return
		}
	}
}

// add appends an entry. Digests must be added in ascending order.
func (r pruneRecord) add(e pruneEntry) pruneRecord {
	r = append(r, e.digest[:]...)
	for _, t := range []int64{e.since, e.out, e.until} {
		r = binary.BigEndian.AppendUint64(r, uint64(t))
	}
	return r
}

// pruneName returns the name of the piece of a digit.
func pruneName(digit int) string { return prunePrefix + pruneDigits[digit:digit+1] }

// loadPruneRecord reads the piece of a digit, which may not exist. If it is damaged, the
// record is nil.
func loadPruneRecord(ctx context.Context, s State, digit int) (pruneRecord, error) {
	data, err := s.Get(ctx, pruneName(digit))
	if err != nil {
		return nil, err
	}
	if data == nil {
		return newPruneRecord(0), nil
	}
	size := len(data) - pieceHash
	if size < pruneHeader || (size-pruneHeader)%pruneEntrySize != 0 || string(data[size:]) != hashOf(data[:size]) {
		return nil, nil
	}
	r := pruneRecord(data[:size])
	if r.len() > 0 && (r.at(0).digest[0]>>4 != byte(digit) || r.at(r.len() - 1).digest[0]>>4 != byte(digit)) {
		return nil, nil // of another digit
	}
	return r, nil
}

// save writes the piece of a digit if it differs from what was there before; nil is a
// damaged piece.
func (r pruneRecord) save(ctx context.Context, s State, digit int, before pruneRecord) error {
	switch name := pruneName(digit); {
	case before != nil && bytes.Equal(r, before):
		return nil
	case r.len() == 0 && r.allUntil() == 0:
		return s.Delete(ctx, name)
	default:
		return s.Put(ctx, name, append(r, hashOf(r)...))
	}
}

func damagedPruneRecord(digit int) string {
	return fmt.Sprintf("state %q is damaged", pruneName(digit))
}

// unindexed are the blobs that no index may have.
type unindexed struct {
	entries []uint64 // of an index, in ascending order
	// digits are the first hexadecimal digits of which no index may have any blob.
	digits [len(pruneDigits)]bool
	// warnings are one line each.
	warnings []string
}

// has reports whether no index may have a blob.
func (u *unindexed) has(d Digest) bool {
	_, is := slices.BinarySearch(u.entries, binary.BigEndian.Uint64(d[:]))
	return is || u.digits[d[0]>>4]
}

// beingPruned returns the blobs that are to be deleted, or were deleted not long ago, so
// that an index may be written from an inventory that still has them. A nil State has
// none.
func beingPruned(ctx context.Context, s State, now time.Time) (*unindexed, error) {
	u := &unindexed{}
	if s == nil {
		return u, nil
	}
	names, err := s.Names(ctx, prunePrefix)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text := strings.TrimPrefix(name, prunePrefix)
		digit := strings.Index(pruneDigits, text)
		if len(text) != 1 || digit < 0 {
			continue
		}
		record, err := loadPruneRecord(ctx, s, digit)
		switch {
		case err != nil:
			return nil, err
		case record == nil:
			u.digits[digit] = true
			u.warnings = append(u.warnings, damagedPruneRecord(digit)+fmt.Sprintf(": the blob index has no blobs with the first digit %s: run archeio mirror prune to rebuild it", text))
			continue
		}
		u.digits[digit] = record.allUntil() > now.Unix()
		for e := range record.all {
			if e.until > now.Unix() {
				u.entries = append(u.entries, binary.BigEndian.Uint64(e.digest[:]))
			}
		}
	}
	return u, nil
}
