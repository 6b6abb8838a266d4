package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

var (
	listed  = time.Unix(1_800_000_000, 0)
	mirrors = []string{"us-east-1", "eu-west-1"}
)

func random(n int, seed uint64) []uint64 {
	r := rand.New(rand.NewPCG(seed, 1))
	out := make([]uint64, n)
	for i := range out {
		out[i] = r.Uint64()
	}
	return out
}

// withPrefix returns a digest that begins with an entry.
func withPrefix(p uint64) (d Digest) {
	binary.BigEndian.PutUint64(d[:], p)
	d[DigestSize-1] = 7
	return d
}

func digest(p uint64) string { return withPrefix(p).String() }

func digests(prefixes []uint64) iter.Seq[Digest] {
	return func(yield func(Digest) bool) {
		for _, p := range prefixes {
			if !yield(withPrefix(p)) {
				return
			}
		}
	}
}

func encoded(t testing.TB, prefixes []uint64) []byte {
	t.Helper()
	data, err := Encode(listed, mirrors, digests(prefixes))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, prefixes []uint64) *Index {
	t.Helper()
	x, err := Parse(encoded(t, prefixes))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// seal makes the checksum match.
func seal(data []byte) []byte {
	sum := crc32.Update(crc32.Checksum(data[:checksumAt], castagnoli()), castagnoli(), data[checksumAt+4:])
	binary.BigEndian.PutUint32(data[checksumAt:], sum)
	return data
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
			x := parse(t, tt.prefixes)
			if x.Len() != len(set) || x.Entries != len(set) || !x.Listed.Equal(listed) {
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

func TestCovers(t *testing.T) {
	t.Parallel()
	x := parse(t, []uint64{1})
	if want := []string{"eu-west-1", "us-east-1"}; !slices.Equal(x.Mirrors, want) {
		t.Errorf("mirrors %q, want %q", x.Mirrors, want)
	}
	for region, want := range map[string]bool{"us-east-1": true, "eu-west-1": true, "eu-west": false, "eu-west-10": false, "": false} {
		if x.Covers(region) != want {
			t.Errorf("Covers(%q) is %v, want %v", region, !want, want)
		}
	}
}

// The witnesses are whole digests from all over the key space, and do not depend on
// the order of the blobs.
func TestWitnesses(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(8, 1))
	blobs := make([]Digest, 10_000)
	all := map[string]bool{}
	for i := range blobs {
		for j := range blobs[i] {
			blobs[i][j] = byte(r.Uint32())
		}
		all[blobs[i].String()] = true
	}
	data, err := Encode(listed, mirrors, slices.Values(blobs))
	if err != nil {
		t.Fatal(err)
	}
	x, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	if len(x.Witnesses) != MaxWitnesses {
		t.Fatalf("%d witnesses, want %d", len(x.Witnesses), MaxWitnesses)
	}
	for i, w := range x.Witnesses {
		d, ok := ParseDigest(w)
		if !ok || !all[w] {
			t.Errorf("witness %s is not a digest of the blobs", w)
		}
		if int(d[0])/8 != i {
			t.Errorf("witness %d is %s, want one of each 32nd of all digests", i, w)
		}
	}
	slices.Reverse(blobs)
	again, err := Encode(listed, []string{"eu-west-1", "us-east-1", "eu-west-1"}, slices.Values(blobs))
	if err != nil || !bytes.Equal(again, data) {
		t.Errorf("the same blobs in another order give another index (%v)", err)
	}
	if got := parse(t, []uint64{1, 2}).Witnesses; !slices.Equal(got, []string{digest(1)}) {
		t.Errorf("witnesses %q of two blobs with similar digests, want one", got)
	}
}

func TestEncodeRefuses(t *testing.T) {
	t.Parallel()
	many := make([]string, MaxMirrors+1)
	for i := range many {
		many[i] = fmt.Sprintf("region-%d", i)
	}
	for _, tt := range []struct {
		name    string
		mirrors []string
		want    string
	}{
		{"no-mirror", nil, "no mirrors"},
		{"many-mirrors", many, "65 mirrors: want at most 64"},
		{"empty-name", []string{""}, `invalid mirror ""`},
		{"long-name", []string{strings.Repeat("x", 33)}, "invalid mirror"},
		{"zero-byte", []string{"us\x00"}, "invalid mirror"},
	} {
		if _, err := Encode(listed, tt.mirrors, digests(nil)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestWithout(t *testing.T) {
	t.Parallel()
	const far = 1 << 63
	x := parse(t, []uint64{1, 2, far})
	for _, tt := range []struct {
		name      string
		gone      []uint64
		entries   []uint64
		witnesses []string
	}{
		{"entry", []uint64{2}, []uint64{1, far}, []string{digest(1), digest(far)}},
		{"entries", []uint64{0, 2, 3, 5}, []uint64{1, far}, []string{digest(1), digest(far)}},
		{"witness", []uint64{1}, []uint64{2, far}, []string{digest(far)}},
	} {
		data, err := x.Without(tt.gone)
		if err != nil {
			t.Fatal(err)
		}
		y, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		var entries []uint64
		for i := range y.Len() {
			entries = append(entries, y.at(i))
		}
		if !slices.Equal(entries, tt.entries) || !slices.Equal(y.Witnesses, tt.witnesses) || !slices.Equal(y.Mirrors, x.Mirrors) || !y.Listed.Equal(listed) {
			t.Errorf("%s: %x with witnesses %q of %q, want %x with %q", tt.name, entries, y.Witnesses, y.Mirrors, tt.entries, tt.witnesses)
		}
	}
	if data, err := x.Without([]uint64{0, 5}); data != nil || err != nil {
		t.Errorf("%d bytes, error %v, want none without entries that it does not have", len(data), err)
	}
	// Without a witness, nothing would show that the index is wrong.
	data, err := parse(t, []uint64{1, 2}).Without([]uint64{1})
	if err != nil {
		t.Fatal(err)
	}
	if y, err := Parse(data); err != nil || y.Len() != 0 || len(y.Witnesses) != 0 {
		t.Errorf("index without its only witness: %+v, %v; want an empty one", y, err)
	}
}

// TestExtend tests that an index with more digests is the one of all of them, with and
// without memory for them.
func TestExtend(t *testing.T) {
	t.Parallel()
	const far = 1 << 63
	for _, tt := range []struct {
		name         string
		before, more []uint64
	}{
		{"none", []uint64{1, far}, nil},
		{"between", []uint64{1, far}, []uint64{far - 1, 2}},
		{"new-witnesses", []uint64{2, far + 1}, []uint64{far, 1, far + 2}},
		{"known", []uint64{1, far}, []uint64{far, 3}},
		{"twice", []uint64{1, far}, []uint64{3, far + 1, 3}},
		{"from-empty", nil, []uint64{far, 1}},
		{"many", random(1000, 1), random(100, 2)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, spare := range []int{0, 1000} {
				data := slices.Grow(slices.Clip(encoded(t, tt.before)), spare)
				want := encoded(t, append(slices.Clone(tt.before), tt.more...))
				got, added, err := Extend(data, slices.Collect(digests(tt.more))...)
				if n := (len(want) - len(data)) / entrySize; err != nil || added != n || !bytes.Equal(got, want) {
					t.Errorf("error %v, %d bytes with %d more, want %d with %d or other bytes", err, len(got), added, len(want), n)
				}
			}
		})
	}
}

// Neither Parse nor a Decoder accepts a corrupt index.
func TestCorrupt(t *testing.T) {
	t.Parallel()
	whole := encoded(t, random(100, 4))
	accepted := func(data []byte) bool {
		_, err := Parse(data)
		_, decodeErr := decode(data, func(r io.Reader) io.Reader { return r })
		if (err == nil) != (decodeErr == nil) || err != nil && !errors.Is(err, ErrInvalid) || decodeErr != nil && !errors.Is(decodeErr, ErrInvalid) {
			t.Fatalf("Parse: %v; Decoder: %v; want ErrInvalid from both", err, decodeErr)
		}
		return err == nil
	}
	if !accepted(whole) {
		t.Fatal("the intact index is refused")
	}
	for i := range whole {
		corrupt := bytes.Clone(whole)
		corrupt[i] ^= 1
		if accepted(corrupt) {
			t.Fatalf("a changed bit in byte %d is accepted", i)
		}
	}
	for n := range whole {
		if accepted(whole[:n]) {
			t.Fatalf("the first %d of %d bytes are accepted", n, len(whole))
		}
	}
	if accepted(append(bytes.Clone(whole), 0)) {
		t.Error("an additional byte is accepted")
	}
	swap := func(data []byte, a, b, size int) {
		x := bytes.Clone(data[a : a+size])
		copy(data[a:], data[b:b+size])
		copy(data[b:], x)
	}
	for _, tt := range []struct {
		name   string
		change func([]byte)
	}{
		{"version-1", func(b []byte) { copy(b, "ARCHEIO1") }},
		{"many-entries", func(b []byte) { binary.BigEndian.PutUint32(b[16:], maxEntries+1) }},
		{"no-mirrors", func(b []byte) { binary.BigEndian.PutUint16(b[20:], 0) }},
		{"many-mirrors", func(b []byte) { binary.BigEndian.PutUint16(b[20:], MaxMirrors+1) }},
		{"fewer-mirrors", func(b []byte) { binary.BigEndian.PutUint16(b[20:], 1) }},
		{"no-witnesses", func(b []byte) { binary.BigEndian.PutUint16(b[22:], 0); clear(b[witnessesAt:HeaderSize]) }},
		{"many-witnesses", func(b []byte) { binary.BigEndian.PutUint16(b[22:], MaxWitnesses+1) }},
		{"reserved", func(b []byte) { b[25] = 1 }},
		{"mirror-order", func(b []byte) { swap(b, mirrorsAt, mirrorsAt+mirrorSize, mirrorSize) }},
		{"same-mirror", func(b []byte) { copy(b[mirrorsAt+mirrorSize:], b[mirrorsAt:mirrorsAt+mirrorSize]) }},
		{"mirror-name", func(b []byte) { b[mirrorsAt] = '/' }},
		{"mirror-zero-within", func(b []byte) { b[mirrorsAt+2] = 0 }},
		{"witness-order", func(b []byte) { swap(b, witnessesAt, witnessesAt+DigestSize, DigestSize) }},
		{"witness-not-an-entry", func(b []byte) { b[witnessesAt+7] ^= 1 }},
		{"first-entries", func(b []byte) { swap(b, HeaderSize, HeaderSize+entrySize, entrySize) }},
		{"same-entry", func(b []byte) { copy(b[HeaderSize+entrySize:], b[HeaderSize:HeaderSize+entrySize]) }},
	} {
		corrupt := bytes.Clone(whole)
		tt.change(corrupt)
		if accepted(seal(corrupt)) {
			t.Errorf("%s: accepted, want an error", tt.name)
		}
	}
	few := encoded(t, []uint64{1, 2, 3, 4}) // the first one is the witness
	swap(few, HeaderSize+2*entrySize, HeaderSize+3*entrySize, entrySize)
	if accepted(seal(few)) {
		t.Error("entries that are not in order are accepted")
	}
}

// decode decodes an index as it comes out of a reader of data.
func decode(data []byte, reader func(io.Reader) io.Reader) (*Index, error) {
	d := NewDecoder(nil)
	if _, err := d.ReadFrom(reader(bytes.NewReader(data))); err != nil {
		return nil, err
	}
	return d.Index()
}

// same reports whether two indexes are the same.
func same(a, b *Index) bool {
	return a.Listed.Equal(b.Listed) && slices.Equal(a.Mirrors, b.Mirrors) && slices.Equal(a.Witnesses, b.Witnesses) &&
		a.Entries == b.Entries && a.shift == b.shift && slices.Equal(a.starts, b.starts) && bytes.Equal(a.entries, b.entries)
}

func TestDecoder(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 100, 100_000} {
		data := encoded(t, random(n, 9))
		want, err := Parse(data)
		if err != nil {
			t.Fatal(err)
		}
		for name, reader := range map[string]func(io.Reader) io.Reader{
			"whole":         func(r io.Reader) io.Reader { return r },
			"data-with-eof": iotest.DataErrReader,
			"half-reads":    iotest.HalfReader,
			"one-byte":      iotest.OneByteReader,
		} {
			x, err := decode(data, reader)
			if err != nil || !same(x, want) {
				t.Errorf("%d entries, %s: %v, want the index that Parse returns", n, name, err)
			}
		}
		// In pieces, each of which ends with an error.
		d := NewDecoder(nil)
		r := rand.New(rand.NewPCG(uint64(n), 1))
		for cut := errors.New("cut"); d.Received() < int64(len(data)); {
			piece := data[d.Received():]
			piece = piece[:min(len(piece), 1+r.IntN(1+len(data)/3))]
			before := d.Received()
			got, err := d.ReadFrom(io.MultiReader(bytes.NewReader(piece), iotest.ErrReader(cut)))
			if err != cut || got != int64(len(piece)) || d.Received() != before+got {
				t.Fatalf("ReadFrom: %d bytes, %v; want %d, %v", got, err, len(piece), cut)
			}
		}
		if x, err := d.Index(); err != nil || !same(x, want) {
			t.Errorf("%d entries, in pieces: %v, want the index that Parse returns", n, err)
		}
	}
}

// An index that is not admitted is not read, and no memory is allocated for it.
func TestDecoderRefuses(t *testing.T) {
	t.Parallel()
	data := encoded(t, random(100_000, 9))
	refused := errors.New("refused")
	var header *Header
	d := NewDecoder(func(h *Header) error { header = h; return refused })
	r := bytes.NewReader(data)
	if _, err := d.ReadFrom(r); err != refused || d.builder != nil {
		t.Errorf("error %v, want the one of admit", err)
	}
	if left := r.Len(); left != len(data)-HeaderSize {
		t.Errorf("%d bytes were read, want the header", len(data)-left)
	}
	if header.Entries != 100_000 || !slices.Equal(header.Mirrors, []string{"eu-west-1", "us-east-1"}) {
		t.Errorf("header %+v, want the one of the index", header)
	}
	stored, inMemory := header.Size()
	if x := parse(t, random(100_000, 9)); stored != int64(len(data)) || inMemory != int64(len(x.entries)+4*(len(x.starts)-1)) {
		t.Errorf("size %d, in memory %d; want %d, %d", stored, inMemory, len(data), len(x.entries)+4*(len(x.starts)-1))
	}
	if _, err := d.ReadFrom(r); err != refused {
		t.Errorf("second call: error %v, want the same", err)
	}
	if _, err := d.Index(); err != refused {
		t.Errorf("Index: error %v, want the same", err)
	}
}

// FuzzParse parses anything: Parse and a Decoder agree, what they accept can be
// searched, and Without removes one entry of it and no others.
func FuzzParse(f *testing.F) {
	for _, n := range []int{0, 1, 20} {
		f.Add(encoded(f, random(n, 5)), uint64(n), uint16(n))
	}
	f.Fuzz(func(t *testing.T, data []byte, p uint64, cut uint16) {
		if len(data) >= HeaderSize {
			data = seal(bytes.Clone(data))
		}
		x, err := Parse(data)
		d := NewDecoder(nil)
		at := min(int(cut), len(data))
		_, decodeErr := d.ReadFrom(bytes.NewReader(data[:at]))
		if decodeErr == nil {
			_, decodeErr = d.ReadFrom(bytes.NewReader(data[at:]))
		}
		var y *Index
		if decodeErr == nil {
			y, decodeErr = d.Index()
		}
		if (err == nil) != (decodeErr == nil) || err == nil && !same(x, y) {
			t.Fatalf("Parse: %v; Decoder: %v; want the same", err, decodeErr)
		}
		if err != nil {
			return
		}
		x.has(p)
		if len(x.Witnesses) > MaxWitnesses || len(x.Mirrors) > MaxMirrors || x.Len() > maxEntries {
			t.Fatalf("accepted %d witnesses, %d mirrors, %d entries", len(x.Witnesses), len(x.Mirrors), x.Len())
		}
		if x.Len() == 0 {
			return
		}
		again, err := x.Without([]uint64{x.at(0)})
		if err != nil {
			t.Fatal(err)
		}
		without, err := Parse(again)
		if err != nil || without.has(x.at(0)) {
			t.Fatalf("the removed entry is still there: %v", err)
		}
		for i := range x.Len() {
			if len(without.Witnesses) > 0 && x.at(i) != x.at(0) && !without.has(x.at(i)) {
				t.Fatalf("entry %d is missing", i)
			}
		}
	})
}

func TestBudget(t *testing.T) {
	prefixes := random(1_000_000, 6)
	data := encoded(t, prefixes)
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
	texts := make([]string, 1<<16)
	for i := range texts {
		texts[i] = digest(prefixes[i])
	}
	x := parse(b, prefixes)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if !x.Has(texts[i&(len(texts)-1)]) {
			b.Fatal("Has is false, want true")
		}
	}
}

func ExampleEncode() {
	blobs := map[Digest]bool{{1}: true, {2}: true}
	data, err := Encode(time.Now(), []string{"eu-west-1"}, maps.Keys(blobs))
	fmt.Println(len(data)-HeaderSize, err)
	// Output: 16 <nil>
}
