package copier

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// TestSpill tests that a spill has what was appended, also where it is partly in the file
// and partly in memory.
func TestSpill(t *testing.T) {
	t.Parallel()
	s := &spill{dir: t.TempDir()}
	random := rand.New(rand.NewPCG(1, 1))
	var want []byte
	for len(want) < 3*maxSpillMemory+maxSpillMemory/2 {
		data := make([]byte, random.IntN(maxSpillMemory/4))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		if offset, err := s.append(data); err != nil || offset != int64(len(want)) {
			t.Fatalf("offset %d, error %v, want offset %d", offset, err, len(want))
		}
		want = append(want, data...)
	}
	if s.written == 0 || len(s.tail) == 0 {
		t.Fatalf("%d bytes in the file and %d in memory, want both", s.written, len(s.tail))
	}
	for _, tt := range []struct {
		name     string
		from, to int64
	}{
		{"file", 10, 1000},
		{"memory", s.written, int64(len(want))},
		{"both", s.written - 1, s.written + 1},
		{"all", 0, int64(len(want))},
	} {
		got := make([]byte, tt.to-tt.from)
		if err := s.read(tt.from, got); err != nil || !bytes.Equal(got, want[tt.from:tt.to]) {
			t.Errorf("%s: other bytes, error %v", tt.name, err)
		}
	}
}
