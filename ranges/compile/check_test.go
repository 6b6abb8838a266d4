package compile

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"archeio/ranges"
)

func TestProblems(t *testing.T) {
	t.Parallel()
	const newer = `"syncToken":"1767312000","createDate":"2026-01-02-00-00-00"`
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	update := func(text string) string {
		return strings.Replace(text, `"syncToken":"1767225600","createDate":"2026-01-01-00-00-00"`, newer, 1)
	}
	newAzure := strings.Replace(azure, ":7", ":8", 1)
	before := build(t, aws, google, azure)
	for _, tt := range []struct{ name, aws, google, azure, want string }{
		{"same", aws, google, azure, ""},
		{"newer", update(aws), google, newAzure, ""},
		{"newer-without-changes", update(aws), google, azure, ""},
		{"older", strings.Replace(aws, "1767225600", "1767225599", 1), google, azure, "older: AWS goes back from 2026-01-01-00-00-00 to 2026-01-01-00-00-00"},
		{"older-without-date", aws, google, strings.Replace(azure, ":7", ":6", 1), "older: Azure goes back from change 7 to change 6"},
		{"republished", strings.Replace(aws, "15.193.0.0/19", "15.193.0.0/20", 1), google, azure, "republished: AWS changes, but its version is still 2026-01-01-00-00-00"},
		{"future", strings.Replace(aws, "1767225600", "1767441601", 1), google, azure, "future: AWS is dated 2026-01-03T12:00:01Z, ahead of the clock"},
		{"almost-future", strings.Replace(aws, "1767225600", "1767441600", 1), google, azure, ""},
		{"shrunk-ipv4", strings.Replace(update(aws), "3.5.0.0/16", "3.5.0.0/17", 1), google, azure, "shrunk: AWS shrinks from 73,728 to 40,960 IPv4 addresses, by more than a fifth"},
		{"shrunk-ipv6", strings.Replace(update(aws), "2600:1f00::/40", "2600:1f00::/41", 1), google, azure, "shrunk: AWS shrinks from 16,777,216 to 8,388,608 IPv6 /64 networks, by more than a fifth"},
		{"shrunk-prefixes", strings.Replace(update(aws), `{"ip_prefix":"15.193.0.0/24","region":"ap-south-1"},`, "", 1), google, azure, "shrunk: AWS shrinks from 4 to 3 prefixes, by more than a fifth"},
		{"moved", strings.Replace(update(aws), "ap-south-1", "ap-south-2", 1), google, azure, ""},
		{"moved-too-much", strings.Replace(update(aws), "15.193.0.0/24", "15.193.0.0/21", 1), google, azure, "moved: AWS moves 1,792 of its 73,728 IPv4 addresses to another region, more than 1%"},
		{"moved-ipv6", strings.Replace(update(aws), `2600:1f00::/40","region":"us-east-1"`, `2600:1f00::/40","region":"us-east-2"`, 1), google, azure, "moved: AWS moves 16,777,216 of its 16,777,216 IPv6 /64 networks to another region, more than 1%"},
		{"conflicting", update(aws), google, strings.Replace(newAzure, "4.180.0.0/16", `4.180.0.0/16","3.5.0.0/16`, 1), "conflicting: 1 conflict, the first: 3.5.0.0/16 is claimed for AWS us-east-1 and Azure westeurope; using Azure westeurope"},
		{"inside-another-cloud", update(aws), google, strings.Replace(newAzure, "4.180.0.0/16", `4.180.0.0/16","3.5.9.0/24`, 1), "conflicting: 1 conflict, the first: 3.5.9.0/24 of Azure westeurope is inside 3.5.0.0/16 of AWS us-east-1; using Azure westeurope"},
		{"around-another-cloud", update(aws), google, strings.Replace(newAzure, "4.180.0.0/16", `4.180.0.0/16","3.0.0.0/13`, 1), "conflicting: 1 conflict, the first: 3.5.0.0/16 of AWS us-east-1 is inside 3.0.0.0/13 of Azure westeurope; using AWS us-east-1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, report, err := Update(before, parse(t, tt.aws, tt.google, tt.azure), now)
			if err != nil {
				t.Fatal(err)
			}
			problems := report.Problems
			if tt.want == "" {
				if len(problems) != 0 {
					t.Errorf("problems %+v, want none", problems)
				}
				return
			}
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
			}
			if text := report.Text(); !strings.Contains(text, "\nfailed checks\n") || !strings.Contains(text, "\n  "+tt.want+"\n") {
				t.Errorf("the report does not say what failed:\n%s", text)
			}
			// A conflict also changes the place of what is claimed twice.
			if len(got) == 0 || got[len(got)-1] != tt.want || tt.name != "conflicting" && tt.name != "inside-another-cloud" && len(got) > 1 {
				t.Errorf("problems %q, want %q", got, tt.want)
			}
			if left := Except(problems, []string{problems[len(problems)-1].Check}); len(left) != len(problems)-1 {
				t.Errorf("%d problems are left when one check is allowed, want %d", len(left), len(problems)-1)
			}
		})
	}
	_, report, err := Update(before, parse(t, aws, google), now)
	if err != nil {
		t.Fatal(err)
	}
	if problems := report.Problems; len(problems) != 1 || !strings.HasPrefix(problems[0].Text, "Azure shrinks from 1 to 0 prefixes") {
		t.Errorf("table without Azure: problems %+v", problems)
	}
}

// TestEmbeddedTableHasNoProblems: the checks accept today's documents, and a table
// that is compiled for the first time.
func TestEmbeddedTableHasNoProblems(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]ranges.Table{"first": {}, "same": ranges.Embedded()} {
		if problems := Compare(before, ranges.Embedded()).problems(ranges.Date()); len(problems) != 0 {
			t.Errorf("%s: problems %+v, want none", name, problems)
		}
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	before := ranges.Embedded()
	var documents []Document
	for _, cloud := range ranges.Clouds {
		d, ok := Keep(before, cloud)
		if !ok {
			t.Fatalf("Keep returns no document of %s", cloud)
		}
		documents = append(documents, d)
	}
	after, conflicts, err := Compile(documents)
	if err != nil || len(conflicts) > 0 {
		t.Fatalf("error %v, conflicts %v", err, conflicts)
	}
	report := Compare(before, after)
	if len(report.Changes) != 0 || fmt.Sprint(before.Sources()) != fmt.Sprint(after.Sources()) {
		t.Errorf("keeping every cloud changes the table:\n%s", report.Text())
	}
	again, _ := Keep(after, ranges.AWS)
	if d, _ := Keep(before, ranges.AWS); fmt.Sprint(d) != fmt.Sprint(again) {
		t.Error("keeping a cloud twice gives another document")
	}
	if _, ok := Keep(ranges.Table{}, ranges.AWS); ok {
		t.Error("Keep returns a document from an empty table")
	}
	if len(before.Bytes()) < len(after.Bytes()) || bytes.Equal(nil, after.Bytes()) {
		t.Errorf("the table grows from %d to %d bytes", len(before.Bytes()), len(after.Bytes()))
	}
}
