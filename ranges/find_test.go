package ranges

import (
	"net/netip"
	"testing"
)

// TestFind compares Find with All at both ends of every range and next to them.
func TestFind(t *testing.T) {
	t.Parallel()
	table := Embedded()
	i := 0
	for want := range table.All() {
		if i++; i%7 != 0 { // enough of them
			continue
		}
		for _, at := range []netip.Addr{want.First, want.Last} {
			if got, ok := table.Find(at); !ok || got != want {
				t.Fatalf("Find(%s) = %v, %v; want %v", at, got, ok, want)
			}
		}
		for _, at := range []netip.Addr{want.First.Prev(), want.Last.Next()} {
			place, known := table.Lookup(at)
			if got, ok := table.Find(at); ok != known || got.Place != place || ok && (at.Less(got.First) || got.Last.Less(at)) {
				t.Fatalf("Find(%s) = %v, %v; want a range with it in %v", at, got, ok, place)
			}
		}
	}
}

func TestFindOdd(t *testing.T) {
	t.Parallel()
	plain, ok := Embedded().Find(netip.MustParseAddr("35.180.1.1"))
	if !ok {
		t.Fatal("35.180.1.1 is not in the table")
	}
	for _, tt := range []struct {
		name  string
		table Table
		addr  netip.Addr
		want  Range
	}{
		{"mapped", Embedded(), netip.MustParseAddr("::ffff:35.180.1.1"), plain},
		{"invalid", Embedded(), netip.Addr{}, Range{}},
		{"empty-table", Table{}, netip.MustParseAddr("35.180.1.1"), Range{}},
		{"documentation", Embedded(), netip.MustParseAddr("203.0.113.7"), Range{}},
		{"first-of-all", Embedded(), netip.MustParseAddr("0.0.0.0"), Range{}},
		{"last-of-all", Embedded(), netip.MustParseAddr("255.255.255.255"), Range{}},
		{"zone", Embedded(), netip.MustParseAddr("fe80::1%eth0"), Range{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, ok := tt.table.Find(tt.addr); got != tt.want || ok != (tt.want != Range{}) {
				t.Errorf("got %v, %v; want %v", got, ok, tt.want)
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	table, addr := Embedded(), netip.MustParseAddr("35.180.1.1")
	for b.Loop() {
		table.Find(addr)
	}
}
