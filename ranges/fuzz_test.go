package ranges

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

// FuzzParse: whatever the bytes, the decoder either refuses them or what it
// accepts can be asked anything: no panic, no endless walk, and All agrees
// with Lookup. The checksum is put right first, or nothing would get past it.
func FuzzParse(f *testing.F) {
	small, err := Compile(randomPrefixes(rand.New(rand.NewPCG(1, 1)), 40), []Source{{AWS, "today", 40}})
	if err != nil {
		f.Fatal(err)
	}
	// The shortcuts are most of a small table; without their bytes the fuzzer
	// reaches the trie.
	cut := small.Bytes()
	f.Add(append(cut[:headerSize:headerSize], cut[trieAt:]...), true)
	f.Add(cut[:headerSize+7], true)
	f.Add([]byte(magic), false)
	f.Fuzz(func(t *testing.T, data []byte, restore bool) {
		if restore && len(data) >= headerSize {
			data = append(append(append([]byte{}, data[:headerSize]...), make([]byte, shortcutSize)...), data[headerSize:]...)
		}
		if len(data) >= headerSize {
			binary.LittleEndian.PutUint32(data[atChecksum:], checksum(string(data)))
		}
		table, err := Parse(data)
		if err != nil {
			return
		}
		table.Places()
		table.Sources()
		n := 0
		for x := range table.All() {
			if got, _ := table.Lookup(x.First); got != x.Place && !x.First.Is4In6() {
				t.Fatalf("Lookup(%s) = %+v, but All says %+v", x.First, got, x)
			}
			if n++; n == 1000 {
				break
			}
		}
		for _, a := range []string{"0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2600:1f00::1"} {
			table.Lookup(netip.MustParseAddr(a))
		}
	})
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

// TestParseRefusesEveryDamage flips each byte in turn.
func TestParseRefusesEveryDamage(t *testing.T) {
	table, err := Compile(randomPrefixes(rand.New(rand.NewPCG(1, 1)), 40), nil)
	if err != nil {
		t.Fatal(err)
	}
	data := table.Bytes()
	for i := 0; i < len(data); i += 1 + len(data)/2000 {
		data[i] ^= 0x40
		if _, err := Parse(data); err == nil {
			t.Fatalf("a table with byte %d changed is accepted", i)
		}
		data[i] ^= 0x40
	}
	for _, n := range []int{0, 7, headerSize - 1, headerSize, len(data) - 1} {
		if _, err := Parse(data[:n]); err == nil {
			t.Errorf("the first %d of %d bytes are accepted", n, len(data))
		}
	}
}
