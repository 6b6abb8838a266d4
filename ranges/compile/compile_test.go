package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"archeio/ranges"
)

const (
	aws = `{"syncToken":"1767225600","createDate":"2026-01-01-00-00-00","prefixes":[
		{"ip_prefix":"15.193.0.0/19","region":"GLOBAL"},
		{"ip_prefix":"15.193.0.0/24","region":"ap-south-1"},
		{"ip_prefix":"3.5.0.0/16","region":"us-east-1"}],
		"ipv6_prefixes":[{"ipv6_prefix":"2600:1f00::/40","region":"us-east-1"}]}`
	google = `{"syncToken":"1767225600123","creationTime":"2026-01-01T00:00:00","prefixes":[
		{"ipv4Prefix":"34.1.208.0/20","scope":"africa-south1"},
		{"ipv6Prefix":"2600:1900:8000::/44","scope":"africa-south1"}]}`
	azure = `{"changeNumber":7,"values":[
		{"name":"Storage.WestEurope","properties":{"region":"westeurope","addressPrefixes":["13.0.0.0/8"]}},
		{"name":"AzureCloud","properties":{"region":"","addressPrefixes":["13.0.0.0/8"]}},
		{"name":"AzureCloud.westeurope","properties":{"region":"westeurope","addressPrefixes":["4.180.0.0/16"]}}]}`
)

// compile runs the program on three documents and answers the table's file,
// what was printed, and the error.
func compile(t *testing.T, table string, documents [3]string, args ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for i, p := range providers {
		name := filepath.Join(dir, p.flag)
		if err := os.WriteFile(name, []byte(documents[i]), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, "-"+p.flag, name)
	}
	var out bytes.Buffer
	err := run(context.Background(), append(args, "-o", table), &out, io.Discard)
	return out.String(), err
}

func TestCompile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "table.bin")
	out, err := compile(t, name, [3]string{aws, google, azure})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"appears in AWS ap-south-1: 1 prefix, 256 IPv4 addresses\n  15.193.0.0/24\n", "change 7"} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
	table := open(t, name)
	for addr, want := range map[string]ranges.Place{
		"15.193.0.9":       {Cloud: ranges.AWS, Region: "ap-south-1"},
		"15.193.1.0":       {Cloud: ranges.AWS, Region: "GLOBAL"},
		"2600:1f00::1":     {Cloud: ranges.AWS, Region: "us-east-1"},
		"2600:1900:8000::": {Cloud: ranges.GCP, Region: "africa-south1"},
		"4.180.3.4":        {Cloud: ranges.Azure, Region: "westeurope"},
		"13.1.1.1":         {},
	} {
		if got, _ := table.Lookup(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s is in %+v, want %+v", addr, got, want)
		}
	}

	moved := strings.NewReplacer("15.193.0.0/24", "15.193.1.0/24", `"3.5.0.0/16","region":"us-east-1"`, `"3.5.0.0/16","region":"us-east-2"`).Replace(aws)
	out, err = compile(t, name, [3]string{moved, google, azure})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"moves from AWS GLOBAL to AWS ap-south-1: 1 prefix, 256 IPv4 addresses\n  15.193.1.0/24\n",
		"moves from AWS ap-south-1 to AWS GLOBAL: 1 prefix, 256 IPv4 addresses\n  15.193.0.0/24\n",
		"moves from AWS us-east-1 to AWS us-east-2: 1 prefix, 65,536 IPv4 addresses\n  3.5.0.0/16\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the report lacks %q:\n%s", want, out)
		}
	}
	if out, err = compile(t, name, [3]string{moved, google, azure}); err != nil || !strings.Contains(out, "no address gets another answer") {
		t.Errorf("compiled again: %v\n%s", err, out)
	}
	if out, err = compile(t, name, [3]string{moved, google, azure}, "-json"); err != nil || !strings.Contains(out, `"changes": []`) {
		t.Errorf("as JSON: %v\n%s", err, out)
	}
}

func TestSamePrefixTwice(t *testing.T) {
	claimed := strings.Replace(google, "34.1.208.0/20", "3.5.0.0/16", 1)
	name := filepath.Join(t.TempDir(), "table.bin")
	out, err := compile(t, name, [3]string{aws, claimed, azure})
	if err != nil {
		t.Fatal(err)
	}
	if want := "3.5.0.0/16 is claimed by AWS us-east-1 and by GCP africa-south1; the later one has it"; !strings.Contains(out, want) {
		t.Errorf("the report lacks %q:\n%s", want, out)
	}
	if got, _ := open(t, name).Lookup(netip.MustParseAddr("3.5.1.1")); got.Cloud != ranges.GCP {
		t.Errorf("the earlier document has it: %+v", got)
	}
}

func TestRefusedDocuments(t *testing.T) {
	for _, tt := range []struct{ name, aws, want string }{
		{"empty", " \n", "it is empty"},
		{"no-json", "<html>", "it is not a document of AWS IP ranges"},
		{"another-document", `{"hello":"world"}`, "it holds no prefixes"},
		{"no-date", strings.Replace(aws, "createDate", "x", 1), "it has no date"},
		{"no-prefix", strings.Replace(aws, "3.5.0.0/16", "3.5.0.0", 1), `entry 3: "3.5.0.0" is not a prefix`},
		{"bits-behind-length", strings.Replace(aws, "3.5.0.0/16", "3.5.0.1/16", 1), `"3.5.0.1/16" has bits set`},
		{"mapped", strings.Replace(aws, "3.5.0.0/16", "::ffff:3.5.0.0/112", 1), "IPv4 written as IPv6"},
		{"no-region", strings.Replace(aws, "us-east-1", "", 1), `has the region ""`},
		{"strange-region", strings.Replace(aws, "us-east-1", "us east\\n1", 1), "which is no name"},
		{"shrunk", strings.Replace(aws, "3.5.0.0/16", "3.5.0.0/17", 1), "AWS shrinks from 73,728 to 40,960 IPv4 addresses, more than a fifth"},
		{"lost-ipv6", strings.Replace(aws, `{"ipv6_prefix":"2600:1f00::/40","region":"us-east-1"}`, "", 1), "AWS shrinks"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "table.bin")
			if _, err := compile(t, name, [3]string{aws, google, azure}); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadFile(name)
			_, err := compile(t, name, [3]string{tt.aws, google, azure})
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "nothing was written") || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %v, want one line with %q", err, tt.want)
			}
			if after, _ := os.ReadFile(name); !bytes.Equal(before, after) {
				t.Error("the table was touched")
			}
			if left, _ := filepath.Glob(name + ".*"); left != nil {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestAllowShrink(t *testing.T) {
	name := filepath.Join(t.TempDir(), "table.bin")
	if _, err := compile(t, name, [3]string{aws, google, azure}); err != nil {
		t.Fatal(err)
	}
	shrunk := strings.Replace(aws, "3.5.0.0/16", "3.5.0.0/17", 1)
	if _, err := compile(t, name, [3]string{shrunk, google, azure}, "-allow-shrink"); err != nil {
		t.Error(err)
	}
}

func TestDamagedTableBefore(t *testing.T) {
	name := filepath.Join(t.TempDir(), "table.bin")
	if err := os.WriteFile(name, []byte("ARCHIP"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := compile(t, name, [3]string{aws, google, azure})
	if err == nil || !strings.Contains(err.Error(), "damaged range table") || !strings.Contains(err.Error(), "restore it") {
		t.Errorf("error %v", err)
	}
}

func TestMissingDocument(t *testing.T) {
	for _, from := range []string{filepath.Join(t.TempDir(), "none.json"), "http://example.com/x.json"} {
		err := run(context.Background(), []string{"-aws", from, "-o", filepath.Join(t.TempDir(), "t")}, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), from) {
			t.Errorf("error %v, want one that names %q", err, from)
		}
	}
}

// TestDocuments compares the committed table with the documents that it was
// compiled from, prefix by prefix, by a method that shares nothing with the
// compiler: all lengths are tried from the longest, in a map. The documents
// are not part of the project; RANGE_DOCUMENTS names the folder that has them.
func TestDocuments(t *testing.T) {
	dir := os.Getenv("RANGE_DOCUMENTS")
	if dir == "" {
		t.Skip("RANGE_DOCUMENTS is not set: the table is not compared with the providers' documents")
	}
	longest := map[netip.Prefix]ranges.Place{}
	for i, file := range []string{"aws-ip-ranges.json", "gcp-cloud.json", "azure-service-tags.json"} {
		d, err := providers[i].read(t.Context(), filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range d.prefixes {
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
	nested, asked := 0, 0
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
			asked++
			want := lookup(a)
			if got, ok := ranges.Lookup(a); got != want || ok != (want != ranges.Place{}) {
				t.Fatalf("Lookup(%s) = %+v, want %+v", a, got, want)
			}
		}
	}
	fmt.Printf("range table: %d addresses of %d prefixes (%d nested in one of another place) are as in the documents\n", asked, len(longest), nested)
}

func open(t *testing.T, name string) ranges.Table {
	t.Helper()
	table, err := tableAt(name)
	if err != nil || table == nil {
		t.Fatal(err)
	}
	return *table
}
