package ranges

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

func TestEmbeddedTableIsSound(t *testing.T) {
	if err := Check(); err != nil {
		t.Fatal(err)
	}
	if got := len(embedded); got > 700<<10 {
		t.Errorf("the table has %d bytes, the budget is %d", got, 700<<10)
	}
}

func TestSources(t *testing.T) {
	var clouds []Cloud
	for _, s := range Sources() {
		clouds = append(clouds, s.Cloud)
		if s.Published == "" || s.Prefixes < 500 {
			t.Errorf("source %+v: no date, or hardly a prefix", s)
		}
	}
	if !slices.Equal(clouds, Clouds[:]) {
		t.Errorf("compiled from %v, want %v", clouds, Clouds)
	}
}

func TestLookup(t *testing.T) {
	for _, tt := range []struct {
		name, addr string
		want       Place
	}{
		{"regional-inside-global", "15.193.0.1", Place{AWS, "ap-south-1"}},
		{"global-around-it", "15.193.31.255", Place{AWS, "GLOBAL"}},
		{"single-address-prefix", "3.4.12.4", Place{AWS, "eu-west-1"}},
		{"google", "34.1.208.1", Place{GCP, "africa-south1"}},
		{"azure", "4.199.128.1", Place{Azure, "australiacentral"}},
		{"ipv6", "2406:daba:f000::1", Place{AWS, "ap-southeast-4"}},
		{"ipv4-mapped", "::ffff:34.1.208.1", Place{GCP, "africa-south1"}},
		{"private", "10.0.0.1", Place{}},
		{"documentation", "192.0.2.1", Place{}},
		{"documentation-ipv6", "2001:db8::1", Place{}},
		{"first-ipv4", "0.0.0.0", Place{}},
		{"last-ipv4", "255.255.255.255", Place{}},
		{"first-ipv6", "::", Place{}},
		{"last-ipv6", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Place{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := Lookup(netip.MustParseAddr(tt.addr))
			if got != tt.want || ok != (tt.want != Place{}) {
				t.Errorf("Lookup(%s) = %+v, %v, want %+v", tt.addr, got, ok, tt.want)
			}
		})
	}
	if got, ok := Lookup(netip.Addr{}); ok {
		t.Errorf("Lookup of no address = %+v", got)
	}
	zoned := netip.MustParseAddr("2406:daba:f000::1%eth0")
	if got, _ := Lookup(zoned); got != (Place{AWS, "ap-southeast-4"}) {
		t.Errorf("Lookup(%s) = %+v: the zone counts", zoned, got)
	}
}

// The ranges that All yields are the oracle for the embedded table here; that
// they are the documents' own is checked by TestDocuments in compile/.
func TestLookupAgreesWithAll(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	var previous Range
	n := 0
	for x := range All() {
		n++
		if x.Last.Less(x.First) || previous.Last.IsValid() && previous.Last.BitLen() == x.First.BitLen() && !previous.Last.Less(x.First) {
			t.Fatalf("range %+v does not follow %+v", x, previous)
		}
		addrs := []netip.Addr{x.First, x.Last}
		for range 8 {
			addrs = append(addrs, randomIn(r, x))
		}
		for _, a := range addrs {
			if got, _ := Lookup(a); got != x.Place {
				t.Fatalf("Lookup(%s) = %+v, but it lies in %+v", a, got, x)
			}
		}
		gap := previous.Last.IsValid() && previous.Last.Next() != x.First
		if a := x.First.Prev(); a.IsValid() && gap {
			if got, ok := Lookup(a); ok {
				t.Fatalf("Lookup(%s) = %+v, but it lies in no range", a, got)
			}
		}
		previous = x
	}
	if n < 10_000 {
		t.Errorf("the table has only %d ranges", n)
	}
}

func TestCompileAgreesWithOracle(t *testing.T) {
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 5))
		prefixes := randomPrefixes(r, 1+r.IntN(300))
		table, err := Compile(prefixes, []Source{{AWS, "today", len(prefixes)}})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var addrs []netip.Addr
		for _, p := range prefixes {
			addrs = append(addrs, edges(p.Prefix)...)
			addrs = append(addrs, randomIn(r, Range{First: p.Prefix.Addr(), Last: lastOf(p.Prefix)}))
		}
		for range 500 {
			addrs = append(addrs, randomAddr(r, 4), randomAddr(r, 16))
		}
		for _, a := range addrs {
			got, ok := table.Lookup(a)
			want, wantOK := oracle(prefixes).Lookup(a)
			if got != want || ok != wantOK {
				t.Fatalf("seed %d: Lookup(%s) = %+v, %v, want %+v, %v", seed, a, got, ok, want, wantOK)
			}
		}
		for x := range table.All() {
			if got, _ := (oracle(prefixes)).Lookup(x.First); got != x.Place {
				t.Fatalf("seed %d: range %+v, but its first address is in %+v", seed, x, got)
			}
		}
	}
}

func TestCompileIsDeterministic(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 7))
	prefixes := randomPrefixes(r, 500)
	first, err := Compile(prefixes, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Shuffle(len(prefixes), func(i, j int) { prefixes[i], prefixes[j] = prefixes[j], prefixes[i] })
	second, err := Compile(prefixes, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the order of the prefixes changes the table")
	}
}

func TestCompileRefuses(t *testing.T) {
	good := Place{AWS, "eu-west-3"}
	for name, prefixes := range map[string][]Prefix{
		"twice":         {{netip.MustParsePrefix("10.0.0.0/8"), good}, {netip.MustParsePrefix("10.0.0.0/8"), Place{GCP, "x"}}},
		"bits-set":      {{netip.MustParsePrefix("10.0.0.1/8"), good}},
		"mapped":        {{netip.MustParsePrefix("::ffff:10.0.0.0/104"), good}},
		"no-prefix":     {{netip.Prefix{}, good}},
		"unknown-cloud": {{netip.MustParsePrefix("10.0.0.0/8"), Place{"Oracle", "x"}}},
		"no-region":     {{netip.MustParsePrefix("10.0.0.0/8"), Place{AWS, ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Compile(prefixes, nil); err == nil {
				t.Error("compiled without an error")
			}
		})
	}
}

// TestHalves guards the one place that knows how netip stores an address.
func TestHalves(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for range 10_000 {
		for _, a := range []netip.Addr{randomAddr(r, 4), randomAddr(r, 16)} {
			b := a.As16()
			want := wideOf(netip.AddrFrom16(b))
			if hi, lo := halves(&a); hi != want.hi || lo != want.lo {
				t.Fatalf("halves(%s) = %x, %x, want %x", a, hi, lo, b)
			}
		}
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	addrs := hits()[:1000]
	if n := testing.AllocsPerRun(10, func() {
		for _, a := range addrs {
			Lookup(a)
		}
	}); n != 0 {
		t.Errorf("1000 lookups allocate %v times", n)
	}
}
