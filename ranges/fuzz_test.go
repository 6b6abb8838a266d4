package ranges

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// FuzzParse: Parse refuses the bytes, or every lookup in the table ends without a
// panic and agrees with All and with the trie. The checksum is corrected first,
// because the fuzzer cannot find it.
func FuzzParse(f *testing.F) {
	small, err := Compile(randomPrefixes(rand.New(rand.NewPCG(1, 1)), 40), []Source{{Cloud: AWS, Version: "today", Prefixes: 40}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(shrink(small.Bytes()), true)
	f.Add(small.Bytes()[:headerSize+7], true)
	f.Add([]byte(magic), false)
	f.Fuzz(func(t *testing.T, data []byte, expanded bool) {
		if expanded {
			data = expand(data)
		}
		if len(data) >= headerSize {
			binary.LittleEndian.PutUint32(data[atChecksum:], checksum(data))
		}
		table, err := Parse(data)
		if err != nil {
			return
		}
		table.Date()
		for _, p := range table.Places() {
			if !p.Valid() {
				t.Fatalf("invalid place %+v", p)
			}
		}
		addrs := []netip.Addr{
			netip.MustParseAddr("0.0.0.0"), netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("::"),
			netip.MustParseAddr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), netip.MustParseAddr("2600:1f00::1"),
		}
		for b := range slices.Chunk(data[:min(len(data), 1024)], 16) {
			if a, ok := netip.AddrFromSlice(b); ok && !a.Is4In6() {
				addrs = append(addrs, a)
			}
		}
		n := 0
		for x := range table.All() {
			addrs = append(addrs, x.First, x.Last)
			if got, _ := table.Lookup(x.First); got != x.Place && !x.First.Is4In6() {
				t.Fatalf("Lookup(%s) = %+v, want %+v as in All", x.First, got, x)
			}
			if n++; n == 1000 {
				break
			}
		}
		for _, a := range addrs {
			got, _ := table.Lookup(a)
			if want, _ := table.walk(a); got != want {
				t.Fatalf("Lookup(%s) = %+v, want %+v as in the trie", a, got, want)
			}
		}
	})
}

// shrink compresses the hash table of shortcuts and the array for IPv4, which are
// most of a small table, so that the fuzzer reaches the trie: it keeps the slots
// in use and the changes in the array. expand is the inverse.
func shrink(data []byte) []byte {
	var slots, runs []byte
	le, last := binary.LittleEndian, uint32(0)
	for i := range shortcutSize / 8 {
		if slot := data[headerSize+8*i:][:8]; le.Uint64(slot) != 0 {
			slots = append(le.AppendUint16(slots, uint16(i)), slot...)
		}
	}
	for i := range 1 << directBits {
		if e := le.Uint32(data[directAt+wordSize*i:]); e != last {
			last = e
			runs = le.AppendUint32(le.AppendUint16(runs, uint16(i)), e)
		}
	}
	out := le.AppendUint16(slices.Clone(data[:headerSize]), uint16(len(slots)/slotSize))
	out = le.AppendUint16(out, uint16(len(runs)/runSize))
	return slices.Concat(out, slots, runs, data[trieAt:])
}

const (
	slotSize = 10
	runSize  = 6
)

func expand(data []byte) []byte {
	const counts = 4
	le := binary.LittleEndian
	if len(data) < headerSize+counts {
		return slices.Clone(data)
	}
	slots, runs := slotSize*int(le.Uint16(data[headerSize:])), runSize*int(le.Uint16(data[headerSize+2:]))
	rest := data[headerSize+counts:]
	if len(rest) < slots+runs {
		return slices.Clone(data)
	}
	out := append(slices.Clone(data[:headerSize]), make([]byte, shortcutSize+directSize)...)
	for s := range slices.Chunk(rest[:slots], slotSize) {
		copy(out[headerSize+int(le.Uint16(s))%(shortcutSize/8)*8:], s[2:])
	}
	left, e := rest[slots:][:runs], uint32(0)
	for i := range 1 << directBits {
		for len(left) > 0 && int(le.Uint16(left)) <= i {
			e, left = le.Uint32(left[2:]), left[runSize:]
		}
		le.PutUint32(out[directAt+wordSize*i:], e)
	}
	return append(out, rest[slots+runs:]...)
}

func TestExpandIsInverseOfShrink(t *testing.T) {
	t.Parallel()
	table, err := Compile(randomPrefixes(rand.New(rand.NewPCG(1, 1)), 40), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(expand(shrink(table.Bytes())), table.Bytes()) {
		t.Error("the seed of the fuzzer is not the table it is made from")
	}
}

func FuzzLookup(f *testing.F) {
	prefixes := randomPrefixes(rand.New(rand.NewPCG(2, 2)), 300)
	table, err := Compile(prefixes, nil)
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range prefixes {
		f.Add(p.Prefix.Addr().AsSlice())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, ok := netip.AddrFromSlice(b)
		if !ok {
			return
		}
		got, _ := table.Lookup(a)
		if want, _ := oracle(prefixes).Lookup(a); got != want {
			t.Fatalf("Lookup(%s) = %+v, want %+v", a, got, want)
		}
	})
}
