package copier

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
)

// TestDigestSet tests that a set has what was added and nothing else, in the memory that
// it promises.
func TestDigestSet(t *testing.T) {
	t.Parallel()
	const n = 100_000
	digest := func(i int) Digest { return sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(i))) }
	var s digestSet
	for i := range n {
		if s.has(digest(i)) {
			t.Fatalf("it has digest %d before it was added", i)
		}
		s.add(digest(i))
		if i%7 == 0 {
			s.add(digest(i / 2)) // again
		}
	}
	for i := range n {
		if !s.has(digest(i)) || s.has(digest(n+i)) {
			t.Fatalf("digest %d: %t, digest %d, which was not added: %t", i, s.has(digest(i)), n+i, s.has(digest(n+i)))
		}
	}
	keys, recent := 0, 0
	for _, p := range s.parts {
		keys, recent = keys+cap(p.keys), recent+len(p.recent)
	}
	if keys > n*keySize || recent > n/8 {
		t.Errorf("%d bytes of keys and %d recent digests, want at most %d and %d", keys, recent, n*keySize, n/8)
	}
}
