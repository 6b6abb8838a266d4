package compile

import (
	"bytes"
	"embed"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/ranges"
	"archeio/ranges/regions"
)

//go:embed testdata
var testdata embed.FS

// sample returns a short document of a cloud, testdata/CLOUD.json.
func sample(cloud ranges.Cloud) string {
	text, err := testdata.ReadFile("testdata/" + strings.ToLower(string(cloud)) + ".json")
	if err != nil {
		panic(err)
	}
	return string(text)
}

var aws, google, azure, oracle = sample(ranges.AWS), sample(ranges.GCP), sample(ranges.Azure), sample(ranges.OCI)

// samples has a document of each of Providers.
var samples = func() (all [len(Providers)]string) {
	for i, cloud := range ranges.Clouds {
		all[i] = sample(cloud)
	}
	return all
}()

// provider returns the row of a cloud.
func provider(cloud ranges.Cloud) Provider {
	return Providers[slices.Index(ranges.Clouds[:], cloud)]
}

// parse returns the documents in texts, which are in the order of Providers.
func parse(t *testing.T, texts ...string) []Document {
	t.Helper()
	var documents []Document
	for i, text := range texts {
		d, err := Providers[i].Parse("test.json", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		documents = append(documents, d)
	}
	return documents
}

func build(t *testing.T, texts ...string) ranges.Table {
	t.Helper()
	table, conflicts, err := Compile(parse(t, texts...))
	if err != nil || len(conflicts) > 0 {
		t.Fatalf("%v, conflicts %v", err, conflicts)
	}
	return table
}

func TestProvidersFollowClouds(t *testing.T) {
	t.Parallel()
	for i, p := range Providers {
		if p.Cloud != ranges.Clouds[i] || p.parse == nil || p.mark == "" || !strings.HasPrefix(p.URL, "https://") {
			t.Errorf("row %d is of %q, want a whole row of %q", i, p.Cloud, ranges.Clouds[i])
		}
		for j, text := range samples {
			if got := strings.Contains(text, p.mark); got != (i == j) {
				t.Errorf("%s is in the document of %s: %t, want only in that of %s", p.mark, ranges.Clouds[j], got, p.Cloud)
			}
		}
	}
}

// TestRegionsFollowClouds: each region in a document must be in the table of
// regions, so that a new cloud is complete. Names without a place are excluded.
func TestRegionsFollowClouds(t *testing.T) {
	t.Parallel()
	for _, cloud := range ranges.Clouds {
		known, unknown := 0, 0
		for _, p := range ranges.Places() {
			if _, ok := regions.Find(string(cloud), p.Region); p.Cloud == cloud && ok {
				known++
			} else if p.Cloud == cloud {
				unknown++
			}
		}
		if known < 5*unknown || known == 0 {
			t.Errorf("%s: %d regions of the embedded table are in the table of regions, %d are not", cloud, known, unknown)
		}
	}
}

func TestCompile(t *testing.T) {
	t.Parallel()
	table := build(t, aws, google, azure, oracle)
	for addr, want := range map[string]ranges.Place{
		"15.193.0.9":       {Cloud: ranges.AWS, Region: "ap-south-1"},
		"15.193.1.0":       {Cloud: ranges.AWS, Region: "GLOBAL"},
		"2600:1f00::1":     {Cloud: ranges.AWS, Region: "us-east-1"},
		"2600:1900:8000::": {Cloud: ranges.GCP, Region: "africa-south1"},
		"4.180.3.4":        {Cloud: ranges.Azure, Region: "westeurope"},
		"129.146.7.255":    {Cloud: ranges.OCI, Region: "us-phoenix-1"},
		"134.70.8.0":       {Cloud: ranges.OCI, Region: "us-phoenix-1"},
		"13.1.1.1":         {},
	} {
		if got, _ := table.Lookup(netip.MustParseAddr(addr)); got != want {
			t.Errorf("Lookup(%s) = %v, want %v", addr, got, want)
		}
	}
	want := []ranges.Source{
		{Cloud: ranges.AWS, Version: "2026-01-01-00-00-00", Date: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Prefixes: 4},
		{Cloud: ranges.GCP, Version: "2025-12-31T16:00:05", Date: time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC), Prefixes: 2},
		{Cloud: ranges.Azure, Version: "change 7", Prefixes: 1},
		{Cloud: ranges.OCI, Version: "2025-12-31T18:18:01.103975", Date: time.Date(2025, 12, 31, 18, 18, 1, 0, time.UTC), Prefixes: 3},
	}
	if got := table.Sources(); !slices.Equal(got, want) {
		t.Errorf("sources are %+v, want %+v", got, want)
	}
}

func TestCompileIgnoresOrder(t *testing.T) {
	t.Parallel()
	documents := parse(t, aws, google, azure)
	slices.Reverse(documents)
	table, _, err := Compile(documents)
	if err != nil || !bytes.Equal(table.Bytes(), build(t, aws, google, azure).Bytes()) {
		t.Errorf("the order of the documents changes the table; error %v", err)
	}
}

func TestConflict(t *testing.T) {
	t.Parallel()
	claimed := strings.Replace(google, "34.1.208.0/20", "3.5.0.0/16", 1)
	documents := parse(t, aws, claimed, azure)
	slices.Reverse(documents) // which wins does not depend on the order
	table, conflicts, err := Compile(documents)
	if err != nil {
		t.Fatal(err)
	}
	if want := "[3.5.0.0/16 is claimed for AWS us-east-1 and GCP africa-south1; using GCP africa-south1]"; fmt.Sprint(conflicts) != want {
		t.Errorf("conflicts are %v, want %s", conflicts, want)
	}
	if got, _ := table.Lookup(netip.MustParseAddr("3.5.1.1")); got.Cloud != ranges.GCP {
		t.Errorf("Lookup(3.5.1.1) = %v, want the place of the later document", got)
	}
}

// TestDocuments compares the embedded table with the documents that it was
// compiled from, prefix by prefix. The oracle shares nothing with the compiler: it
// looks up all lengths in a map, from the longest. The documents are not part of
// the project; RANGE_DOCUMENTS names the folder that has them.
func TestDocuments(t *testing.T) {
	dir := os.Getenv("RANGE_DOCUMENTS")
	if dir == "" {
		t.Skip("RANGE_DOCUMENTS is not set: the embedded table was not compared with the providers' documents")
	}
	documents, err := ReadFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	longest := map[netip.Prefix]ranges.Place{}
	for _, d := range documents {
		for _, p := range d.Prefixes {
			longest[p.Prefix] = p.Place
		}
	}
	lookup := func(a netip.Addr) ranges.Place {
		for bits := a.BitLen(); bits >= 0; bits-- {
			if place, ok := longest[netip.PrefixFrom(a, bits).Masked()]; ok {
				return place
			}
		}
		return ranges.Place{}
	}
	r := rand.New(rand.NewPCG(1, 1))
	nested, checked := 0, 0
	for p, place := range longest {
		for bits := p.Bits() - 1; bits >= 0; bits-- {
			outer, ok := longest[netip.PrefixFrom(p.Addr(), bits).Masked()]
			if ok {
				if outer != place {
					nested++
				}
				break
			}
		}
		last := lastOf(p)
		addrs := []netip.Addr{p.Addr(), last, p.Addr().Prev(), last.Next()}
		for range 4 {
			b := p.Addr().AsSlice()
			for i := p.Bits(); i < len(b)*8; i++ {
				if r.IntN(2) == 0 {
					b[i/8] |= 0x80 >> (i % 8)
				}
			}
			a, _ := netip.AddrFromSlice(b)
			addrs = append(addrs, a)
		}
		for _, a := range addrs {
			if !a.IsValid() {
				continue
			}
			checked++
			want := lookup(a)
			if got, ok := ranges.Lookup(a); got != want || ok != (want != ranges.Place{}) {
				t.Fatalf("Lookup(%s) = %+v, want %+v", a, got, want)
			}
		}
	}
	fmt.Printf("range table: %d addresses of %d prefixes (%d nested in one of another place) agree with the documents\n", checked, len(longest), nested)
	table, conflicts, err := Compile(documents)
	if err != nil || len(conflicts) > 0 || !bytes.Equal(table.Bytes(), ranges.Embedded().Bytes()) {
		t.Errorf("compiling the documents gives another table than the embedded one: %v, conflicts %v", err, conflicts)
	}
}
