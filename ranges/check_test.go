package ranges

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestParseRefusesEveryDamage changes one byte at a time.
func TestParseRefusesEveryDamage(t *testing.T) {
	t.Parallel()
	table, err := Compile(randomPrefixes(rand.New(rand.NewPCG(1, 1)), 40), nil)
	if err != nil {
		t.Fatal(err)
	}
	data := table.Bytes()
	for i := 0; i < len(data); i += 1 + len(data)/2000 {
		data[i] ^= 0x40
		if _, err := Parse(data); err == nil {
			t.Fatalf("Parse accepts a table with byte %d changed", i)
		}
		data[i] ^= 0x40
	}
	for _, n := range []int{0, 7, headerSize - 1, headerSize, len(data) - 1} {
		if _, err := Parse(data[:n]); err == nil {
			t.Errorf("Parse accepts the first %d of %d bytes", n, len(data))
		}
	}
	if _, err := Parse(make([]byte, MaxSize+1)); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "exceed the limit") {
		t.Errorf("Parse of more than MaxSize bytes: %v", err)
	}
}

// TestParseRefuses changes one value at a time in a table with a correct checksum:
// what a lookup follows must not lead outside or in circles.
func TestParseRefuses(t *testing.T) {
	t.Parallel()
	table, err := Compile([]Prefix{
		{netip.MustParsePrefix("10.0.0.0/8"), Place{AWS, "eu-west-3"}},
		{netip.MustParsePrefix("10.1.2.0/24"), Place{GCP, "europe-west9"}},
		{netip.MustParsePrefix("10.2.2.0/24"), Place{GCP, "europe-west9"}},
		{netip.MustParsePrefix("2600:1f00::/40"), Place{AWS, "eu-west-3"}},
		{netip.MustParsePrefix("2600:1f00::1/128"), Place{GCP, "europe-west9"}},
	}, []Source{{AWS, "today", time.Unix(1, 0), 2}, {GCP, "today", time.Unix(1, 0), 1}})
	if err != nil {
		t.Fatal(err)
	}
	const slot = directAt + wordSize*(10<<8|1) // of 10.1.0.0/16, a node
	node := table.direct(10<<8 | 1)
	cells := trieAt + wordSize*uint64(node&offsetMask)
	shortcut := uint64(headerSize)
	for load64(table.data, shortcut) == 0 {
		shortcut += 8
	}
	places, sources := table.section(atPlaces), table.section(atSources)
	for name, c := range map[string]struct {
		at   uint64
		word uint32
		want string
	}{
		"name-before-text":     {places, 0xffff | 5<<lengthAt, "outside of the text"},
		"name-after-end":       {places, 3 | 5<<lengthAt, "outside of the text"},
		"unknown-cloud":        {places, 9 | 5<<lengthAt | cloudMask<<cloudAt, "unknown cloud with code 63"},
		"version-after-end":    {sources, 3 | 5<<lengthAt, "outside of the text"},
		"no-version":           {sources, 9, "invalid version"},
		"source-twice":         {sources + sourceSize, load32(table.data, sources), "two are of one cloud"},
		"date-out-of-range":    {sources + 12, 1 << 31, "out of range"},
		"no-region":            {places, 9, "invalid region"},
		"place-twice":          {places + placeSize, load32(table.data, places), "two places share a name"},
		"place-beyond-text":    {slot, endMask | 1<<lengthAt, "not in the list"},
		"place-not-listed":     {slot, 9 | 1<<lengthAt, "not in the list"},
		"node-after-trie":      {slot, node | offsetMask, "node is at a wrong position"},
		"node-twice":           {slot + wordSize, node, "node is at a wrong position"},
		"node-too-wide":        {slot, node&^(restMask<<restAt) | (64-17)<<restAt, "too many bits"},
		"node-of-another-size": {slot, node&^(restMask<<restAt) | (64-16)<<restAt, "wrong position"},
		"node-of-lower-half":   {slot, node | lowBit, "wrong half"},
		"no-first-entry":       {cells, 0, "bitmap of a node is invalid"},
		"shared-node":          {atRoot6, table.direct(10<<8 | 2), "node is at a wrong position"},
		"entry-after-trie":     {cells + 8, 1 << 20, "wrong position"},
		"entry-before-trie":    {cells + 8, ^uint32(1), "wrong position"},
		"too-many-entries":     {cells, ^uint32(0), "wrong"},
		"shortcut-to-nothing":  {headerSize, 1, "differs from the trie"},
		"shortcut-to-place":    {shortcut, load32(table.data, places), "differs from the trie"},
		"places-in-trie":       {atPlaces, directAt, "sections overlap"},
		"sources-after-text":   {atSources, load32(table.data, atText) + sourceSize, "sections overlap"},
		"text-after-end":       {atText, 1 << 30, "sections overlap"},
	} {
		t.Run(name, func(t *testing.T) {
			data := table.Bytes()
			binary.LittleEndian.PutUint32(data[c.at:], c.word)
			binary.LittleEndian.PutUint32(data[atChecksum:], checksum(data))
			if _, err := Parse(data); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Parse: %v, want an error with %q", err, c.want)
			}
		})
	}
}

// TestParseRefusesNodes has tries that Compile does not make. With nodes that
// several slots share, a small table could have exponentially many ranges.
func TestParseRefusesNodes(t *testing.T) {
	t.Parallel()
	node := func(width, position uint32) uint32 { return nodeBit | (64-width)<<restAt | position }
	// child returns a node of width 1 with no place in both slots.
	child := func(position uint32) []uint32 { return []uint32{0b01, 0, position + 2, 0} }
	for _, tt := range []struct {
		name  string
		entry uint32
		words []uint32
		want  string
	}{
		{"one-level", node(1, 0), child(0), ""},
		{"two-levels", node(1, 0), slices.Concat([]uint32{0b11, 0, 2, 0, node(1, 5)}, child(5)), ""},
		{"unused-words", node(1, 0), append(child(0), 0), "unused words"},
		{"unused-trie", 0, child(0), "unused words"},
		{"bit-after-last-slot", node(1, 0), []uint32{0b101, 0, 2, 0, 0}, "bitmap of a node is invalid"},
		{"itself", node(1, 0), []uint32{0b11, 0, 2, node(1, 0), 0}, "wrong position"},
		{"all-slots-share", node(1, 0), slices.Concat([]uint32{0b01, 0, 2, node(1, 4)}, child(4)), "two slots share a node"},
		{"last-slots-share", node(2, 0), slices.Concat([]uint32{0b0011, 0, 2, 0, node(1, 5)}, child(5)), "two slots share a node"},
		{"cells-share", node(7, 0), slices.Concat([]uint32{1, 1 << 31, 5, 0, 0, 7, 0, node(1, 8)}, child(8)), "two slots share a node"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := builder{words: tt.words}
			data, err := b.encode(append([]uint32{tt.entry}, make([]uint32, 1<<directBits-1)...), 0, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := Parse(data); tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("Parse: %v, want %q", err, tt.want)
			}
		})
	}
}

// TestParseRefusesShortcutIntoNode: a shortcut is for a block of /40, so it must not
// lead to an entry for a part of one.
func TestParseRefusesShortcutIntoNode(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		width uint32 // of the node at /39
		want  string
	}{
		{1, ""},
		{2, "shortcut for ::/40 differs from the trie"},
	} {
		var b builder
		for i := range uint32(39) {
			b.words = append(b.words, 0b11, 0, 5*i+2, nodeBit|63<<restAt|5*(i+1), 0)
		}
		n := uint32(len(b.words))
		b.words[n-2] = nodeBit | (64-tt.width)<<restAt | n
		b.words = append(b.words, 0b01, 0, n+2, 0)
		data, err := b.encode(make([]uint32, 1<<directBits), nodeBit|63<<restAt, nil)
		if err != nil {
			t.Fatal(err)
		}
		binary.LittleEndian.PutUint64(data[headerSize:], tagBit<<32)
		binary.LittleEndian.PutUint32(data[atChecksum:], checksum(data))
		if _, err := Parse(data); tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("width %d: Parse: %v, want %q", tt.width, err, tt.want)
		}
	}
}

// TestParseIsCheap: a table that is fetched is parsed in one pass, and needs little
// more memory than its size. BenchmarkParse has the time.
func TestParseIsCheap(t *testing.T) {
	data := []byte(embedded)
	var err error
	parse := func() { _, err = Parse(data) }
	if n := testing.AllocsPerRun(10, parse); err != nil || n > 3 {
		t.Errorf("Parse allocates %v times, want at most 3; error %v", n, err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	parse()
	runtime.ReadMemStats(&after)
	if n, want := after.TotalAlloc-before.TotalAlloc, uint64(len(data)+320<<10); n > want {
		t.Errorf("Parse allocates %d bytes for a table of %d, want at most %d", n, len(data), want)
	}
}

func BenchmarkParse(b *testing.B) {
	data := []byte(embedded)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(data); err != nil {
			b.Fatal(err)
		}
	}
}
