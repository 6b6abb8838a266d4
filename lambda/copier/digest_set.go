package copier

import (
	"bytes"
	"maps"
	"slices"
	"sort"
)

// digestKey is the beginning of a digest, which no two blobs or manifests have in common
// by chance: a collision takes 2^64 hashes.
type digestKey [keySize]byte

const keySize = 16

// digestKeys are digestKeys in ascending order.
type digestKeys []byte

// find returns the position of a digest.
func (k digestKeys) find(d Digest) (i int, ok bool) {
	n := len(k) / keySize
	i = sort.Search(n, func(i int) bool { return bytes.Compare(k[i*keySize:][:keySize], d[:keySize]) >= 0 })
	return i, i < n && bytes.Equal(k[i*keySize:][:keySize], d[:keySize])
}

// digestSet is a set of digests in about 18 bytes per digest. The zero value is empty. It
// is not safe for concurrent use.
type digestSet struct{ parts [partitions]digestSetPart } // by the first byte

type digestSetPart struct {
	keys   digestKeys
	recent map[digestKey]bool // which are merged into keys
}

const (
	// A part merges its recent digests when they are more than minRecent, and more than one
	// for recentShare others: the map needs more memory for a digest than the keys.
	minRecent   = 64
	recentShare = 16
)

func (s *digestSet) add(d Digest) {
	p := &s.parts[d[0]]
	if _, ok := p.keys.find(d); ok {
		return
	}
	if p.recent == nil {
		p.recent = map[digestKey]bool{}
	}
	p.recent[digestKey(d[:keySize])] = true
	if n := len(p.recent); n > max(minRecent, len(p.keys)/keySize/recentShare) {
		p.merge()
	}
}

func (p *digestSetPart) merge() {
	all := make(digestKeys, 0, len(p.keys)+len(p.recent)*keySize)
	rest := p.keys
	for _, key := range slices.SortedFunc(maps.Keys(p.recent), func(a, b digestKey) int { return bytes.Compare(a[:], b[:]) }) {
		for len(rest) > 0 && bytes.Compare(rest[:keySize], key[:]) < 0 {
			all, rest = append(all, rest[:keySize]...), rest[keySize:]
		}
		all = append(all, key[:]...)
	}
	p.keys = append(all, rest...)
	clear(p.recent)
}

func (s *digestSet) has(d Digest) bool {
	p := &s.parts[d[0]]
	_, ok := p.keys.find(d)
	return ok || p.recent[digestKey(d[:keySize])]
}
