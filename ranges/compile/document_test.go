package compile

import (
	"strings"
	"testing"
	"time"

	"archeio/ranges"
)

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"empty", " \n", "document is empty"},
		{"html", "<html>", "line 1, column 1: invalid character '<'"},
		{"cut", aws[:len(aws)-1], "not JSON: line 5"},
		{"trailing-comma", strings.Replace(aws, `"us-east-1"}],`, `"us-east-1"},],`, 1), "not JSON: line 4, column 51"},
		{"another-type", strings.Replace(aws, `"region":"GLOBAL"`, `"region":7`, 1), `line 2, column 41: "prefixes.region" is number, want string`},
		{"another-document", `{"hello":"world"}`, "no prefixes"},
		{"no-version", strings.Replace(aws, "createDate", "x", 1), "no date or version"},
		{"no-date", strings.Replace(aws, "syncToken", "x", 1), "no date or version"},
		{"no-prefix", strings.Replace(aws, "3.5.0.0/16", "3.5.0.0", 1), `entry 3, prefix "3.5.0.0": invalid prefix`},
		{"long-prefix", strings.Replace(aws, "3.5.0.0/16", strings.Repeat("3", 1000), 1), `333": invalid prefix`},
		{"host-bits", strings.Replace(aws, "3.5.0.0/16", "3.5.0.1/16", 1), `prefix "3.5.0.1/16": host bits are set`},
		{"mapped", strings.Replace(aws, "3.5.0.0/16", "::ffff:3.5.0.0/112", 1), "IPv4 written as IPv6"},
		{"no-region", strings.Replace(aws, "us-east-1", "", 1), `invalid region ""`},
		{"odd-region", strings.Replace(aws, "us-east-1", "us east\\n1", 1), `invalid region "us east\n1"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Providers[0].Parse("ip-ranges.json", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Parse: %v, want an error with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") || len(err.Error()) > 200 {
				t.Errorf("error is not one short line: %q", err)
			}
		})
	}
}

func TestParseRefusesOracle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, text, want string }{
		{"no-date", strings.Replace(oracle, "last_updated_timestamp", "x", 1), "no date or version"},
		{"odd-date", strings.Replace(oracle, "2025-12-31T", "yesterday ", 1), `last_updated_timestamp "yesterday 18:18:01.103975": not a time in ISO 8601`},
		{"no-region", strings.Replace(oracle, `"us-phoenix-1"`, `""`, 1), `entry 1, prefix "129.146.0.0/21": invalid region ""`},
		{"host-bits", strings.Replace(oracle, "129.213.8.0/21", "129.213.8.0/20", 1), `entry 3, prefix "129.213.8.0/20": host bits are set`},
		{"another-type", strings.Replace(oracle, `[{"cidr":"129.213`, `[7,{"cidr":"129.213`, 1), `"regions.cidrs" is number`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := provider(ranges.OCI).Parse("x.json", []byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Parse: %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestAzureDate(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]time.Time{
		"https://download.microsoft.com/download/7/1/D/x/ServiceTags_Public_20260727.json": time.Date(2026, 7, 27, 0, 0, 0, 0, time.UTC),
		"/tmp/ServiceTags_Public_20260727.json":                                            time.Date(2026, 7, 27, 0, 0, 0, 0, time.UTC),
		"ServiceTags_Public_20261327.json":                                                 {},
		"azure.json":                                                                       {},
	} {
		d, err := provider(ranges.Azure).Parse(name, []byte(azure))
		if err != nil || d.Cloud != ranges.Azure || !d.Date.Equal(want) {
			t.Errorf("%s: date %s, want %s; error %v", name, d.Date, want, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for i, text := range samples {
		f.Add(uint8(i), []byte(text))
	}
	f.Fuzz(func(t *testing.T, provider uint8, data []byte) {
		p := Providers[int(provider)%len(Providers)]
		d, err := p.Parse("x.json", data)
		if err != nil {
			return
		}
		// All prefixes of a valid document can be compiled and are found.
		table, _, err := Compile([]Document{d})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range d.Prefixes {
			if _, ok := table.Lookup(x.Prefix.Addr()); !ok && !x.Prefix.Addr().Is4In6() {
				t.Fatalf("Lookup(%s) found nothing", x.Prefix.Addr())
			}
		}
	})
}
