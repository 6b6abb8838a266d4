package main

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
)

const cdkJSON = `{"context": {"stages": {"test": {
	"account": "123456789012", "mirrors": ["eu-central-1", "us-west-2"], "redirectors": ["eu-central-1", "us-west-2"],
	"upstream": {"endpoint": "https://us-docker.pkg.dev", "path": "project/images"}
}}}}`

// fake is CloudWatch in a region: values by what is asked for, a page each.
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
		f.t.Errorf("%d metrics are asked for at once", n)
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
		// A page has one value of each.
		if v := f.values[strings.Join(parts, " ")]; page < len(v) {
			out.MetricDataResults = append(out.MetricDataResults, types.MetricDataResult{Id: q.Id, Values: v[page : page+1]})
		}
		if in.EndTime.Sub(*in.StartTime) < time.Duration(*q.MetricStat.Period)*time.Second {
			f.t.Errorf("%v: a window of less than a period", parts)
		}
	}
	if page == 0 {
		out.NextToken = aws.String("more")
	}
	return out, nil
}

func report(t *testing.T, regions map[string]fake, args ...string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cdk.json")
	if err := os.WriteFile(file, []byte(cdkJSON), 0o600); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	err := run(t.Context(), append([]string{"-file", file, "-stage", "test"}, args...), &out, func(region string) (api, error) {
		f := regions[region]
		f.t = t
		return f, nil
	})
	return out.String(), err
}

var regions = map[string]fake{
	"eu-central-1": {values: map[string][]float64{
		"Requests Sum manifest": {1, 2}, "Requests Sum blob": {30, 10}, "Requests Sum AWS": {7},
		"Requests Sum aws-region": {20}, "Requests Sum default-mirror": {10}, "Requests Sum mirror-unavailable": {2},
		"TotalLatency p99": {8, 3}, "IndexAge Maximum": {300, 600}, "MissingBlobs Maximum us-west-2": {4},
		"BucketSizeBytes Average archeio-test-123456789012-eu-central-1-an StandardStorage": {1e9, 2e9},
	}},
	"us-west-2": {values: map[string][]float64{"Requests Sum blob": {10}, "Requests Sum aws-region": {5}}},
	"us-east-1": {values: map[string][]float64{"EstimatedCharges Maximum USD": {12.5}}},
}

func TestTable(t *testing.T) {
	got, err := report(t, regions)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Stage test, the last 24h0m0s", "manifests 3\n", "blobs 50\n", "AWS 7\n", "aws-region 25\n", "default-mirror 10\n",
		// 35 of 50, and 2 of 50.
		"redirected to a mirror 70.0 %", "could not say 4.0 %",
		// The worst, and the latest.
		"slowest in 100 8.0 ms", "age in seconds 600\n", "lacking in us-west-2 4\n", "eu-central-1 2.00 GB", "so far 12.50 dollars",
		"Bytes sent by the mirrors\n nothing is known",
	} {
		if !strings.Contains(strings.Join(strings.FieldsFunc(got, func(r rune) bool { return r == ' ' }), " "), want) {
			t.Errorf("the report does not say %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "mirror-rule") {
		t.Errorf("the report names what there is none of:\n%s", got)
	}
}

func TestJSON(t *testing.T) {
	got, err := report(t, regions, "-json", "-last", "1h")
	if err != nil {
		t.Fatal(err)
	}
	var parsed struct {
		Stage   string
		Answers []answer
	}
	if err := json.Unmarshal([]byte(got), &parsed); err != nil {
		t.Fatalf("%s: %v", got, err)
	}
	if parsed.Stage != "test" || len(parsed.Answers) != 10 || *parsed.Answers[0].Values[1].Value != 50 || parsed.Answers[2].Values[2].Value != nil {
		t.Errorf("the report is %+v", parsed)
	}
}

func TestRefusals(t *testing.T) {
	broken := map[string]fake{"eu-central-1": {err: errors.New("access denied")}}
	for _, tt := range []struct {
		name    string
		regions map[string]fake
		args    []string
		want    string
	}{
		{"denied", broken, nil, "CloudWatch in eu-central-1: access denied"},
		{"stage", regions, []string{"-stage", "none"}, `there is no stage "none"`},
		{"short", regions, []string{"-last", "1m"}, "-last takes from 5m to 336h"},
		{"long", regions, []string{"-last", "337h"}, "-last takes from 5m to 336h"},
	} {
		if _, err := report(t, tt.regions, tt.args...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}
