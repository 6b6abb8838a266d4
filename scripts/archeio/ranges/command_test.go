package ranges

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"archeio/ranges"
	"archeio/ranges/compile"
	"archeio/scripts/archeio/cli"
)

const aws = `{"syncToken":"1767225600","createDate":"2026-01-01-00-00-00","prefixes":[
	{"ip_prefix":"15.193.0.0/19","region":"GLOBAL"},
	{"ip_prefix":"15.193.0.0/24","region":"ap-south-1"},
	{"ip_prefix":"3.5.0.0/16","region":"us-east-1"}]}`

// run runs the command and returns its exit code and what it printed.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs strings.Builder
	code = cli.Run(t.Context(), Command(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// squeeze returns text without the padding of tables.
func squeeze(text string) string { return regexp.MustCompile(` {2,}`).ReplaceAllString(text, "  ") }

// compileTo compiles a document of AWS, and the samples of package compile for the
// other clouds, into a table.
func compileTo(t *testing.T, table, aws string, flags ...string) (code int, stdout, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "aws.json")
	if err := os.WriteFile(file, []byte(aws), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"compile", "-o", table}, flags...)
	for _, cloud := range ranges.Clouds {
		name := flagOf(cloud)
		if cloud != ranges.AWS {
			file = "../../../ranges/compile/testdata/" + name + ".json"
		}
		args = append(args, "-"+name, file)
	}
	return run(t, args...)
}

func TestCompile(t *testing.T) {
	t.Parallel()
	table := filepath.Join(t.TempDir(), "table.bin")
	dated := func(day string) string { // an hour earlier is a day earlier here
		return strings.NewReplacer("1767225600", "17672256"+day, "2026-01-01-00-00-00", "2026-01-01-00-00-"+day).Replace(aws)
	}
	moved := strings.Replace(dated("10"), "us-east-1", "us-east-2", 1)
	shrunk := strings.Replace(dated("20"), "3.5.0.0/16", "3.5.0.0/17", 1)
	claimed := strings.Replace(dated("30"), "3.5.0.0/16", "4.180.0.0/16", 1)
	for _, tt := range []struct {
		name, aws, flag string
		code            int
		stdout, stderr  string
		written         bool
	}{
		{"dry-run-without-table", aws, "-dry-run", 0, "  3.5.0.0/16  added to AWS us-east-1  65,536 IPv4 addresses\n", "", false},
		{"first", aws, "", 0, "CLOUD  DOCUMENT", "wrote " + table, true},
		{"same", aws, "", 0, "no address moves", "is up to date", false},
		{"dry-run", moved, "-dry-run -allow moved", 0, "  3.5.0.0/16  moves from AWS us-east-1 to AWS us-east-2  65,536 IPv4 addresses\n", "", false},
		{"moved", moved, "-dry-run", 1, "  3.5.0.0/16  moves from", "AWS moves 65,536 of its 73,728 IPv4 addresses to another region, more than 1%; nothing was written: use -allow moved if this is correct", false},
		{"moved-json", moved, "-json -allow moved", 0, `"from": "AWS us-east-1",`, "wrote", true},
		{"older", aws, "", 1, "", "AWS goes back from 2026-01-01-00-00-10 to 2026-01-01-00-00-00; AWS moves 65,536 of its 73,728 IPv4 addresses to another region, more than 1%; nothing was written: use -allow older,moved", false},
		{"shrunk", shrunk, "-allow moved", 1, "removed from AWS us-east-2", "AWS shrinks from 73,728 to 40,960 IPv4 addresses, by more than a fifth; nothing was written: use -allow shrunk", false},
		{"allow-shrunk", shrunk, "-allow moved,shrunk", 0, "", "wrote", true},
		{"conflict", claimed, "-allow shrunk", 1, "conflicts\n  4.180.0.0/16 is claimed for AWS us-east-1 and Azure westeurope; using Azure westeurope\n", "1 conflict, the first: 4.180.0.0/16 is claimed", false},
		{"allow-conflict", claimed, "-allow shrunk,conflicting", 0, "", "wrote", true},
		{"invalid", "{}", "", 1, "", "invalid document of AWS IP ranges: no prefixes; nothing was written", false},
	} {
		before, _ := os.ReadFile(table)
		code, stdout, stderr := compileTo(t, table, tt.aws, strings.Fields(tt.flag)...)
		if code != tt.code || !strings.Contains(squeeze(stdout), squeeze(tt.stdout)) || !strings.Contains(stderr, tt.stderr) || tt.stderr == "" && !tt.written && stderr != "" {
			t.Errorf("%s: exit code %d, want %d; stderr %q, want %q; stdout, want %q:\n%s", tt.name, code, tt.code, stderr, tt.stderr, tt.stdout, stdout)
		}
		if after, _ := os.ReadFile(table); (string(before) != string(after)) != tt.written {
			t.Errorf("%s: table written %v, want %v", tt.name, !tt.written, tt.written)
		}
	}
	if err := os.WriteFile(table, []byte("ARCHIP"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := compileTo(t, table, aws); code != 1 || !strings.Contains(stderr, "restore it from version control") {
		t.Errorf("damaged table: exit code %d, stderr %q", code, stderr)
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	before, after := filepath.Join(dir, "old.bin"), filepath.Join(dir, "new.bin")
	var azureVersion string // in the committed table
	for _, s := range ranges.Sources() {
		if s.Cloud == ranges.Azure {
			azureVersion = s.Version
		}
	}
	compileTo(t, before, aws)
	compileTo(t, after, strings.Replace(aws, "us-east-1", "us-east-2", 1), "-allow", "republished,moved")
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"text", []string{before, after}, "  3.5.0.0/16  moves from AWS us-east-1 to AWS us-east-2  65,536 IPv4 addresses\n"},
		{"backwards", []string{after, before}, "  3.5.0.0/16  moves from AWS us-east-2 to AWS us-east-1  65,536 IPv4 addresses\n"},
		{"stage", []string{"-file", "../../../cdk.json", "-stage", "production", before, after}, "addresses that get another mirror in stage \"production\"\n  AWS us-east-2: mirror us-east-1 -> mirror us-east-2: 65,536 IPv4 addresses\n"},
		{"stage-without-effect", []string{"-file", "../../../cdk.json", "-stage", "sandbox", before, after}, "no address gets another mirror in stage \"sandbox\"\n"},
		{"json", []string{"-json", before, after}, `"prefixes": [
        "3.5.0.0/16"
      ],`},
		{"same", []string{before, before}, "no address moves"},
		{"from-embedded", []string{after}, "Azure  " + azureVersion + " -> change 7"},
		{"to-embedded", []string{after, "embedded"}, "Azure  change 7 -> " + azureVersion},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := run(t, append([]string{"diff"}, tt.args...)...)
			if code != 0 || stderr != "" || !strings.Contains(stdout, tt.want) {
				t.Errorf("exit code %d, stderr %q, stdout without %q:\n%.2000s", code, stderr, tt.want, stdout)
			}
		})
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	table := filepath.Join(t.TempDir(), "table.bin")
	compileTo(t, table, aws)
	for _, tt := range []struct {
		name string
		args []string
		want string
	}{
		{"text", []string{table}, "AWS    2026-01-01-00-00-00  2026-01-01 00:00:00"},
		{"region", []string{table}, "AWS    GLOBAL         1       7,936"},
		{"json", []string{table, "-json"}, `"date": "2026-01-01T00:00:05Z",`},
		{"ip", []string{table, "-ip", "15.193.0.7"}, "address     15.193.0.7\ncloud       AWS\nregion      ap-south-1\nrange       15.193.0.0 - 15.193.0.255\nrange data  2026-01-01\n"},
		{"ip-mapped", []string{table, "-ip", "::ffff:15.193.0.7"}, "range       15.193.0.0 - 15.193.0.255\n"},
		{"ip-nowhere", []string{table, "-ip", "10.0.0.1"}, "cloud       none\nregion      none\nrange       none\n"},
		{"embedded", []string{"-ip", "15.193.0.1"}, "region      ap-south-1\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := run(t, append([]string{"show"}, tt.args...)...)
			if code != 0 || stderr != "" || !strings.Contains(squeeze(stdout), squeeze(tt.want)) {
				t.Errorf("exit code %d, stderr %q, stdout without %q:\n%s", code, stderr, tt.want, stdout)
			}
		})
	}
	_, stdout, _ := run(t, "show", table, "-ip", "10.0.0.1", "-json")
	var got location
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || got.Cloud != "" || got.Address.String() != "10.0.0.1" || got.Date.IsZero() {
		t.Errorf("JSON is %s, error %v", stdout, err)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	missing := filepath.Join(t.TempDir(), "table.bin")
	for _, tt := range []struct {
		name, args string
		code       int
		want       string
	}{
		{"unknown-command", "shwo", 2, `unknown command "shwo" (did you mean "show"?)`},
		{"compile-argument", "compile x.json", 2, `unexpected argument "x.json"`},
		{"compile-dry-run-without-dash", "compile dry-run", 2, `unexpected argument "dry-run" (did you mean -dry-run?)`},
		{"compile-http", "compile -o " + missing + " -aws http://example.com/x", 1, `reading the AWS document "http://example.com/x": want a file or an https URL; nothing was written`},
		{"compile-folder-and-file", "compile -documents x -aws y", 2, "-aws has no effect with -documents: use one of them"},
		{"compile-no-folder", "compile -o " + missing + " -documents none", 2, `reading the documents in "none": no such file or directory; nothing was written`},
		{"diff-nothing", "diff", 2, "missing NEW: a table"},
		{"compile-allow-unknown", "compile -allow shrnk", 2, `-allow "shrnk": unknown check (did you mean "shrunk"?): want older, republished, future, shrunk, moved, conflicting`},
		{"diff-unknown-stage", "diff -file ../../../cdk.json -stage sandbx embedded embedded", 2, `unknown stage "sandbx" (did you mean "sandbox"?)`},
		{"diff-http", "diff http://example.com/ranges.v1", 1, `reading the table "http://example.com/ranges.v1": want a file or an https URL`},
		{"diff-three", "diff a b c", 2, `unexpected argument "c"`},
		{"diff-missing-file", "diff " + missing, 2, `reading the table "` + missing + `": no such file or directory`},
		{"show-two", "show a b", 2, `unexpected argument "b"`},
		{"show-bad-address", "show -ip 1.2.3", 2, `-ip "1.2.3": invalid IP address`},
		{"show-missing-file", "show " + missing, 2, "no such file or directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := run(t, strings.Fields(tt.args)...)
			if code != tt.code || stdout != "" || !strings.Contains(stderr, tt.want) || strings.Count(stderr, "\n") != 1 {
				t.Errorf("exit code %d, want %d; stdout %q, stderr %q, want %q", code, tt.code, stdout, stderr, tt.want)
			}
		})
	}
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"-h":         "compile  ",
		"compile -h": compile.Providers[0].URL,
		"diff -h":    "[OLD] NEW",
		"show -h":    "-ip ADDR",
	} {
		if code, stdout, _ := run(t, strings.Fields(args)...); code != 0 || !strings.Contains(stdout, want) || args != "-h" && !strings.Contains(stdout, "Example:") {
			t.Errorf("%s: exit code %d, help without %q:\n%s", args, code, want, stdout)
		}
	}
}

// TestOperations compares the reasons in the operations page with the checks.
func TestOperations(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../.github/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	want := "| reason | what is refused |\n|---|---|\n"
	for _, check := range compile.Checks {
		want += "| `" + check.Name + "` | " + check.Meaning + " |\n"
	}
	if !strings.Contains(string(page), want+"\n") {
		t.Errorf("operations.md does not have this table of reasons:\n%s", want)
	}
}
