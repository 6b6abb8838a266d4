// Package glance has the questions that somebody who runs a stage asks, and the
// metrics that answer them. The dashboard and scripts/archeio/report show the same.
package dashboard

import (
	"archeio/infra/stage"
	"archeio/lambda/blobs"
	"archeio/lambda/metrics"
	"archeio/lambda/oci"
	"archeio/lambda/route"
	"archeio/ranges"
)

// Metric is a metric of a region, and how its values become one.
type Metric struct {
	Region, Namespace, Name, Stat string
	// Dimensions are names, each followed by its value.
	Dimensions []string
}

// Daily tells whether the metric comes about once a day.
func (m Metric) Daily() bool { return m.Name == "BucketSizeBytes" || m.Name == "EstimatedCharges" }

// Series is the sum of metrics, in percent of the sum of others where there are
// any.
type Series struct {
	Label    string
	Of, Over []Metric
}

// Question is what a widget of the dashboard answers, and a table of the report.
type Question struct {
	Title, Unit string
	Series      []Series
}

// EntireBucket is the filter of a bucket's request metrics, which is none.
const EntireBucket = "EntireBucket"

// reasons returns the tokens of the reasons that match.
func reasons(match func(route.Reason) bool) []string {
	var out []string
	for _, r := range route.Reasons() {
		if match(r) {
			out = append(out, r.String())
		}
	}
	return out
}

func toMirror(r route.Reason) bool { return r.Leads().Mirror() }

func toUpstreamByOutage(r route.Reason) bool { return r.Leads() == route.Upstream && r.Outage() }

// Questions are those of a stage, in the order in which they are asked.
func Questions(s *stage.Stage) []Question {
	a := asker{s}
	questions := []Question{
		{"How many pulls", "requests", []Series{
			{Label: "manifests", Of: requests(a, metrics.Kind, oci.Manifest.String())},
			{Label: "blobs", Of: requests(a, metrics.Kind, oci.Blob.String())},
		}},
		{"From where", "requests", a.clouds()},
		{"Sent where, and why", "requests", a.reasons()},
		{"How much stays in the mirrors", "percent of blobs", []Series{{
			Label: "redirected to a mirror", Of: requests(a, metrics.Reason, reasons(toMirror)...), Over: requests(a, metrics.Kind, oci.Blob.String()),
		}, {
			Label: "to the upstream, as a mirror could not say", Of: requests(a, metrics.Reason, reasons(toUpstreamByOutage)...), Over: requests(a, metrics.Kind, oci.Blob.String()),
		}}},
		{"How fast", "milliseconds", a.latencies()},
		{"The index", "", a.index()},
		{"Bytes sent by the mirrors", "bytes", a.buckets("BytesDownloaded", "Sum", "FilterId", EntireBucket)},
		{"Bytes kept in the mirrors", "bytes", a.buckets("BucketSizeBytes", "Average", "StorageType", "StandardStorage")},
		// Only this region has it, and only if the account asked for it.
		{"Charges of the whole account this month", "dollars", []Series{{
			Label: "so far", Of: []Metric{{"us-east-1", "AWS/Billing", "EstimatedCharges", "Maximum", []string{"Currency", "USD"}}},
		}}},
	}
	if s.Filler != nil {
		questions = append(questions, Question{"The filler", "", a.filler()})
	}
	return questions
}

type asker struct{ *stage.Stage }

// requests are those with one of some values of a dimension, in all regions.
func requests[T ~string](a asker, dimension string, values ...T) []Metric {
	var out []Metric
	for _, region := range a.Redirectors {
		for _, v := range values {
			out = append(out, Metric{region, metrics.Namespace, metrics.Requests, "Sum", []string{dimension, string(v)}})
		}
	}
	return out
}

func (a asker) clouds() []Series {
	var out []Series
	for _, cloud := range append(ranges.Clouds[:], "unknown") {
		label := string(cloud)
		if cloud == "unknown" {
			label = "anywhere else"
		}
		out = append(out, Series{Label: label, Of: requests(a, metrics.Cloud, cloud)})
	}
	return out
}

func (a asker) reasons() []Series {
	var out []Series
	for _, reason := range route.Reasons() {
		out = append(out, Series{Label: reason.String(), Of: requests(a, metrics.Reason, reason.String())})
	}
	return out
}

func (a asker) latencies() []Series {
	var out []Series
	for _, region := range a.Redirectors {
		for _, m := range []struct{ label, name, stat string }{
			{"answer in the middle", metrics.TotalLatency, "p50"},
			{"answer, slowest in 100", metrics.TotalLatency, "p99"},
			{"check of a mirror, slowest in 100", metrics.CheckLatency, "p99"},
		} {
			out = append(out, Series{Label: region + ": " + m.label, Of: []Metric{{region, metrics.Namespace, m.name, m.stat, nil}}})
		}
	}
	return out
}

func (a asker) index() []Series {
	var out []Series
	failed := []string{blobs.IndexMissing, blobs.IndexCorrupt, blobs.IndexStale, blobs.IndexUnreachable}
	for _, region := range a.Redirectors {
		out = append(out, Series{Label: region + ": age in seconds", Of: []Metric{{region, metrics.Namespace, metrics.IndexAge, "Maximum", nil}}})
		loads := Series{Label: region + ": loads that failed"}
		for _, outcome := range failed {
			loads.Of = append(loads.Of, Metric{region, metrics.Namespace, metrics.IndexLoads, "Sum", []string{metrics.Index, outcome}})
		}
		out = append(out, loads)
	}
	return out
}

func (a asker) buckets(name, stat, filter, value string) []Series {
	var out []Series
	for _, region := range a.Mirrors {
		out = append(out, Series{Label: region, Of: []Metric{{region, "AWS/S3", name, stat, []string{"BucketName", a.Bucket(region), filter, value}}}})
	}
	return out
}

func (a asker) filler() []Series {
	one := func(label, namespace, name, stat string, dimensions ...string) Series {
		return Series{Label: label, Of: []Metric{{a.Primary, namespace, name, stat, dimensions}}}
	}
	out := []Series{
		one("blobs copied", metrics.Namespace, metrics.Copied, "Sum"),
		one("bytes copied", metrics.Namespace, metrics.CopiedBytes, "Sum"),
		one("blobs for mirror copy", metrics.Namespace, metrics.NeedsMirrorCopy, "Sum"),
		one("oldest work in seconds", "AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", "QueueName", a.FillQueue()),
		one("work that failed", "AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", "QueueName", a.DeadFillQueue()),
	}
	for _, mirror := range a.Filled() {
		out = append(out, one("lacking in "+mirror, metrics.Namespace, metrics.MissingBlobs, "Maximum", metrics.Mirror, mirror))
	}
	return out
}
