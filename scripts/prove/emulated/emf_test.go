package main

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"

	"archeio/lambda/metrics"
)

// TestDecodeEMF decodes what the redirector writes.
func TestDecodeEMF(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.UnixMilli(1_800_000_000_123)
	r := metrics.NewRecorder(&out, func() time.Time { return now })
	for range 3 {
		r.Request("blob", "AWS", "aws-region", now, now.Add(2*time.Millisecond))
	}
	r.Request("manifest", "", "manifest", now, now.Add(11*time.Second))
	r.Check("eu-west-3", "present", 5*time.Millisecond)
	r.Flush()
	sums, counts := map[string]float64{}, map[string]int{}
	for line := range strings.Lines("START RequestId\n" + `{"level":"INFO"}` + "\n" + out.String()) {
		all, err := decodeEMF([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		for namespace, data := range all {
			for _, d := range data {
				name := namespace + " " + *d.MetricName + " " + string(d.Unit)
				for _, dimension := range d.Dimensions {
					name += " " + *dimension.Name + "=" + *dimension.Value
				}
				if !d.Timestamp.Equal(now.Add(11 * time.Second)) {
					t.Errorf("the time of %s is %s", name, d.Timestamp)
				}
				counts[name] += len(d.Values)
				for _, v := range d.Values {
					sums[name] += v
				}
			}
		}
	}
	want := map[string]float64{
		"Archeio Requests Count Kind=blob": 3, "Archeio Requests Count Kind=manifest": 1,
		"Archeio Requests Count Cloud=AWS": 3, "Archeio Requests Count Cloud=unknown": 1,
		"Archeio Requests Count Reason=aws-region": 3, "Archeio Requests Count Reason=manifest": 1,
		"Archeio Checks Count Check=eu-west-3 present": 1, "Archeio CheckLatency Milliseconds": 5,
		"Archeio TotalLatency Milliseconds": 11006, "Archeio ColdStarts Count": 1,
	}
	if !maps.Equal(sums, want) {
		t.Errorf("metrics\n%v, want\n%v", sums, want)
	}
	if n := counts["Archeio TotalLatency Milliseconds"]; n != 4 {
		t.Errorf("%d latencies, want 4", n)
	}
}

func TestDecodeInvalidEMF(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, line, want string }{
		{"metadata", `{"_aws": 1}`, "cannot unmarshal number"},
		{"value", `{"_aws": {"CloudWatchMetrics": [{"Namespace": "A", "Dimensions": [[]], "Metrics": [{"Name": "X"}]}]}, "X": "one"}`, "metric X"},
		{"dimension", `{"_aws": {"CloudWatchMetrics": [{"Namespace": "A", "Dimensions": [["D"]], "Metrics": [{"Name": "X"}]}]}, "X": 1}`, "dimension D"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if all, err := decodeEMF([]byte(tt.line)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("metrics %v, error %v; want %q in it", all, err, tt.want)
			}
		})
	}
}
