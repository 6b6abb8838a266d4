package ranges

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
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
	cut := small.Bytes()
	f.Add(shrink(cut), true)
	f.Add(cut[:headerSize+7], true)
	f.Add([]byte(magic), false)
	f.Fuzz(func(t *testing.T, data []byte, restore bool) {
		if restore {
			data = expand(data)
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
			got, _ := table.Lookup(netip.MustParseAddr(a))
			if want, _ := table.walk(netip.MustParseAddr(a)); got != want {
				t.Fatalf("Lookup(%s) = %+v, want %+v", a, got, want)
			}
		}
	})
}

// The shortcuts and what stands for IPv4 are most of a small table. shrink
// leaves the former away and has of the latter only where it changes, up to 255
// times; so the fuzzer reaches the trie. expand undoes it.
func shrink(data []byte) []byte {
	var runs []byte
	n, last := byte(0), uint32(0)
	for i := range 1 << directBits {
		e := binary.LittleEndian.Uint32(data[directAt+wordSize*i:])
		if e != last && n < 255 {
			n, last = n+1, e
			runs = binary.LittleEndian.AppendUint16(runs, uint16(i))
			runs = binary.LittleEndian.AppendUint32(runs, e)
		}
	}
	return slices.Concat(data[:headerSize], []byte{n}, runs, data[trieAt:])
}

func expand(data []byte) []byte {
	const runSize = 6
	if len(data) <= headerSize || len(data) < headerSize+1+runSize*int(data[headerSize]) {
		return data
	}
	runs := data[headerSize+1:][:runSize*int(data[headerSize])]
	out := append(slices.Clone(data[:headerSize]), make([]byte, shortcutSize+directSize)...)
	for i, e := 0, uint32(0); i < 1<<directBits; i++ {
		for len(runs) > 0 && int(binary.LittleEndian.Uint16(runs)) <= i {
			e, runs = binary.LittleEndian.Uint32(runs[2:]), runs[runSize:]
		}
		binary.LittleEndian.PutUint32(out[directAt+wordSize*i:], e)
	}
	return append(out, data[headerSize+1+runSize*int(data[headerSize]):]...)
}

func TestExpandUndoesShrink(t *testing.T) {
	table, err := Compile(randomPrefixes(rand.New(rand.NewPCG(1, 1)), 40), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := table.Bytes()
	clear(want[headerSize:directAt])
	if got := expand(shrink(table.Bytes())); !slices.Equal(got, want) {
		t.Error("the fuzzer does not begin with the table that it was given")
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

// TestParseRefuses: Lookup does not ask whether an offset lies inside of the
// table, so nothing may get past Parse that leads outside. The checksum is right
// each time.
func TestParseRefuses(t *testing.T) {
	table, err := Compile([]Prefix{
		{netip.MustParsePrefix("10.0.0.0/8"), Place{AWS, "eu-west-3"}},
		{netip.MustParsePrefix("10.1.2.0/24"), Place{GCP, "europe-west9"}},
		{netip.MustParsePrefix("2600:1f00::/40"), Place{AWS, "eu-west-3"}},
		{netip.MustParsePrefix("2600:1f00::1/128"), Place{GCP, "europe-west9"}},
	}, []Source{{AWS, "today", 2}})
	if err != nil {
		t.Fatal(err)
	}
	const slot = directAt + wordSize*(10<<8|1) // of 10.1.0.0/16, a node
	node := table.direct(10<<8 | 1)
	cells := trieAt + wordSize*uint64(node&offsetMask)
	places, sources := uint64(load32(table.data, atPlaces)), uint64(load32(table.data, atSources))
	for name, c := range map[string]struct {
		at   uint64
		word uint32
		want string
	}{
		"name-before-text":    {places, 0xffff | 5<<lengthAt, "outside of its text"},
		"name-after-end":      {places, 3 | 5<<lengthAt, "outside of its text"},
		"unknown-cloud":       {places, 9 | 5<<lengthAt | 3<<cloudAt, "outside of its text"},
		"date-after-end":      {sources, 3 | 5<<lengthAt, "outside of its text"},
		"no-name":             {places, 9, "no name"},
		"place-not-listed":    {slot, 9 | 1<<lengthAt, "not in the list"},
		"node-after-trie":     {slot, node | offsetMask, "outside of the trie"},
		"node-twice":          {slot + wordSize, node, "two parents"},
		"node-too-wide":       {slot, node&^(restMask<<restAt) | (64-17)<<restAt, "more bits than are left"},
		"node-of-lower-half":  {slot, node | lowBit, "wrong half"},
		"entry-after-trie":    {cells + 8, 1 << 20, "outside of the trie"},
		"entry-before-trie":   {cells + 8, ^uint32(1), "outside of the trie"},
		"shortcut-of-nothing": {headerSize, 1, "elsewhere than the trie"},
		"places-in-trie":      {atPlaces, directAt, "sections overlap"},
		"sources-after-text":  {atSources, load32(table.data, atText) + 12, "sections overlap"},
		"text-after-end":      {atText, 1 << 30, "sections overlap"},
	} {
		t.Run(name, func(t *testing.T) {
			data := table.Bytes()
			binary.LittleEndian.PutUint32(data[c.at:], c.word)
			binary.LittleEndian.PutUint32(data[atChecksum:], checksum(string(data)))
			if _, err := Parse(data); err == nil || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error with %q", err, c.want)
			}
		})
	}
}
