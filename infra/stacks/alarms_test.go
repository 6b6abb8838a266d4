//go:build !race

package stacks

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
	"archeio/lambda/blobs"
	"archeio/lambda/metrics"
	"archeio/lambda/oci"
	"archeio/lambda/rangetable"
	"archeio/lambda/relay"
	"archeio/lambda/route"
	"archeio/ranges"
)

// awsMetrics are the AWS metrics that alarms and the dashboard may use, with their
// dimensions and documentation.
var awsMetrics = map[string][]string{
	// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
	"AWS/Lambda Errors":      {"FunctionName"},
	"AWS/Lambda Throttles":   {"FunctionName"},
	"AWS/Lambda Duration":    {"FunctionName"},
	"AWS/Lambda Invocations": {"FunctionName"},
	// https://docs.aws.amazon.com/lambda/latest/dg/urls-monitoring.html
	"AWS/Lambda Url5xxCount": {"FunctionName"},
	// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/programming-cloudwatch-metrics.html
	"AWS/CloudFront 5xxErrorRate":             {"DistributionId", "Region"},
	"AWS/CloudFront 403ErrorRate":             {"DistributionId", "Region"},
	"AWS/CloudFront 502ErrorRate":             {"DistributionId", "Region"},
	"AWS/CloudFront 503ErrorRate":             {"DistributionId", "Region"},
	"AWS/CloudFront Requests":                 {"DistributionId", "Region"},
	"AWS/CloudFront FunctionExecutionErrors":  {"FunctionName", "Region"},
	"AWS/CloudFront FunctionValidationErrors": {"FunctionName", "Region"},
	// https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-cloudwatch-metrics.html
	"AWS/ApplicationELB HTTPCode_ELB_5XX_Count":    {"LoadBalancer"},
	"AWS/ApplicationELB HTTPCode_Target_5XX_Count": {"LoadBalancer"},
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
	"AWS/SQS ApproximateAgeOfOldestMessage":      {"QueueName"},
	"AWS/SQS ApproximateNumberOfMessagesVisible": {"QueueName"},
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
	"AWS/S3 BytesDownloaded":             {"BucketName", "FilterId"},
	"AWS/S3 BucketSizeBytes":             {"BucketName", "StorageType"},
	"AWS/S3 OperationsFailedReplication": {"DestinationBucket", "RuleId", "SourceBucket"},
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/monitor_estimated_charges_with_cloudwatch.html
	"AWS/Billing EstimatedCharges": {"Currency"},
}

// versionMetrics are those that Lambda also emits by version if an alias was invoked.
// Throttles are not among them.
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
var versionMetrics = []string{"Errors", "Duration"}

// ofVersion reports whether a metric is that of a function's version.
func ofVersion(m map[string]any, dimensions []string) bool {
	return m["Namespace"] == "AWS/Lambda" && slices.Contains(versionMetrics, fmt.Sprint(m["MetricName"])) &&
		slices.Equal(dimensions, []string{"ExecutedVersion", "FunctionName", "Resource"})
}

// ourMetrics returns the metrics of package metrics with all values of their
// dimension, nil for those that have none.
func ourMetrics(mirrors []string) map[string][]string {
	var kinds, clouds, reasons, blobReasons, checks, relayed []string
	for k := range oci.Kinds {
		kinds = append(kinds, metrics.Kind+"="+cmp.Or(oci.Kind(k).String(), "unknown"))
	}
	for _, c := range append(ranges.Clouds[:], "unknown") {
		clouds = append(clouds, metrics.Cloud+"="+string(c))
	}
	for _, r := range route.Reasons() {
		reasons = append(reasons, metrics.Reason+"="+r.String())
		if r.ForBlob() {
			blobReasons = append(blobReasons, metrics.Reason+"="+r.String())
		}
	}
	for _, kind := range []oci.Kind{oci.Blob, oci.Manifest, oci.Tags, oci.Referrers} {
		for _, outcome := range relay.Outcomes() {
			relayed = append(relayed, metrics.Relay+"="+kind.String()+" "+outcome.String())
		}
	}
	for _, m := range append(slices.Clone(mirrors), "default", "upstream") {
		for _, a := range []blobs.Answer{blobs.Unknown, blobs.Present, blobs.Absent} {
			checks = append(checks, metrics.Check+"="+m+" "+a.String())
		}
	}
	return map[string][]string{
		metrics.Requests:     slices.Concat(kinds, clouds, reasons),
		metrics.Relayed:      relayed,
		metrics.TokenFetches: prefixed(metrics.Token+"=", relay.TokenIssued, relay.TokenFailed, relay.TokenRefused, relay.TokenInvalid),
		metrics.Checks:       checks,
		metrics.IndexLoads: prefixed(metrics.Index+"=", blobs.IndexLoaded, blobs.IndexUnchanged, blobs.IndexMissing,
			blobs.IndexCorrupt, blobs.IndexStale, blobs.IndexTooLarge, blobs.IndexUnreachable),
		metrics.RangesLoads: prefixed(metrics.Ranges+"=", rangetable.Loaded, rangetable.Unchanged, rangetable.Missing,
			rangetable.Corrupt, rangetable.Older, rangetable.Future, rangetable.Unreachable),
		metrics.MissingBlobs:      prefixed(metrics.Mirror+"=", mirrors...),
		metrics.IndexContradicted: prefixed(metrics.Mirror+"=", append(slices.Clone(mirrors), "default")...),
		metrics.IndexDisabled:     prefixed(metrics.Mirror+"=", append(slices.Clone(mirrors), "default")...),
		metrics.CheckLatency:      nil, metrics.TotalLatency: nil, metrics.RelayLatency: nil, metrics.ColdStarts: nil, metrics.IndexAge: nil, metrics.RangesAge: nil, metrics.RangesUnchecked: nil, metrics.RangesRefused: nil, metrics.UnknownClients: nil,
		metrics.CanaryFailures: prefixed(metrics.EntryPoint+"=", stage.DistributionEntry, stage.BalancerEntry),
		metrics.CanaryLatency:  prefixed(metrics.EntryPoint+"=", stage.DistributionEntry, stage.BalancerEntry),
		metrics.CanaryBlobs:    blobReasons,
		metrics.Copied:         nil, metrics.CopiedBytes: nil, metrics.NeedsMirrorCopy: nil, metrics.WithdrawnBlobs: nil, metrics.FirstFill: nil, metrics.WorkDelay: nil,
	}
}

func prefixed(prefix string, values ...string) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = prefix + v
	}
	return out
}

// metricsOf returns all metrics in a part of a template: the objects with a namespace.
func metricsOf(v any) []map[string]any {
	var out []map[string]any
	walk(v, "", func(_ string, v any) {
		if object, ok := v.(map[string]any); ok && object["Namespace"] != nil {
			out = append(out, object)
		}
	})
	return out
}

// known returns what is wrong with a metric, empty if it is one that is emitted.
func known(mirrors []string, m map[string]any) string {
	var names, pairs []string
	for _, d := range list(m["Dimensions"]) {
		names = append(names, fmt.Sprint(at(d, "Name")))
		pairs = append(pairs, fmt.Sprintf("%v=%v", at(d, "Name"), at(d, "Value")))
	}
	slices.Sort(names)
	if m["Namespace"] != metrics.Namespace {
		if want, ok := awsMetrics[fmt.Sprintf("%v %v", m["Namespace"], m["MetricName"])]; !ofVersion(m, names) && (!ok || !slices.Equal(names, want)) {
			return fmt.Sprintf("unknown AWS metric %v %v with the dimensions %v", m["Namespace"], m["MetricName"], names)
		}
		return ""
	}
	values, ok := ourMetrics(mirrors)[fmt.Sprint(m["MetricName"])]
	if !ok || len(pairs) > 1 || len(pairs) == 0 && values != nil || len(pairs) == 1 && !slices.Contains(values, pairs[0]) {
		return fmt.Sprintf("metric %v with the dimensions %v is not emitted", m["MetricName"], pairs)
	}
	return ""
}

// An alarm on a metric that is not emitted would never fire.
func TestAlarmMetricsExist(t *testing.T) {
	each(t, "", func(t *testing.T, st *synthStack) {
		for id, alarm := range st.resources("AWS::CloudWatch::Alarm") {
			found := metricsOf(at(alarm, "Properties"))
			if len(found) == 0 {
				t.Errorf("%s has no metric", id)
			}
			for _, m := range found {
				if wrong := known(st.stage.Mirrors, m); wrong != "" {
					t.Errorf("%s: %s", id, wrong)
				}
			}
		}
	})
}

func TestKnownMetrics(t *testing.T) {
	of := func(namespace, name string, dimensions ...string) map[string]any {
		m := map[string]any{"Namespace": namespace, "MetricName": name}
		var list []any
		for i := 0; i < len(dimensions); i += 2 {
			list = append(list, map[string]any{"Name": dimensions[i], "Value": dimensions[i+1]})
		}
		m["Dimensions"] = list
		return m
	}
	for _, tt := range []struct {
		name   string
		metric map[string]any
		ok     bool
	}{
		{"ours", of("Archeio", "Requests", "Reason", "mirror-unavailable"), true},
		{"whole", of("Archeio", "TotalLatency"), true},
		{"check", of("Archeio", "Checks", "Check", "eu-west-1 unknown"), true},
		{"other-reason", of("Archeio", "Requests", "Reason", "mirror-down"), false},
		{"no-dimension", of("Archeio", "Requests"), false},
		{"two-dimensions", of("Archeio", "Requests", "Reason", "ping", "Kind", "ping"), false},
		{"other-mirror", of("Archeio", "Checks", "Check", "eu-west-9 unknown"), false},
		{"other-name", of("Archeio", "Pulls"), false},
		{"dimension-too-many", of("Archeio", "TotalLatency", "Kind", "blob"), false},
		{"aws", of("AWS/Lambda", "Errors", "FunctionName", "x"), true},
		{"version", of("AWS/Lambda", "Errors", "FunctionName", "x", "Resource", "x:live", "ExecutedVersion", "7"), true},
		{"version-throttles", of("AWS/Lambda", "Throttles", "FunctionName", "x", "Resource", "x:live", "ExecutedVersion", "7"), false},
		{"version-without-alias", of("AWS/Lambda", "Errors", "FunctionName", "x", "ExecutedVersion", "7"), false},
		{"aws-name", of("AWS/Lambda", "Error", "FunctionName", "x"), false},
		{"aws-dimension", of("AWS/Lambda", "Errors", "Function", "x"), false},
	} {
		if wrong := known([]string{"eu-west-1"}, tt.metric); (wrong == "") != tt.ok {
			t.Errorf("%s: %q", tt.name, wrong)
		}
	}
}

// actions matches a description of at least two sentences, one of which says what to
// do.
var actions = regexp.MustCompile(`^Archeio, stage [a-z-]+: [A-Z].+\. .*(Check|Find|Request|Run) .+\.$`)

// maxDescription is CloudWatch's limit in characters.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
const maxDescription = 1024

// Alarms notify the topic of their region, and say what to do.
func TestAlarmsNotify(t *testing.T) {
	each(t, "", func(t *testing.T, st *synthStack) {
		topic := `["arn:aws:sns:` + st.region + `:` + st.stage.Account + `:archeio-` + st.stage.Name + `-alarms"]`
		for id, alarm := range st.resources("AWS::CloudWatch::Alarm") {
			props := at(alarm, "Properties")
			same(t, id+"'s actions", at(props, "AlarmActions"), topic)
			// It would also run when the alarm is created.
			if at(props, "OKActions") != nil {
				t.Errorf("%s has an action for OK", id)
			}
			whole, _ := at(props, "AlarmDescription").(string)
			if len(whole) > maxDescription {
				t.Errorf("%s: the description has %d bytes, want at most %d", id, len(whole), maxDescription)
			}
			description, _ := describe(t, st, id)
			if !strings.HasPrefix(description, "Archeio, stage "+st.stage.Name+": ") || !actions.MatchString(description) {
				t.Errorf("%s: the description %q does not say what to do", id, description)
			}
			missing, operator := "notBreaching", "GreaterThanThreshold"
			switch id {
			case "RangesRefused": // until the next run
				missing = "ignore"
			case "RangesIdle": // the metric is missing then
				missing, operator = "breaching", "LessThanThreshold"
			}
			same(t, id+"'s missing data", at(props, "TreatMissingData"), text(missing))
			if at(props, "ComparisonOperator") != operator {
				t.Errorf("%s has the comparison operator %v, want %s", id, at(props, "ComparisonOperator"), operator)
			}
			// CloudWatch evaluates at most a day, or a week for periods of an hour.
			period, _ := at(props, "Period").(float64)
			periods, _ := at(props, "EvaluationPeriods").(float64)
			limit := 86400.0
			if period >= 3600 {
				limit *= 7
			}
			if period*periods > limit {
				t.Errorf("%s evaluates %v seconds, want at most %v", id, period*periods, limit)
			}
		}
	})
}

// alarms returns the logical ids of a stack's alarms, sorted.
func (st *synthStack) alarms() []string {
	return slices.Sorted(maps.Keys(st.resources("AWS::CloudWatch::Alarm")))
}

func TestRedirectorAlarms(t *testing.T) {
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		want := []string{"RedirectorDuration", "RedirectorErrors", "RedirectorThrottles"}
		if !st.stage.PlainAlarms {
			want = append(want, "MirrorsIncomplete", "MirrorsUnavailable")
		}
		if st.stage.Release != nil {
			want = append(want, newVersionAlarms(st)...)
		}
		if stage.HasFunctionURL(st.region) {
			want = append(want, "FunctionURLErrors")
			serverErrors(t, st, "FunctionURLErrors", "AWS/Lambda", "Url5xxCount", `[{"Name": "FunctionName", "Value": {"Ref": "Redirector"}}]`)
		}
		if st.stage.Relays() {
			want = append(want, "RelayFailed", "UpstreamLimited")
		}
		if st.stage.HasLoadBalancers() {
			want = append(want, "BalancerErrors", "BalancerTargetErrors")
			balancer := `[{"Name": "LoadBalancer", "Value": {"Fn::GetAtt": ["Balancer", "LoadBalancerFullName"]}}]`
			same(t, "load balancer", at(st.resource(t, "BalancerErrors"), "Properties", "Dimensions"), balancer)
			serverErrors(t, st, "BalancerTargetErrors", "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", balancer)
		}
		if st.stage.Filler != nil {
			want = append(want, "IndexStale")
			if !st.stage.PlainAlarms {
				want = append(want, "IndexUnusable")
			}
		}
		for _, mirror := range append(st.stage.Routed(), "default") {
			id := "Checks" + camel(mirror)
			if mirror == "default" && !st.stage.HasDistribution() {
				continue
			}
			want = append(want, id)
			same(t, id, at(st.resource(t, id), "Properties", "Dimensions"), `[{"Name": "Check", "Value": "`+mirror+` unknown"}]`)
			if st.stage.Filler != nil {
				id := "IndexDisabled" + camel(mirror)
				want = append(want, id)
				same(t, id, at(st.resource(t, id), "Properties", "Dimensions"), `[{"Name": "Mirror", "Value": "`+mirror+`"}]`)
			}
		}
		slices.Sort(want)
		if got := st.alarms(); !slices.Equal(got, want) {
			t.Errorf("alarms %v, want %v", got, want)
		}
		duration := at(st.resource(t, "RedirectorDuration"), "Properties")
		same(t, "function", at(duration, "Dimensions"), `[{"Name": "FunctionName", "Value": {"Ref": "Redirector"}}]`)
		seconds, _ := at(st.resource(t, "Redirector"), "Properties", "Timeout").(float64)
		same(t, "threshold", at(duration, "Threshold"), fmt.Sprint(seconds*800))
	})
}

// The share is that of all requests for blobs, if there are enough of them.
func TestUnavailableShare(t *testing.T) {
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		if st.stage.PlainAlarms {
			return
		}
		share(t, st, "MirrorsUnavailable", 300, 50)
		if st.stage.Release != nil {
			// It fires within a canary of five minutes.
			share(t, st, "NewVersionUnavailable", 60, 10)
		}
	})
}

// The share is that of blobs whose clients have a mirror.
func TestAbsentShare(t *testing.T) {
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		if st.stage.PlainAlarms {
			return
		}
		list, _ := at(st.resource(t, "MirrorsIncomplete"), "Properties", "Metrics").([]any)
		if len(list) != 6 {
			t.Fatalf("%d queries, want 6", len(list))
		}
		same(t, "share", at(list[5], "Expression"),
			`"IF(blobs - FILL(upstream_cloud, 0) - FILL(upstream_digest, 0) - FILL(no_mirror, 0) >= 50, 100 * FILL(absent, 0) / (blobs - FILL(upstream_cloud, 0) - FILL(upstream_digest, 0) - FILL(no_mirror, 0)), 0)"`)
	})
}

// A new stage has no index before the planner's first run.
func TestIndexUnusable(t *testing.T) {
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		if st.stage.PlainAlarms || st.stage.Filler == nil {
			return
		}
		props := at(st.resource(t, "IndexUnusable"), "Properties")
		var outcomes []string
		for _, m := range list(at(props, "Metrics")) {
			if at(m, "MetricStat") == nil {
				same(t, "loads", at(m, "Expression"), `"FILL(stale, 0) + FILL(too_large, 0) + FILL(corrupt, 0) + FILL(missing, 0)"`)
				continue
			}
			same(t, "period", at(m, "MetricStat", "Period"), "3600")
			outcomes = append(outcomes, fmt.Sprint(at(list(at(m, "MetricStat", "Metric", "Dimensions"))[0], "Value")))
		}
		if want := []string{"stale", "too-large", "corrupt", "missing"}; !slices.Equal(outcomes, want) {
			t.Errorf("outcomes %v, want %v", outcomes, want)
		}
		same(t, "threshold", at(props, "Threshold"), "0")
		same(t, "periods", at(props, "EvaluationPeriods"), "6")
	})
}

func share(t *testing.T, st *synthStack, id string, period, minimum int) {
	t.Helper()
	props := at(st.resource(t, id), "Properties")
	of := func(id, dimension, value string) string {
		return fmt.Sprintf(`{"Id": %q, "ReturnData": false, "MetricStat": {"Stat": "Sum", "Period": %d, "Metric": {
			"Namespace": "Archeio", "MetricName": "Requests", "Dimensions": [{"Name": %q, "Value": %q}]}}}`, id, period, dimension, value)
	}
	same(t, id+"'s metrics", at(props, "Metrics"), `[`+of("unavailable", "Reason", "mirror-unavailable")+`, `+of("blobs", "Kind", "blob")+`,
		{"Id": "share", "ReturnData": true, "Label": "percent of blobs from the upstream, mirror checks failed",
		"Expression": "`+fmt.Sprintf("IF(blobs >= %d, 100 * FILL(unavailable, 0) / blobs, 0)", minimum)+`"}]`)
	same(t, id+"'s threshold", at(props, "Threshold"), "5")
	same(t, id+"'s periods", at(props, "EvaluationPeriods"), "2")
}

func TestMirrorAlarms(t *testing.T) {
	each(t, "mirror", func(t *testing.T, st *synthStack) {
		want := []string{"Downloads"}
		if st.region == st.stage.Primary {
			for _, replica := range st.stage.Replicas() {
				id := "Replication" + camel(replica)
				want = append(want, id)
				same(t, id, at(st.resource(t, id), "Properties", "Dimensions"), fmt.Sprintf(`[
					{"Name": "SourceBucket", "Value": %q}, {"Name": "DestinationBucket", "Value": %q}, {"Name": "RuleId", "Value": %q}
				]`, st.stage.Bucket(st.region), st.stage.Bucket(replica), "to-"+replica))
			}
		}
		slices.Sort(want)
		if got := st.alarms(); !slices.Equal(got, want) {
			t.Errorf("alarms %v, want %v", got, want)
		}
		// S3 emits its request metrics only if they are configured.
		if !st.stage.IsExisting(st.region) {
			same(t, "request metrics", at(st.resource(t, "Mirror"), "Properties", "MetricsConfigurations"), `[{"Id": "EntireBucket"}]`)
		}
		same(t, "bucket", at(st.resource(t, "Downloads"), "Properties", "Dimensions"), fmt.Sprintf(`[
			{"Name": "BucketName", "Value": %q}, {"Name": "FilterId", "Value": "EntireBucket"}]`, st.stage.Bucket(st.region)))
		same(t, "threshold", at(st.resource(t, "Downloads"), "Properties", "Threshold"), fmt.Sprint(st.stage.DownloadAlarm*1e9))
	})
}

// Each custom metric is billed monthly, and so are the 16 request metrics of a bucket.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html
func TestCustomMetricsAreFew(t *testing.T) {
	const limit, requestMetrics, replicationMetrics = 330, 16, 4
	filler := []string{metrics.Copied, metrics.CopiedBytes, metrics.NeedsMirrorCopy, metrics.WithdrawnBlobs, metrics.MissingBlobs}
	for _, s := range synthesized(t).stages {
		for _, region := range s.Regions() {
			n := 0
			for name, values := range ourMetrics(s.Mirrors) {
				if name == metrics.FirstFill || name == metrics.WorkDelay { // for some days, in trouble
					continue
				}
				if (name == metrics.Relayed || name == metrics.TokenFetches) && !s.Relays() {
					continue
				}
				if slices.Contains(filler, name) && region == s.Primary && s.Filler != nil || !slices.Contains(filler, name) && slices.Contains(s.Redirectors, region) {
					n += max(len(values), 1)
				}
			}
			if slices.Contains(s.Mirrors, region) {
				n += requestMetrics
			}
			if region == s.Primary {
				n += len(s.Replicas()) // failed operations
			} else if slices.Contains(s.Mirrors, region) {
				n += replicationMetrics - 1
			}
			if n > limit {
				t.Errorf("stage %s has %d custom metrics in %s, want at most %d", s.Name, n, region, limit)
			}
		}
	}
}

// camel returns a region as part of a logical id: EuWest1.
func camel(region string) string {
	var out strings.Builder
	for word := range strings.SplitSeq(region, "-") {
		out.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return out.String()
}
