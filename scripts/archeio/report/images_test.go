package report

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"archeio/infra/dashboard"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/archeio/query"
)

// fakeLogs is CloudWatch Logs: rows by region, each repository, cloud, region, requests.
type fakeLogs struct {
	t      *testing.T
	rows   map[string][][4]string
	status string // of a query, by default Complete
	err    error
}

func (f fakeLogs) call(_ context.Context, region, operation string, in, into any) error {
	text, err := json.Marshal(in)
	if err != nil {
		f.t.Fatal(err)
	}
	reply := map[string]any{}
	switch operation {
	case "StartQuery":
		var q struct {
			LogGroupNames      []string
			QueryString        string
			StartTime, EndTime int64
		}
		if err := json.Unmarshal(text, &q); err != nil || q.LogGroupNames[0] != "archeio-test-redirector" || q.QueryString != dashboard.ImageQuery || q.EndTime-q.StartTime < 300 {
			f.t.Errorf("query %s: %v", text, err)
		}
		if f.err != nil {
			return f.err
		}
		if _, ok := f.rows[region]; !ok {
			return &query.JSONError{Code: "ResourceNotFoundException", Message: "no such log group"}
		}
		reply["queryId"] = region
	case "GetQueryResults":
		if string(text) != `{"queryId":"`+region+`"}` {
			f.t.Errorf("results of %s", text)
		}
		reply["status"] = "Complete"
		if f.status != "" {
			reply["status"] = f.status
		}
		results := []any{}
		for _, row := range f.rows[region] {
			results = append(results, []map[string]string{
				{"field": dashboard.ColumnRepository, "value": row[0]}, {"field": dashboard.ColumnCloud, "value": row[1]},
				{"field": dashboard.ColumnRegion, "value": row[2]}, {"field": dashboard.ColumnRequests, "value": row[3]},
			})
		}
		reply["results"] = results
	default:
		f.t.Errorf("operation %s", operation)
	}
	out, err := json.Marshal(reply)
	if err != nil {
		f.t.Fatal(err)
	}
	return json.Unmarshal(out, into)
}

func reportImages(t *testing.T, f fakeLogs, args ...string) outcome {
	t.Helper()
	f.t = t
	file := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(file, []byte(cdkJSON), 0o600); err != nil {
		t.Fatal(err)
	}
	connect := func(context.Context) (logsAPI, error) { return f.call, nil }
	var stdout, stderr strings.Builder
	code := cli.Run(t.Context(), command(nil, connect), append([]string{"-file", file, "-stage", "test", "-images"}, args...), strings.NewReader(""), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

var testTo = time.Unix(1_800_000_000, 0)

var testFrom = testTo.Add(-time.Hour)

var imageRows = fakeLogs{rows: map[string][][4]string{
	"eu-central-1": {{"pause", "AWS", "eu-west-3", "600"}, {"pause", "GCP", "global", "12"}, {"etcd", "unknown", "", "30"}, {"<b>", "AWS", "eu-west-3", "1"}, {"damaged", "AWS", "eu-west-3", "x"}},
	"us-west-2":    {{"pause", "AWS", "us-west-2", "1.0E2"}, {"pause", "AWS", "us-east-1", "50"}, {"pause", "AWS", "eu-west-3", "1"}},
}}

func TestImages(t *testing.T) {
	t.Parallel()
	got := reportImages(t, imageRows)
	want := `Stage test, last 24h. Requests for manifests and blobs that reached a redirector.

REPOSITORY  REQUESTS  CLOUDS           REGIONS
pause       763       AWS 751, GCP 12  AWS eu-west-3 601, AWS us-west-2 100, AWS us-east-1 50, …
etcd        30        unknown 30       unknown 30
<b>         1         AWS 1            AWS eu-west-3 1
`
	if got.code != cli.ExitDone || got.stdout != want || got.stderr != "" {
		t.Errorf("exit code %d, stderr %q, stdout\n%s\nwant\n%s", got.code, got.stderr, got.stdout, want)
	}
}

func TestManyImages(t *testing.T) {
	t.Parallel()
	f := fakeLogs{rows: map[string][][4]string{"us-west-2": {}}}
	for i := range 25 {
		f.rows["us-west-2"] = append(f.rows["us-west-2"], [4]string{"image" + strconv.Itoa(i), "AWS", "us-west-2", strconv.Itoa(100 - i)})
	}
	got := reportImages(t, f)
	if !strings.Contains(got.stdout, "\n5 more ") || !strings.Contains(got.stdout, " 390 ") || strings.Contains(got.stdout, "image20") {
		t.Errorf("stdout\n%s", got.stdout)
	}
}

func TestImagesJSON(t *testing.T) {
	t.Parallel()
	got := reportImages(t, imageRows, "-json", "-last", "1h")
	var parsed struct {
		Stage  string
		Images []image
	}
	if err := json.Unmarshal([]byte(got.stdout), &parsed); err != nil {
		t.Fatalf("%v in %s", err, got.stdout)
	}
	if parsed.Stage != "test" || len(parsed.Images) != 3 || parsed.Images[0].Regions["AWS eu-west-3"] != 601 {
		t.Errorf("got %+v", parsed)
	}
	if got := reportImages(t, fakeLogs{}, "-json"); !strings.Contains(got.stdout, `"images": []`) {
		t.Errorf("without data: %s", got.stdout)
	}
}

func TestPicture(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "images.svg")
	if got := reportImages(t, imageRows, "-o", file); got.code != cli.ExitDone {
		t.Fatalf("exit code %d, stderr %q", got.code, got.stderr)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for d := xml.NewDecoder(strings.NewReader(string(text))); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"Requests by repository, stage test, last 24h", "&lt;b&gt;", ">763</text>", `class="c1"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if empty := picture("title", nil); !strings.Contains(string(empty), "no data") {
		t.Errorf("without data: %s", empty)
	}
	if got := shortened(strings.Repeat("a", 300) + "/end"); len([]rune(got)) != longestName || !strings.HasSuffix(got, "a/end") {
		t.Errorf("shortened name %q", got)
	}
}

func TestImageErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		fake fakeLogs
		args []string
		code int
		want string
	}{
		{"denied", fakeLogs{err: errors.New("access denied")}, nil, cli.ExitProblem, "querying the log group archeio-test-redirector in eu-central-1: access denied"},
		{"failed", fakeLogs{rows: imageRows.rows, status: "Timeout"}, nil, cli.ExitProblem, `the query ended with status "Timeout"`},
		{"no-data", fakeLogs{}, nil, cli.ExitDone, ""},
		{"last", imageRows, []string{"-last", "1m"}, cli.ExitUsage, "want a duration from 5m to 336h"},
		{"output-json", imageRows, []string{"-o", "x.svg", "-json"}, cli.ExitUsage, "-output cannot be combined with -json"},
		{"output-alone", imageRows, []string{"-images=false", "-o", "x.svg"}, cli.ExitUsage, "-output has no effect unless -images is set"},
		{"output-folder", imageRows, []string{"-o", "/no/such/folder/x.svg"}, cli.ExitProblem, "writing the picture: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := reportImages(t, tt.fake, tt.args...); got.code != tt.code || !strings.Contains(got.stderr, tt.want) {
				t.Errorf("exit code %d, want %d; stderr %q, want %q", got.code, tt.code, got.stderr, tt.want)
			}
		})
	}
}

// TestPolling checks that a query that runs is asked for again, until the context ends.
func TestPolling(t *testing.T) {
	t.Parallel()
	f := fakeLogs{t: t, rows: imageRows.rows, status: "Running"}
	polls := 0
	ended := errors.New("ended")
	_, err := runQuery(t.Context(), f.call, "archeio-test-redirector", "us-west-2", testFrom, testTo, func(context.Context) error {
		if polls++; polls == 3 {
			return ended
		}
		return nil
	})
	if !errors.Is(err, ended) || polls != 3 {
		t.Errorf("error %v after %d polls", err, polls)
	}
}
