package index

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var listed = time.Unix(1_800_000_000, 0)

func random(n int, seed uint64) []uint64 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]uint64, n)
	for i := range out {
		out[i] = r.Uint64()
	}
	return out
}

func digest(p uint64) string { return fmt.Sprintf("sha256:%016x%048x", p, 7) }

func parse(t testing.TB, prefixes []uint64) *Index {
	t.Helper()
	data, err := Encode(listed, prefixes)
	if err != nil {
		t.Fatal(err)
	}
	x, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestHas compares Has with a set.
func TestHas(t *testing.T) {
	t.Parallel()
	clustered := []uint64{1 << 63, 1<<64 - 1, 0}
	for i := range uint64(5000) {
		clustered = append(clustered, 1<<40+i)
	}
	for _, tt := range []struct {
		name     string
		prefixes []uint64
	}{
		{"none", nil},
		{"one", []uint64{42}},
		{"ends", []uint64{0, 1<<64 - 1}},
		{"twice", []uint64{5, 5, 5}},
		{"few", random(9, 1)},
		{"many", random(100_000, 2)},
		{"clustered", clustered},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			set := map[uint64]bool{}
			for _, p := range tt.prefixes {
				set[p] = true
			}
			x := parse(t, append([]uint64(nil), tt.prefixes...))
			if x.Len() != len(set) || !x.Listed.Equal(listed) {
				t.Errorf("%d entries listed at %s, want %d at %s", x.Len(), x.Listed, len(set), listed)
			}
			others := append(random(10_000, 3), 0, 1, 1<<64-1, 1<<63)
			for p := range set {
				if !x.Has(digest(p)) {
					t.Fatalf("Has(%x) is false, want true", p)
				}
				others = append(others, p-1, p+1)
			}
			for _, p := range others {
				if x.Has(digest(p)) != set[p] {
					t.Fatalf("Has(%x) is %v, want %v", p, !set[p], set[p])
				}
			}
		})
	}
}

func TestOtherDigests(t *testing.T) {
	t.Parallel()
	x := parse(t, []uint64{0})
	for _, d := range []string{"", "sha256:", "sha512:0000000000000000", "sha256:000000000000000", "sha256:000000000000000g", "0000000000000000"} {
		if x.Has(d) {
			t.Errorf("Has(%q) is true, want false", d)
		}
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	x := parse(t, []uint64{1, 2, 3})
	data, err := x.Without(digest(2))
	if err != nil {
		t.Fatal(err)
	}
	y, err := Parse(data)
	if err != nil || y.Len() != 2 || y.Has(digest(2)) || !y.Has(digest(1)) || !y.Has(digest(3)) || !y.Listed.Equal(listed) {
		t.Errorf("index without 2: %+v, %v; want 1 and 3 of the same listing", y, err)
	}
	if _, err := x.Without("sha512:00"); err == nil {
		t.Error("Without accepts sha512, want an error")
	}
}

// Parse must not accept a corrupt index.
func TestCorrupt(t *testing.T) {
	t.Parallel()
	whole, err := Encode(listed, random(100, 4))
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		corrupt := bytes.Clone(whole)
		corrupt[i] ^= 1
		if _, err := Parse(corrupt); err == nil {
			t.Fatalf("Parse accepts a changed bit in byte %d", i)
		}
	}
	for n := range whole {
		if _, err := Parse(whole[:n]); err == nil {
			t.Fatalf("Parse accepts the first %d of %d bytes", n, len(whole))
		}
	}
	if _, err := Parse(append(bytes.Clone(whole), 0)); err == nil {
		t.Error("Parse accepts an additional byte")
	}
	binary.BigEndian.PutUint64(whole[16:], 1<<60)
	if _, _, err := ParseHeader(whole); err == nil {
		t.Error("ParseHeader accepts 2^60 entries")
	}
}

// FuzzParse parses anything: what Parse accepts can be searched, and Without
// removes one entry of it and no others.
func FuzzParse(f *testing.F) {
	for _, n := range []int{0, 1, 20} {
		data, err := Encode(listed, random(n, 5))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, uint64(n))
	}
	f.Fuzz(func(t *testing.T, data []byte, p uint64) {
		if len(data) >= HeaderSize { // make the checksum match
			binary.BigEndian.PutUint32(data[checksum:], sum(data[:checksum], data[HeaderSize:]))
		}
		x, err := Parse(data)
		if err != nil {
			return
		}
		x.has(p) // also if it is not sorted
		if x.Len() > 0 {
			again, err := x.Without(digest(x.at(0)))
			if err != nil {
				t.Fatal(err)
			}
			y, err := Parse(again)
			if err != nil || y.has(x.at(0)) {
				t.Fatalf("the removed entry is still there: %v", err)
			}
			for i := range x.Len() {
				if x.at(i) != x.at(0) && !y.has(x.at(i)) {
					t.Fatalf("entry %d is missing", i)
				}
			}
		}
	})
}

func TestBudget(t *testing.T) {
	prefixes := random(1_000_000, 6)
	data, err := Encode(listed, prefixes)
	if err != nil {
		t.Fatal(err)
	}
	x, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if size := len(data) + 4*len(x.starts); size > 9_000_000 {
		t.Errorf("an index of a million blobs has %d bytes, want at most 9,000,000", size)
	}
	d := digest(prefixes[7])
	if n := testing.AllocsPerRun(1000, func() {
		if !x.Has(d) {
			t.Error("Has is false, want true")
		}
	}); n != 0 {
		t.Errorf("Has allocates %v times, want 0", n)
	}
}

// BenchmarkHas looks up random digests in an index of a million.
func BenchmarkHas(b *testing.B) {
	prefixes := random(1_000_000, 7)
	digests := make([]string, 1<<16)
	for i := range digests {
		digests[i] = digest(prefixes[i])
	}
	x := parse(b, prefixes)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if !x.Has(digests[i&(len(digests)-1)]) {
			b.Fatal("Has is false, want true")
		}
	}
}
