package compile

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"archeio/ranges"
)

// movedAWS has one prefix in another region, and one in place of another.
var movedAWS = strings.NewReplacer("15.193.0.0/24", "15.193.1.0/24", `"3.5.0.0/16","region":"us-east-1"`, `"3.5.0.0/16","region":"us-east-2"`).Replace(aws)

func TestCompare(t *testing.T) {
	t.Parallel()
	first, second := build(t, aws, google, azure), build(t, movedAWS, google, azure)
	for _, tt := range []struct {
		name          string
		before, after ranges.Table
		want          []string
	}{
		{"first", ranges.Table{}, first, []string{
			"AWS    none -> 2026-01-01-00-00-00  0 -> 4",
			"AWS    ap-south-1     256                      -       -        -\n",
			"  15.193.0.0/24   added to AWS ap-south-1     256 IPv4 addresses\n",
		}},
		{"last", first, ranges.Table{}, []string{
			"  15.193.0.0/24   removed from AWS ap-south-1     256 IPv4 addresses\n",
			"change 7 -> none",
		}},
		{"moved", first, second, []string{
			"CLOUD  REGION       APPEAR  VANISH  MOVE IN  MOVE OUT\n" +
				"AWS    all regions  -       -                66,048\n" +
				"AWS    us-east-1    -       -       -        65,536\n" +
				"AWS    us-east-2    -       -       65,536   -\n" +
				"AWS    GLOBAL       -       -       256      256\n" +
				"AWS    ap-south-1   -       -       256      256\n\n" +
				"largest changes, of 3 prefixes\n" +
				"  3.5.0.0/16     moves from AWS us-east-1 to AWS us-east-2  65,536 IPv4 addresses\n" +
				"  15.193.0.0/24  moves from AWS ap-south-1 to AWS GLOBAL    256 IPv4 addresses\n" +
				"  15.193.1.0/24  moves from AWS GLOBAL to AWS ap-south-1    256 IPv4 addresses\n",
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
	if err != nil || !strings.HasPrefix(string(data), want) || !strings.HasSuffix(string(data), `"regions":[],"conflicts":[],"changes":[],"largest":[],"unlocated":[]}`) {
		t.Errorf("JSON is %s, %v, want it to start with %s", data, err, want)
	}
}

// TestReportIsShort: a report of changes in many regions fits on a screen or two.
func TestReportIsShort(t *testing.T) {
	t.Parallel()
	text := Compare(ranges.Table{}, ranges.Embedded()).Text()
	if n := strings.Count(text, "\n"); n > 60 {
		t.Errorf("the report has %d lines, want at most 60", n)
	}
	if !regexp.MustCompile(`\nand [0-9]+ more regions\n`).MatchString(text) {
		t.Errorf("the number of regions that are left out is missing in\n%s", text)
	}
	for _, want := range []string{"\nregions without known coordinates\n  AWS me-west-1: its clients get the default mirror, or", "  Azure brazilne: no effect: only clients in AWS"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "AWS GLOBAL: ") {
		t.Errorf("GLOBAL is listed as a region without coordinates:\n%s", text)
	}
}

func TestInStage(t *testing.T) {
	t.Parallel()
	first := func(p ranges.Place) string {
		switch {
		case p.Region == "us-east-1":
			return "mirror us-east-1"
		case p.Cloud == ranges.GCP:
			return "upstream"
		}
		return "default mirror"
	}
	before := build(t, aws, google, azure)
	for _, tt := range []struct{ name, aws, google, want string }{
		{"another-mirror", movedAWS, google, "addresses that get another mirror in stage \"test\"\n  AWS us-east-2: mirror us-east-1 -> default mirror: 65,536 IPv4 addresses\n"},
		{"same-mirror", strings.Replace(aws, "ap-south-1", "ap-south-2", 1), google, "no address gets another mirror in stage \"test\"\n"},
		{"vanishes", aws, strings.Replace(google, "34.1.208.0/20", "34.1.208.0/21", 1), "  GCP africa-south1: upstream -> default mirror: 2,048 IPv4 addresses\n"},
		{"appears", strings.Replace(aws, "3.5.0.0/16", "3.4.0.0/15", 1), google, "  AWS us-east-1: default mirror -> mirror us-east-1: 65,536 IPv4 addresses\n"},
		{"no-coordinates", strings.Replace(aws, "ap-south-1", "me-west-1", 1), google, "regions without known coordinates\n  AWS me-west-1: its clients get: default mirror\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := Compare(before, build(t, tt.aws, tt.google, azure))
			r.InStage("test", first)
			if text := r.Text(); !strings.Contains(text, tt.want) {
				t.Errorf("%q is missing in\n%s", tt.want, text)
			}
			if data, err := json.Marshal(r); err != nil || !strings.Contains(string(data), `"stage":{"name":"test","mirrors":[`) {
				t.Errorf("JSON is %s, %v", data, err)
			}
		})
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
	if strings.Contains(text, "issued") {
		t.Errorf("a table without a time of issue has one:\n%s", text)
	}
	issued := Summarize(build(t, aws).Issue(time.Date(2026, 1, 4, 5, 6, 7, 0, time.UTC)))
	if text := issued.Text(time.Now()); !strings.HasSuffix(text, "\nissued 2026-01-04 05:06:07 UTC\n") {
		t.Errorf("the time of issue is missing in\n%s", text)
	}
	if len(s.Regions) != 5 || s.Regions[0].Ranges != 1 || !s.Date.Equal(time.Date(2026, 1, 1, 0, 0, 5, 0, time.UTC)) {
		t.Errorf("summary is %+v", s)
	}
}
