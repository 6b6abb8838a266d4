// Package dashboard defines the widgets of a stage's CloudWatch dashboard and their
// metrics. The command archeio report prints the values of the same metrics.
package dashboard

import (
	"archeio/infra/stage"
	"archeio/lambda/blobs"
	"archeio/lambda/metrics"
	"archeio/lambda/oci"
	"archeio/lambda/rangetable"
	"archeio/lambda/relay"
	"archeio/lambda/route"
	"archeio/ranges"
)

// Metric is a CloudWatch metric of a region, and the statistic of it.
type Metric struct {
	Region, Namespace, Name, Stat string
	// Dimensions are names, each followed by its value.
	Dimensions []string
}

// Daily reports whether the metric has about one value a day.
func (m Metric) Daily() bool { return m.Name == "BucketSizeBytes" || m.Name == "EstimatedCharges" }

// Series is the sum of metrics, in percent of the sum of others if there are any.
type Series struct {
	Label    string
	Of, Over []Metric
}

// Widget is a graph of the dashboard and a table of the report. Unit is empty if
// its series have different units.
type Widget struct {
	Title, Unit string
	Series      []Series
}

// The units of widgets.
const (
	Requests     = "requests"
	Percent      = "percent of blobs"
	Milliseconds = "milliseconds"
	Bytes        = "bytes"
	Dollars      = "dollars"
)

// The titles of widgets and the labels of series from which archeio capacity takes a
// stage's load.
const (
	TitleRequests  = "Requests"
	TitleClouds    = "Clients by cloud"
	TitleReasons   = "Redirects by reason"
	TitleDownloads = "Mirror downloads"
	TitleStorage   = "Mirror storage"
	TitleFilling   = "Mirror filling"
	Manifests      = "manifests"
	Blobs          = "blobs"
	BytesCopied    = "bytes copied"
	OtherClouds    = "other"
)

// EntireBucket is the ID of the filter of a bucket's request metrics. It filters
// nothing.
const EntireBucket = "EntireBucket"

// Widgets returns the widgets of a stage in the order of the dashboard.
func Widgets(s *stage.Stage) []Widget {
	m := source{s}
	blobRequests := m.requests(metrics.Kind, oci.Blob.String())
	widgets := []Widget{
		{TitleRequests, Requests, []Series{
			{Label: Manifests, Of: m.requests(metrics.Kind, oci.Manifest.String())},
			{Label: Blobs, Of: blobRequests},
		}},
		{TitleClouds, Requests, m.clouds()},
		{TitleReasons, Requests, m.reasons()},
		{"Blobs by target", Percent, []Series{
			{Label: "mirror", Of: m.requests(metrics.Reason, tokens(toMirror)...), Over: blobRequests},
			{Label: "upstream, mirror checks failed", Of: m.requests(metrics.Reason, tokens(toUpstreamByOutage)...), Over: blobRequests},
		}},
		{"Latency", Milliseconds, m.latencies()},
		{"Blob index", "", m.index()},
		{TitleDownloads, Bytes, m.buckets("BytesDownloaded", "Sum", "FilterId", EntireBucket)},
		{TitleStorage, Bytes, m.buckets("BucketSizeBytes", "Average", "StorageType", "StandardStorage")},
		// Only this region has the metric, and only if billing alerts are enabled.
		// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/monitor_estimated_charges_with_cloudwatch.html
		{"AWS charges of the account", Dollars, []Series{{
			Label: "month to date", Of: []Metric{{"us-east-1", "AWS/Billing", "EstimatedCharges", "Maximum", []string{"Currency", "USD"}}},
		}}},
	}
	if s.Refreshes() {
		widgets = append(widgets, Widget{"IP ranges", "", m.ranges()})
	}
	if s.Relays() {
		widgets = append(widgets, Widget{"Relay", "", m.relaying()})
	}
	if s.Filler != nil {
		widgets = append(widgets, Widget{TitleFilling, "", m.filling()})
	}
	if s.Canary != nil {
		widgets = append(widgets, Widget{"Canary", "", m.canary()}, Widget{"Canary blobs by reason", Requests, m.canaryBlobs()})
	}
	return widgets
}

// tokens returns the tokens of the reasons that match.
func tokens(match func(route.Reason) bool) []string {
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

// source makes the metrics of a stage.
type source struct{ *stage.Stage }

// requests returns the requests of all regions that have one of the values of a
// dimension.
func (m source) requests(dimension string, values ...string) []Metric {
	var out []Metric
	for _, region := range m.Redirectors {
		for _, v := range values {
			out = append(out, Metric{region, metrics.Namespace, metrics.Requests, "Sum", []string{dimension, v}})
		}
	}
	return out
}

func (m source) clouds() []Series {
	var out []Series
	for _, cloud := range ranges.Clouds {
		out = append(out, Series{Label: string(cloud), Of: m.requests(metrics.Cloud, string(cloud))})
	}
	return append(out, Series{Label: OtherClouds, Of: m.requests(metrics.Cloud, "unknown")})
}

func (m source) reasons() []Series {
	var out []Series
	for _, reason := range route.Reasons() {
		out = append(out, Series{Label: reason.String(), Of: m.requests(metrics.Reason, reason.String())})
	}
	return out
}

func (m source) latencies() []Series {
	var out []Series
	for _, region := range m.Redirectors {
		for _, l := range []struct{ label, name, stat string }{
			{"latency p50", metrics.TotalLatency, "p50"},
			{"latency p99", metrics.TotalLatency, "p99"},
			{"mirror check p99", metrics.CheckLatency, "p99"},
		} {
			out = append(out, Series{Label: region + ": " + l.label, Of: []Metric{{region, metrics.Namespace, l.name, l.stat, nil}}})
		}
	}
	return out
}

func (m source) index() []Series {
	var out []Series
	failed := []string{blobs.IndexMissing, blobs.IndexCorrupt, blobs.IndexStale, blobs.IndexTooLarge, blobs.IndexUnreachable}
	for _, region := range m.Redirectors {
		out = append(out, Series{Label: region + ": age in seconds", Of: []Metric{{region, metrics.Namespace, metrics.IndexAge, "Maximum", nil}}})
		loads := Series{Label: region + ": failed loads"}
		for _, outcome := range failed {
			loads.Of = append(loads.Of, Metric{region, metrics.Namespace, metrics.IndexLoads, "Sum", []string{metrics.Index, outcome}})
		}
		contradicted := Series{Label: region + ": listed blobs that a mirror does not have"}
		for _, mirror := range m.checked() {
			contradicted.Of = append(contradicted.Of, Metric{region, metrics.Namespace, metrics.IndexContradicted, "Sum", []string{metrics.Mirror, mirror}})
		}
		out = append(out, loads, contradicted)
	}
	return out
}

// ranges returns the age of the range tables, and what the refresher says of them.
func (m source) ranges() []Series {
	var out []Series
	for _, region := range m.Redirectors {
		out = append(out, Series{Label: region + ": age in seconds", Of: []Metric{{region, metrics.Namespace, metrics.RangesAge, "Maximum", nil}}})
		loads := Series{Label: region + ": failed loads"}
		for _, outcome := range []string{rangetable.Corrupt, rangetable.Future, rangetable.Unreachable} {
			loads.Of = append(loads.Of, Metric{region, metrics.Namespace, metrics.RangesLoads, "Sum", []string{metrics.Ranges, outcome}})
		}
		out = append(out, loads)
	}
	return append(out,
		Series{Label: "seconds since AWS's were checked", Of: []Metric{{stage.EdgeRegion, metrics.Namespace, metrics.RangesUnchecked, "Maximum", nil}}},
		Series{Label: "refused", Of: []Metric{{stage.EdgeRegion, metrics.Namespace, metrics.RangesRefused, "Maximum", nil}}})
}

func (m source) relaying() []Series {
	out := []Series{
		{Label: "requests refused by the upstream's limit", Of: m.requests(metrics.Reason, route.UpstreamLimited.String())},
		{Label: "requests that failed at the upstream", Of: m.requests(metrics.Reason, route.UpstreamFailed.String())},
		{Label: "blobs too large to relay", Of: m.requests(metrics.Reason, route.TooLarge.String())},
	}
	// By kind and outcome each region would have 44 metrics, and a graph has at most 500.
	of := func(name, dimension string, values ...string) []Metric {
		var all []Metric
		for _, region := range m.Redirectors {
			for _, v := range values {
				all = append(all, Metric{region, metrics.Namespace, name, "Sum", []string{dimension, v}})
			}
		}
		return all
	}
	manifests := func(label string, outcome relay.Outcome) Series {
		return Series{Label: "manifests " + label, Of: of(metrics.Relayed, metrics.Relay, oci.Manifest.String()+" "+outcome.String())}
	}
	out = append(out,
		manifests("fetched", relay.Fetched),
		manifests("from memory", relay.Memory),
		manifests("served again while the upstream does not respond", relay.Stale),
		Series{Label: "tokens issued", Of: of(metrics.TokenFetches, metrics.Token, relay.TokenIssued)},
		Series{Label: "tokens not issued", Of: of(metrics.TokenFetches, metrics.Token, relay.TokenFailed, relay.TokenRefused, relay.TokenInvalid)})
	for _, region := range m.Redirectors {
		out = append(out, Series{Label: region + ": upstream latency p99 in milliseconds", Of: []Metric{{region, metrics.Namespace, metrics.RelayLatency, "p99", nil}}})
	}
	return out
}

// checked returns the mirrors that redirectors check, by their names in metrics.
func (m source) checked() []string {
	if m.HasDistribution() {
		return append(m.Routed(), "default")
	}
	return m.Routed()
}

func (m source) buckets(name, stat, filter, value string) []Series {
	var out []Series
	for _, region := range m.Mirrors {
		out = append(out, Series{Label: region, Of: []Metric{{region, "AWS/S3", name, stat, []string{"BucketName", m.Bucket(region), filter, value}}}})
	}
	return out
}

func (m source) filling() []Series {
	one := func(label, namespace, name, stat string, dimensions ...string) Series {
		return Series{Label: label, Of: []Metric{{m.Primary, namespace, name, stat, dimensions}}}
	}
	out := []Series{
		one("blobs copied", metrics.Namespace, metrics.Copied, "Sum"),
		one(BytesCopied, metrics.Namespace, metrics.CopiedBytes, "Sum"),
		one("blobs too large for a function", metrics.Namespace, metrics.NeedsMirrorCopy, "Sum"),
		one("withdrawn blobs that were not deleted", metrics.Namespace, metrics.WithdrawnBlobs, "Maximum"),
		one("age of the oldest message in seconds", "AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", "QueueName", m.FillQueue()),
		one("dead letters", "AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", "QueueName", m.DeadFillQueue()),
	}
	for _, mirror := range m.Filled() {
		out = append(out, one("missing blobs in "+mirror, metrics.Namespace, metrics.MissingBlobs, "Maximum", metrics.Mirror, mirror))
	}
	return out
}

func (m source) canary() []Series {
	var out []Series
	for _, region := range m.Redirectors {
		for _, name := range m.EntryPoints() {
			of := func(metric, stat string) []Metric {
				return []Metric{{region, metrics.Namespace, metric, stat, []string{metrics.EntryPoint, name}}}
			}
			out = append(out,
				Series{Label: region + ", " + name + ": failed pulls", Of: of(metrics.CanaryFailures, "Sum")},
				Series{Label: region + ", " + name + ": milliseconds p50", Of: of(metrics.CanaryLatency, "p50")})
		}
	}
	return out
}

func (m source) canaryBlobs() []Series {
	var out []Series
	for _, reason := range route.Reasons() {
		if !reason.ForBlob() {
			continue
		}
		s := Series{Label: reason.String()}
		for _, region := range m.Redirectors {
			s.Of = append(s.Of, Metric{region, metrics.Namespace, metrics.CanaryBlobs, "Sum", []string{metrics.Reason, reason.String()}})
		}
		out = append(out, s)
	}
	return out
}
