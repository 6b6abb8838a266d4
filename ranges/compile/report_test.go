package compile

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"archeio/ranges"
)

// moved has one prefix in another region, and one in place of another.
var moved = strings.NewReplacer("15.193.0.0/24", "15.193.1.0/24", `"3.5.0.0/16","region":"us-east-1"`, `"3.5.0.0/16","region":"us-east-2"`).Replace(aws)

func TestCompare(t *testing.T) {
	t.Parallel()
	first, second := build(t, aws, google, azure), build(t, moved, google, azure)
	for _, tt := range []struct {
		name          string
		before, after ranges.Table
		want          []string
	}{
		{"first", ranges.Table{}, first, []string{
			"added to AWS ap-south-1: 1 prefix, 256 IPv4 addresses\n  15.193.0.0/24\n",
			"AWS    none -> 2026-01-01-00-00-00  0 -> 4",
		}},
		{"last", first, ranges.Table{}, []string{"removed from AWS ap-south-1: 1 prefix, 256 IPv4 addresses\n  15.193.0.0/24\n", "change 7 -> none"}},
		{"moved", first, second, []string{
			"moves from AWS GLOBAL to AWS ap-south-1: 1 prefix, 256 IPv4 addresses\n  15.193.1.0/24\n",
			"moves from AWS ap-south-1 to AWS GLOBAL: 1 prefix, 256 IPv4 addresses\n  15.193.0.0/24\n",
			"moves from AWS us-east-1 to AWS us-east-2: 1 prefix, 65,536 IPv4 addresses\n  3.5.0.0/16\n",
		}},
		{"same", second, second, []string{"no address moves"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := Compare(tt.before, tt.after).Text()
			for _, want := range tt.want {
				if !strings.Contains(text, want) {
					t.Errorf("report does not contain %q:\n%s", want, text)
				}
			}
		})
	}
}

func TestReportAsJSON(t *testing.T) {
	t.Parallel()
	table := build(t, aws, google, azure)
	data, err := json.Marshal(Compare(table, table))
	want := `{"clouds":[{"cloud":"AWS","before":{"version":"2026-01-01-00-00-00","date":"2026-01-01T00:00:00Z","prefixes":4,"ipv4_addresses":73728,"ipv6_networks":16777216},`
	if err != nil || !strings.HasPrefix(string(data), want) || !strings.HasSuffix(string(data), `"conflicts":[],"changes":[]}`) {
		t.Errorf("JSON is %s, %v, want it to start with %s", data, err, want)
	}
}

func TestCheckSize(t *testing.T) {
	t.Parallel()
	before := build(t, aws, google, azure)
	for _, tt := range []struct{ name, aws, want string }{
		{"same", aws, ""},
		{"ipv4", strings.Replace(aws, "3.5.0.0/16", "3.5.0.0/17", 1), "AWS shrinks from 73,728 to 40,960 IPv4 addresses"},
		{"prefixes", strings.Replace(aws, `{"ip_prefix":"15.193.0.0/24","region":"ap-south-1"},`, "", 1), "AWS shrinks from 4 to 3 prefixes"},
		{"ipv6", strings.Replace(aws, "2600:1f00::/40", "2600:1f00::/41", 1), "AWS shrinks from 16,777,216 to 8,388,608 IPv6 /64 networks"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := Compare(before, build(t, tt.aws, google, azure)).CheckSize()
			if tt.want == "" && err != nil || tt.want != "" && (!errors.Is(err, ErrShrunk) || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("CheckSize: %v, want %q", err, tt.want)
			}
		})
	}
	two, _, err := Compile(parse(t, aws, google))
	if err != nil {
		t.Fatal(err)
	}
	if err := Compare(before, two).CheckSize(); !errors.Is(err, ErrShrunk) || !strings.Contains(err.Error(), "Azure") {
		t.Errorf("CheckSize of a table without Azure: %v", err)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	s := Summarize(build(t, aws, google, azure))
	text := s.Text(time.Date(2026, 1, 3, 0, 0, 5, 0, time.UTC))
	for _, want := range []string{
		"AWS    2026-01-01-00-00-00  2026-01-01 00:00:00  2 days   3",
		"Azure  change 7             unknown              unknown  1",
		"AWS    ap-south-1     1       256",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("summary does not contain %q:\n%s", want, text)
		}
	}
	if len(s.Regions) != 5 || s.Regions[0].Ranges != 1 || !s.Date.Equal(time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)) {
		t.Errorf("summary is %+v", s)
	}
}
