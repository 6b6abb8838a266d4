package constructs

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/lambda/metrics"
	"archeio/lambda/oci"
	"archeio/lambda/route"
)

const (
	// minutes5 is the period of most alarms in seconds.
	minutes5 = 300

	// maxUnavailable is how many percent of the blobs may be served from the
	// upstream because of failed mirror checks. Below minBlobs in five minutes the
	// share is not significant.
	maxUnavailable, minBlobs = 5, 50

	// maxAbsent is how many percent of the blobs of clients with a mirror may be in no
	// mirror, for an hour. A new image is in none until the next run of the planner.
	maxAbsent = 25

	// unusableHours is for how many hours in a row loads of the blob index may find none
	// that is usable. A new stage has none before the planner's first run, which by
	// default is after an hour, and one that is too old is covered by IndexStale.
	unusableHours = 6

	// maxFailedChecks is how many checks of a mirror may fail in five minutes. A
	// process makes five before it skips an unavailable mirror.
	maxFailedChecks = 10

	// closeToTimeout is the share of its timeout that an invocation of the
	// redirector may take.
	closeToTimeout = 0.8
)

// alarms adds the alarms of a region to a stack.
type alarms struct {
	scope  constructs.Construct
	stage  *stage.Stage
	region string
}

// add adds an alarm that fires if a metric is above a threshold for a number of
// periods. It notifies the region's topic then; [Topic] has what notifies it when the
// alarm is over. The description is what fires, what to check and what to do, in
// sentences, and is followed by the alarm's runbook.
func (a alarms) add(id string, r runbook, description string, threshold float64, periods int, p awscloudwatch.CfnAlarmProps) awscloudwatch.CfnAlarm {
	p.AlarmDescription = jsii.String("Archeio, stage " + a.stage.Name + ": " + description + " Runbook: .github/runbooks.md#" + string(r))
	p.ComparisonOperator = jsii.String("GreaterThanThreshold")
	p.Threshold = jsii.Number(threshold)
	p.EvaluationPeriods = jsii.Number(float64(periods))
	p.TreatMissingData = jsii.String("notBreaching")
	p.AlarmActions = values(jsii.String(a.stage.AlarmTopicARN(a.region)))
	return awscloudwatch.NewCfnAlarm(a.scope, jsii.String(id), &p)
}

// archeio returns a command for the stage, quoted, as part of a description.
func (a alarms) archeio(command string) string {
	return `"archeio ` + command + " -stage " + a.stage.Name + `"`
}

// metric returns an alarm on a metric. period is in seconds; dimensions are names,
// each followed by its value.
func metric(namespace, name, statistic string, period float64, dimensions ...*string) awscloudwatch.CfnAlarmProps {
	p := awscloudwatch.CfnAlarmProps{
		Namespace:  jsii.String(namespace),
		MetricName: jsii.String(name),
		Statistic:  jsii.String(statistic),
		Period:     jsii.Number(period),
	}
	if list := dimensionsOf(dimensions); list != nil {
		p.Dimensions = list
	}
	return p
}

func dimensionsOf(pairs []*string) []interface{} {
	var list []interface{}
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, &awscloudwatch.CfnAlarm_DimensionProperty{Name: pairs[i], Value: pairs[i+1]})
	}
	return list
}

// function adds the alarms on a function. r is the runbook for errors; timeout is in
// seconds, and an invocation should take less than the given share of it.
func (a alarms) function(id string, r runbook, function awslambda.Function, periods int, timeout, share float64) {
	of := func(name, statistic string) awscloudwatch.CfnAlarmProps {
		return metric("AWS/Lambda", name, statistic, minutes5, jsii.String("FunctionName"), function.FunctionName())
	}
	a.add(id+"Errors", r, id+" invocations are failing. Check its log group.", 0, periods, of("Errors", "Sum"))
	a.add(id+"Throttles", runbookThrottles, id+" invocations are throttled. Request a higher Lambda concurrency quota in this region.", 0, periods, of("Throttles", "Sum"))
	a.add(id+"Duration", r, fmt.Sprintf("%s invocations take nearly their timeout of %v seconds. Check its log group.", id, timeout),
		timeout*1000*share, periods, of("Duration", "Maximum"))
}

// redirector adds the alarms on the mirrors as the function of a region sees them.
func (a alarms) redirector() error {
	c, err := a.stage.Config(a.region)
	if err != nil {
		return err
	}
	if !a.stage.PlainAlarms {
		a.unavailable("MirrorsUnavailable", runbookMirror, "Mirror existence checks are failing, so blobs are served from the upstream. Find the mirror with failing checks.",
			minutes5, 2, minBlobs)
		a.absent()
	}
	mirrors := make([]string, 0, len(c.Mirrors)+1)
	for _, m := range c.Mirrors {
		mirrors = append(mirrors, m.Region)
	}
	if c.DefaultMirror != "" {
		mirrors = append(mirrors, "default")
	}
	for _, mirror := range mirrors {
		which := "mirror in " + mirror
		if mirror == "default" {
			which = "default mirror"
		}
		a.add("Checks"+pascal(mirror), runbookMirror, "Existence checks of the "+which+" are failing, so clients are redirected elsewhere until it recovers. Check its bucket and S3 in its region.",
			maxFailedChecks, 3, metric(metrics.Namespace, metrics.Checks, "Sum", minutes5,
				jsii.String(metrics.Check), jsii.String(mirror+" unknown")))
		if c.IndexRefresh > 0 && a.stage.Filler != nil {
			a.add("IndexDisabled"+pascal(mirror), runbookMirror, "The blob index lists blobs that the "+which+" does not have, so it is not used for that mirror. Check whether the bucket is closed or emptied, then run "+a.archeio("mirror status")+".",
				0, 1, metric(metrics.Namespace, metrics.IndexDisabled, "Sum", minutes5, jsii.String(metrics.Mirror), jsii.String(mirror)))
		}
	}
	if c.IndexRefresh > 0 && a.stage.Filler != nil {
		age := (c.IndexMaxAge - config.IndexMargin).Seconds()
		a.add("IndexStale", runbookUpstream, "The blob index is no longer updated. Check the planner's log group before the index is too old to be used.",
			age, 1, metric(metrics.Namespace, metrics.IndexAge, "Maximum", minutes5))
		if !a.stage.PlainAlarms {
			a.unusable()
		}
	}
	a.relaying()
	return nil
}

// unavailable adds an alarm on the share of blobs that are served from the upstream
// because of failed mirror checks, for a number of periods in seconds. A period with
// less than minimum requests for blobs does not count.
func (a alarms) unavailable(id string, r runbook, description string, period float64, periods, minimum int) awscloudwatch.CfnAlarm {
	return a.add(id, r, description, maxUnavailable, periods, awscloudwatch.CfnAlarmProps{Metrics: []interface{}{
		requests("unavailable", period, metrics.Reason, route.MirrorUnavailable.String()),
		requests("blobs", period, metrics.Kind, oci.Blob.String()),
		percent("percent of blobs from the upstream, mirror checks failed",
			fmt.Sprintf("IF(blobs >= %d, 100 * FILL(unavailable, 0) / blobs, 0)", minimum)),
	}})
}

// absent adds an alarm on the share of blobs that no mirror has, of those whose
// clients have a mirror.
func (a alarms) absent() {
	list := []interface{}{
		requests("absent", minutes5, metrics.Reason, route.MirrorAbsent.String()),
		requests("blobs", minutes5, metrics.Kind, oci.Blob.String()),
	}
	mirrored := "blobs"
	for _, reason := range route.Reasons() {
		if reason.ForBlob() && reason.Leads() == route.Upstream && reason != route.MirrorAbsent && reason != route.MirrorUnavailable {
			id := strings.ReplaceAll(reason.String(), "-", "_")
			list = append(list, requests(id, minutes5, metrics.Reason, reason.String()))
			mirrored += fmt.Sprintf(" - FILL(%s, 0)", id)
		}
	}
	list = append(list, percent("percent of blobs that no mirror has, of clients with a mirror",
		fmt.Sprintf("IF(%s >= %d, 100 * FILL(absent, 0) / (%s), 0)", mirrored, minBlobs, mirrored)))
	a.add("MirrorsIncomplete", runbookMirror, "Many blobs are in no mirror, so the upstream serves them. Run "+a.archeio("mirror status")+" and check whether the mirrors are being filled.",
		maxAbsent, 3600/minutes5, awscloudwatch.CfnAlarmProps{Metrics: list})
}

// unusable adds an alarm on the loads of the blob index that find none that is usable.
func (a alarms) unusable() {
	var list []interface{}
	var counts []string
	for _, outcome := range []string{blobs.IndexStale, blobs.IndexTooLarge, blobs.IndexCorrupt, blobs.IndexMissing} {
		id := strings.ReplaceAll(outcome, "-", "_")
		list = append(list, sum(id, metrics.IndexLoads, 3600, metrics.Index, outcome))
		counts = append(counts, "FILL("+id+", 0)")
	}
	list = append(list, result("unusable", "loads that find no usable blob index", strings.Join(counts, " + ")))
	a.add("IndexUnusable", runbookUpstream, "No usable blob index, so every blob costs a check. Check the redirector's log group for its reason, then the planner's.",
		0, unusableHours, awscloudwatch.CfnAlarmProps{Metrics: list})
}

// requests returns a query for the requests with a value of a dimension. period is in
// seconds.
func requests(id string, period float64, dimension, value string) interface{} {
	return sum(id, metrics.Requests, period, dimension, value)
}

// sum returns a query for a metric with a value of a dimension. period is in seconds.
func sum(id, name string, period float64, dimension, value string) interface{} {
	return metricQuery(id, metrics.Namespace, name, "Sum", period, jsii.String(dimension), jsii.String(value))
}

// metricQuery returns a query for a metric, for an alarm on metric math. period and dimensions
// are as for metric.
func metricQuery(id, namespace, name, statistic string, period float64, dimensions ...*string) interface{} {
	return &awscloudwatch.CfnAlarm_MetricDataQueryProperty{
		Id:         jsii.String(id),
		ReturnData: jsii.Bool(false),
		MetricStat: &awscloudwatch.CfnAlarm_MetricStatProperty{
			Stat:   jsii.String(statistic),
			Period: jsii.Number(period),
			Metric: &awscloudwatch.CfnAlarm_MetricProperty{
				Namespace:  jsii.String(namespace),
				MetricName: jsii.String(name),
				Dimensions: dimensionsOf(dimensions),
			},
		},
	}
}

// percent returns the query that an alarm on a share evaluates.
func percent(label, expression string) interface{} { return result("share", label, expression) }

// result returns the query that an alarm on several metrics evaluates.
func result(id, label, expression string) interface{} {
	return &awscloudwatch.CfnAlarm_MetricDataQueryProperty{
		Id:         jsii.String(id),
		Label:      jsii.String(label),
		Expression: jsii.String(expression),
		ReturnData: jsii.Bool(true),
	}
}
