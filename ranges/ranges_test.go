package ranges

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestEmbeddedTableIsSound(t *testing.T) {
	t.Parallel()
	if err := Check(); err != nil {
		t.Fatal(err)
	}
	if got := len(embedded); got > 700<<10 {
		t.Errorf("table has %d bytes, the budget is %d", got, 700<<10)
	}
}

func TestSources(t *testing.T) {
	t.Parallel()
	var clouds []Cloud
	for _, s := range Sources() {
		clouds = append(clouds, s.Cloud)
		if s.Version == "" || s.Prefixes < 500 {
			t.Errorf("source %+v: no version, or too few prefixes", s)
		}
		if s.Date.After(Date()) || s.Cloud == AWS && s.Date.IsZero() {
			t.Errorf("source %+v: no date, or newer than the table's, %s", s, Date())
		}
	}
	if !slices.Equal(clouds, Clouds[:]) {
		t.Errorf("sources are %v, want %v", clouds, Clouds)
	}
}

func TestLookup(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, addr string
		want       Place
	}{
		{"regional-inside-global", "15.193.0.1", Place{AWS, "ap-south-1"}},
		{"global-around-it", "15.193.31.255", Place{AWS, "GLOBAL"}},
		{"single-address-prefix", "3.4.12.4", Place{AWS, "eu-west-1"}},
		{"google", "34.1.208.1", Place{GCP, "africa-south1"}},
		{"azure", "4.199.128.1", Place{Azure, "australiacentral"}},
		{"oracle", "129.80.0.1", Place{OCI, "us-ashburn-1"}},
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
		t.Errorf("Lookup of the zero Addr = %+v, want false", got)
	}
	zoned := netip.MustParseAddr("2406:daba:f000::1%eth0")
	if got, _ := Lookup(zoned); got != (Place{AWS, "ap-southeast-4"}) {
		t.Errorf("Lookup(%s) = %+v, want the zone ignored", zoned, got)
	}
}

// The ranges of All are the oracle for the embedded table here. TestDocuments in
// package compile compares them with the documents.
func TestLookupAgreesWithAll(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	var previous Range
	n := 0
	for x := range All() {
		n++
		if x.Last.Less(x.First) || previous.Last.IsValid() && previous.Last.BitLen() == x.First.BitLen() && !previous.Last.Less(x.First) {
			t.Fatalf("range %+v overlaps or precedes %+v", x, previous)
		}
		addrs := []netip.Addr{x.First, x.Last}
		for range 8 {
			addrs = append(addrs, randomIn(r, x))
		}
		for _, a := range addrs {
			if got, _ := Lookup(a); got != x.Place {
				t.Fatalf("Lookup(%s) = %+v, want %+v as in All", a, got, x)
			}
		}
		gap := previous.Last.IsValid() && previous.Last.Next() != x.First
		if a := x.First.Prev(); a.IsValid() && gap {
			if got, ok := Lookup(a); ok {
				t.Fatalf("Lookup(%s) = %+v, want false: it is between two ranges", a, got)
			}
		}
		previous = x
	}
	if n < 10_000 {
		t.Errorf("table has %d ranges, want at least 10,000", n)
	}
}

func TestCompileAgreesWithOracle(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		r := rand.New(rand.NewPCG(seed, 5))
		prefixes := randomPrefixes(r, 1+r.IntN(300))
		table, err := Compile(prefixes, []Source{{AWS, "today", time.Unix(1e9, 0).UTC(), len(prefixes)}})
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
				t.Fatalf("seed %d: range %+v in All, want its first address in %+v", seed, x, got)
			}
		}
	}
}

func TestCompileIsDeterministic(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(6, 7))
	prefixes := randomPrefixes(r, 500)
	sources := []Source{{Cloud: GCP, Version: "b"}, {Cloud: AWS, Version: "a"}}
	first, err := Compile(prefixes, sources)
	if err != nil {
		t.Fatal(err)
	}
	r.Shuffle(len(prefixes), func(i, j int) { prefixes[i], prefixes[j] = prefixes[j], prefixes[i] })
	slices.Reverse(sources)
	second, err := Compile(prefixes, sources)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the table depends on the order of prefixes and sources")
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	good := Place{AWS, "eu-west-3"}
	for name, prefixes := range map[string][]Prefix{
		"twice":         {{netip.MustParsePrefix("10.0.0.0/8"), good}, {netip.MustParsePrefix("10.0.0.0/8"), Place{GCP, "x"}}},
		"bits-set":      {{netip.MustParsePrefix("10.0.0.1/8"), good}},
		"mapped":        {{netip.MustParsePrefix("::ffff:10.0.0.0/104"), good}},
		"no-prefix":     {{netip.Prefix{}, good}},
		"unknown-cloud": {{netip.MustParsePrefix("10.0.0.0/8"), Place{"Mars", "x"}}},
		"no-region":     {{netip.MustParsePrefix("10.0.0.0/8"), Place{AWS, ""}}},
		"odd-region":    {{netip.MustParsePrefix("10.0.0.0/8"), Place{AWS, "eu west"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Compile(prefixes, nil); err == nil {
				t.Error("Compile returned no error")
			}
		})
	}
}

// TestCompileIsBounded: prefixes that are spread over the whole address space need
// many nodes, and a table for them would be too large. There are fewer of them than
// in the embedded table.
func TestCompileIsBounded(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(12, 13))
	seen := map[netip.Addr]bool{}
	var prefixes []Prefix
	for len(prefixes) < 5000 {
		if a := randomAddr(r, 16); !seen[a] {
			seen[a] = true
			prefixes = append(prefixes, Prefix{netip.PrefixFrom(a, 128), Place{AWS, "eu-west-3"}})
		}
	}
	if _, err := Compile(prefixes, nil); err == nil || !strings.Contains(err.Error(), "5000 prefixes are too many or too scattered for one table") {
		t.Errorf("Compile: %v, want an error", err)
	}
}

func TestDate(t *testing.T) {
	t.Parallel()
	old, recent := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		sources []Source
		want    time.Time
	}{
		{"no-source", nil, time.Time{}},
		{"no-date", []Source{{Cloud: Azure, Version: "change 1"}}, time.Time{}},
		{"newest", []Source{{AWS, "1", old, 1}, {GCP, "2", recent, 1}, {Azure, "3", time.Time{}, 1}}, recent},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table, err := Compile([]Prefix{{netip.MustParsePrefix("10.0.0.0/8"), Place{AWS, "eu-west-3"}}}, tt.sources)
			if err != nil {
				t.Fatal(err)
			}
			if got := table.Date(); !got.Equal(tt.want) {
				t.Errorf("Date() = %s, want %s", got, tt.want)
			}
			if got := table.Sources(); !slices.Equal(got, tt.sources) {
				t.Errorf("Sources() = %+v, want %+v", got, tt.sources)
			}
		})
	}
}

func TestIssue(t *testing.T) {
	t.Parallel()
	day := func(d int) time.Time { return time.Date(2026, 1, d, 0, 0, 0, 0, time.UTC) }
	dated := func(d int) Table {
		table, err := Compile([]Prefix{{netip.MustParsePrefix("10.0.0.0/8"), Place{AWS, "eu-west-3"}}}, []Source{{AWS, "1", day(d), 1}})
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	issued, err := Parse(dated(1).Issue(day(5)).Bytes())
	if err != nil || !issued.Issued().Equal(day(5)) || !issued.Date().Equal(day(1)) {
		t.Errorf("issued %s, date %s, error %v", issued.Issued(), issued.Date(), err)
	}
	if got, _ := issued.Lookup(netip.MustParseAddr("10.1.1.1")); got != (Place{AWS, "eu-west-3"}) {
		t.Errorf("Lookup in an issued table = %+v", got)
	}
	if again := issued.Issue(time.Time{}); again != dated(1) || !again.Issued().IsZero() {
		t.Error("a table without its time of issue is another one")
	}
	for _, tt := range []struct {
		name     string
		a, b     Table
		newer    bool
		opposite bool
	}{
		{"date", dated(2), dated(1), true, false},
		{"same", dated(1), dated(1), false, false},
		{"issued-again", dated(1).Issue(day(5)), dated(3), true, false},
		{"issued-before", dated(1).Issue(day(2)), dated(3), false, true},
		{"both-issued", dated(1).Issue(day(6)), dated(3).Issue(day(5)), true, false},
		{"empty", dated(1), Table{}, true, false},
	} {
		if got, opposite := tt.a.Newer(tt.b), tt.b.Newer(tt.a); got != tt.newer || opposite != tt.opposite {
			t.Errorf("%s: Newer is %t, and %t the other way round, want %t and %t", tt.name, got, opposite, tt.newer, tt.opposite)
		}
	}
	if (Table{}).Issue(day(1)) != (Table{}) {
		t.Error("an empty table cannot be issued, but changes")
	}
}

func TestZeroTableIsEmpty(t *testing.T) {
	t.Parallel()
	var table Table
	for _, a := range []string{"0.0.0.0", "3.5.0.1", "::", "2600:1f00::1"} {
		if got, ok := table.Lookup(netip.MustParseAddr(a)); ok {
			t.Errorf("Lookup(%s) = %+v, want false", a, got)
		}
	}
	for x := range table.All() {
		t.Errorf("All returns %+v", x)
	}
	if p, s, d := table.Places(), table.Sources(), table.Date(); len(p)+len(s) != 0 || !d.IsZero() {
		t.Errorf("places %v, sources %v, date %s", p, s, d)
	}
}

func TestLookupDoesNotAllocate(t *testing.T) {
	addrs := hits()[:1000]
	if n := testing.AllocsPerRun(10, func() {
		for _, a := range addrs {
			Lookup(a)
		}
	}); n != 0 {
		t.Errorf("1000 lookups allocate %v times, want 0", n)
	}
}
