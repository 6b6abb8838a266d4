package capacity

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"archeio/infra/dashboard"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/archeio/report"
)

// measuredDay returns a report of a day of the stage sandbox, by widget and series.
func measuredDay(values map[string]map[string]float64) *report.Document {
	to := time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC)
	d := &report.Document{Stage: "sandbox", From: to.Add(-24 * time.Hour), To: to, Widgets: []report.Widget{{Title: "Latency", Values: []report.Value{{Label: "none"}}}}}
	for title, series := range values {
		w := report.Widget{Title: title}
		for label, v := range series {
			w.Values = append(w.Values, report.Value{Label: label, Value: &v})
		}
		d.Widgets = append(d.Widgets, w)
	}
	return d
}

var sandboxDay = map[string]map[string]float64{
	dashboard.TitleRequests: {"manifests": 3000, "blobs": 6000},
	dashboard.TitleClouds:   {"AWS": 4500, "GCP": 2700, "other": 1800},
	dashboard.TitleReasons:  {"aws-region": 2000, "nearest-region": 500, "default-mirror": 1000, "upstream-cloud": 1800, "mirror-absent": 210},
	// 6000 * (0.5 + 0.2*0.75) * 0.95 are served from buckets.
	dashboard.TitleDownloads: {"us-east-1": 27.7875e9, "eu-central-1": 9.2625e9},
	dashboard.TitleStorage:   {"us-east-1": 300e9, "eu-central-1": 299e9},
	dashboard.TitleFilling:   {"bytes copied": 2e9},
}

// Half of the requests go through load balancers, half of the blob bytes of the others
// are cached.
func TestMeasure(t *testing.T) {
	t.Parallel()
	l := small
	l.deployAs(read(t, "sandbox"))
	names := l.measure(measuredDay(sandboxDay))
	const days = 730. / 24
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"pulls", l.Pulls, 1000 * days},                // six blobs each
		{"manifests", l.Manifests, 3000 / 1000. / 0.9}, // one in five through CloudFront is cached
		{"absent", l.Absent, 0.05},                     // 210 of 4200
		{"aws", l.AWS, 0.5},
		{"upstream-cloud", l.UpstreamCloud, 0.3}, // 1800 of 6000
		{"same-region", l.SameRegion, 0.8},
		{"blob-size", l.BlobMB, 10},
		{"storage", l.StorageGB, 300},
		{"growth", l.GrowthGB, 2 * days},
	} {
		near(t, c.name, c.got, c.want)
		if !slices.Contains(names, c.name) {
			t.Errorf("%s is not named as measured in %q", c.name, names)
		}
	}
	if len(names) != 9 || !slices.Equal(l.Downloads, []float64{0.75, 0.25}) {
		t.Errorf("measured %q, downloads %v", names, l.Downloads)
	}
	if err := l.validate(); err != nil {
		t.Error(err)
	}
	// What is not in the report stays as it is.
	nothing := small
	nothing.deployAs(read(t, "sandbox"))
	before := nothing
	if names := nothing.measure(measuredDay(nil)); names != nil || nothing.Pulls != before.Pulls || nothing.Downloads != nil {
		t.Errorf("measured %q of an empty report: %+v", names, nothing)
	}
}

func TestMeasured(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name string, d *report.Document) string {
		data, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	stage := []string{"-preset", "small", "-file", "../../../cdk.json", "-stage", "sandbox", "-measured"}
	text := output(t, append(stage, write("day.json", measuredDay(sandboxDay)), "-growth", "7")...)
	for _, want := range []string{"  measured 30,417\n", "measured 0.3\n", " 7\n", "Measured from 2026-11-01 00:00:00 to 2026-11-02 00:00:00, extrapolated to a month.\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	other := measuredDay(sandboxDay)
	other.Stage = "smallest"
	noPeriod := measuredDay(sandboxDay)
	noPeriod.From = noPeriod.To
	for _, c := range []struct{ name, file, want string }{
		{"other-stage", write("other.json", other), `it is of the stage "smallest": want that of "sandbox"`},
		{"no-period", write("period.json", noPeriod), "no period or no widgets: want the output of archeio report -json"},
		{"not-json", "../../../README.md", "want the output of archeio report -json"},
		{"no-file", filepath.Join(dir, "none"), "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if code, _, stderr := run(t, append(stage, c.file)...); code != cli.ExitProblem || !strings.Contains(stderr, c.want) {
				t.Errorf("exit code %d, stderr %q, want %q", code, stderr, c.want)
			}
		})
	}
}
