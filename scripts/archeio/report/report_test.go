package report

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"archeio/lambda/metrics"
	"archeio/scripts/archeio/cli"
)

const cdkJSON = `{"context": {"stages": {"test": {
	"account": "123456789012", "mirrors": ["eu-central-1", "us-west-2"], "redirectors": ["eu-central-1", "us-west-2"],
	"upstream": {"endpoint": "https://us-docker.pkg.dev", "path": "project/images"}
}}}}`

// fake is CloudWatch in a region. It returns the values of a metric one a page.
type fake struct {
	t      *testing.T
	values map[string][]float64
	err    error
}

func (f fake) GetMetricData(_ context.Context, in *cloudwatch.GetMetricDataInput, _ ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error) {
	if f.err != nil {
		return nil, f.err
	}
	if n := len(in.MetricDataQueries); n > 500 || n == 0 {
		f.t.Errorf("request for %d metrics", n)
	}
	page := 0
	if in.NextToken != nil {
		page = 1
	}
	out := &cloudwatch.GetMetricDataOutput{}
	for _, q := range in.MetricDataQueries {
		m := q.MetricStat.Metric
		parts := []string{*m.MetricName, *q.MetricStat.Stat}
		for _, d := range m.Dimensions {
			parts = append(parts, *d.Value)
		}
		if v := f.values[strings.Join(parts, " ")]; page < len(v) {
			out.MetricDataResults = append(out.MetricDataResults, types.MetricDataResult{Id: q.Id, Values: v[page : page+1]})
		}
		if in.EndTime.Sub(*in.StartTime) < time.Duration(*q.MetricStat.Period)*time.Second {
			f.t.Errorf("%v: the time range is shorter than a period", parts)
		}
	}
	if page == 0 {
		out.NextToken = aws.String("more")
	}
	return out, nil
}

// outcome is what a run of the command printed, and its exit code.
type outcome struct {
	code           int
	stdout, stderr string
}

func report(t *testing.T, ctx context.Context, regions map[string]fake, args ...string) outcome {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(file, []byte(cdkJSON), 0o600); err != nil {
		t.Fatal(err)
	}
	connect := func(context.Context) (func(string) api, error) {
		return func(region string) api {
			f := regions[region]
			f.t = t
			return f
		}, nil
	}
	var stdout, stderr strings.Builder
	code := cli.Run(ctx, command(connect, nil), append([]string{"-file", file, "-stage", "test"}, args...), strings.NewReader(""), &stdout, &stderr)
	return outcome{code, stdout.String(), stderr.String()}
}

var regions = map[string]fake{
	"eu-central-1": {values: map[string][]float64{
		metrics.Requests + " Sum manifest": {1, 2}, metrics.Requests + " Sum blob": {30, 10}, metrics.Requests + " Sum AWS": {7},
		metrics.Requests + " Sum aws-region": {20}, metrics.Requests + " Sum default-mirror": {10}, metrics.Requests + " Sum mirror-unavailable": {2},
		metrics.TotalLatency + " p99": {8, 3}, metrics.IndexAge + " Maximum": {300, 600}, metrics.MissingBlobs + " Maximum us-west-2": {4},
		"BucketSizeBytes Average archeio-test-123456789012-eu-central-1-an StandardStorage": {1e9, 2e9},
	}},
	"us-west-2": {values: map[string][]float64{metrics.Requests + " Sum blob": {10}, metrics.Requests + " Sum aws-region": {5}}},
	"us-east-1": {values: map[string][]float64{"EstimatedCharges Maximum USD": {12.5}}},
}

func TestText(t *testing.T) {
	t.Parallel()
	got := report(t, t.Context(), regions)
	if got.code != cli.ExitDone || got.stderr != "" {
		t.Fatalf("exit code %d, stderr %q", got.code, got.stderr)
	}
	text := strings.Join(strings.FieldsFunc(got.stdout, func(r rune) bool { return r == ' ' }), " ")
	for _, want := range []string{
		"Stage test, last 24h. ", "manifests 3\n", "blobs 50\n", "AWS 7\n", "aws-region 25\n", "default-mirror 10\n",
		// 35 of 50, and 2 of 50.
		" 70.0 %", " 4.0 %",
		// The maximum, and the latest.
		" 8.0 ms", " 600\n", "us-west-2 4\n", "eu-central-1 2.00 GB", " 12.50 dollars",
		"\n no data\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, got.stdout)
		}
	}
	if strings.Contains(got.stdout, "mirror-rule") {
		t.Errorf("a metric without a value in\n%s", got.stdout)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	got := report(t, t.Context(), regions, "-json", "-last", "1h")
	var parsed struct {
		Stage    string
		From, To time.Time
		Widgets  []Widget
	}
	if err := json.Unmarshal([]byte(got.stdout), &parsed); err != nil {
		t.Fatalf("%v in %s", err, got.stdout)
	}
	if parsed.Stage != "test" || parsed.To.Sub(parsed.From) != time.Hour || len(parsed.Widgets) != 11 || *parsed.Widgets[0].Values[1].Value != 50 || parsed.Widgets[2].Values[2].Value != nil {
		t.Errorf("got %+v", parsed)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	broken := map[string]fake{"eu-central-1": {err: errors.New("access denied")}}
	for _, tt := range []struct {
		name    string
		regions map[string]fake
		args    []string
		code    int
		want    string
	}{
		{"denied", broken, nil, cli.ExitProblem, "getting metrics from CloudWatch in eu-central-1: access denied"},
		{"stage", regions, []string{"-stage", "none"}, cli.ExitUsage, `"none"`},
		{"last-short", regions, []string{"-last", "1m"}, cli.ExitUsage, "-last 1m: want a duration from 5m to 336h"},
		{"last-long", regions, []string{"-last", "337h"}, cli.ExitUsage, "want a duration from 5m to 336h"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := report(t, t.Context(), tt.regions, tt.args...)
			if got.code != tt.code || !strings.Contains(got.stderr, tt.want) || got.stdout != "" {
				t.Errorf("exit code %d, want %d; stderr %q, want %q; stdout %q", got.code, tt.code, got.stderr, tt.want, got.stdout)
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := report(t, ctx, map[string]fake{"eu-central-1": {err: ctx.Err()}}); got.code != cli.ExitInterrupted || got.stdout != "" {
		t.Errorf("exit code %d, stdout %q, stderr %q", got.code, got.stdout, got.stderr)
	}
}
