package constructs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/lambda/metrics"
	"archeio/lambda/oci"
	"archeio/lambda/route"
)

const (
	// minutes5 is how long most alarms look back, in seconds.
	minutes5 = 300

	// unavailableShare is the part of the blobs, in percent, that may come from
	// the upstream because a mirror could not say. Below fewestBlobs in five
	// minutes a share means nothing.
	unavailableShare, fewestBlobs = 5, 50

	// failedChecks is how many checks of a mirror may fail in five minutes. A
	// process that sees a dead mirror makes five before it leaves it out.
	failedChecks = 10

	// closeToTimeout is the share of its time that a run of the redirector may
	// take.
	closeToTimeout = 0.8
)

// watcher makes the alarms of a region.
type watcher struct {
	scope  constructs.Construct
	stage  *stage.Stage
	region string
}

// alarm tells the region's topic when a metric is above a threshold for so many
// periods, and when it no longer is. Its description says what to do.
func (w watcher) alarm(id, description string, threshold float64, periods int, p awscloudwatch.CfnAlarmProps) awscloudwatch.CfnAlarm {
	topic := values(jsii.String(w.stage.AlarmTopicARN(w.region)))
	p.AlarmDescription = jsii.String("Archeio, stage " + w.stage.Name + ": " + description)
	p.ComparisonOperator = jsii.String("GreaterThanThreshold")
	p.Threshold = jsii.Number(threshold)
	p.EvaluationPeriods = jsii.Number(float64(periods))
	p.TreatMissingData = jsii.String("notBreaching")
	p.AlarmActions, p.OkActions = topic, topic
	return awscloudwatch.NewCfnAlarm(w.scope, jsii.String(id), &p)
}

// metric is one of AWS's own, or of ours; dimensions are names, each followed by
// its value.
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

// function watches a function of which each run has so many seconds, from which
// it should be far when it has taken the given share of them.
func (w watcher) function(id string, function awslambda.Function, periods int, timeout, share float64) {
	of := func(name, statistic string) awscloudwatch.CfnAlarmProps {
		return metric("AWS/Lambda", name, statistic, minutes5, jsii.String("FunctionName"), function.FunctionName())
	}
	w.alarm(id+"Errors", "runs of the "+id+" fail; look into its log", 0, periods, of("Errors", "Sum"))
	w.alarm(id+"Throttles", "runs of the "+id+" are refused; ask for a larger Lambda concurrency quota in this region", 0, periods, of("Throttles", "Sum"))
	w.alarm(id+"Duration", fmt.Sprintf("runs of the %s come close to their time-out of %v seconds; look into its log", id, timeout),
		timeout*1000*share, periods, of("Duration", "Maximum"))
}

// redirector watches what the function of a region says of the mirrors.
func (w watcher) redirector() error {
	c, err := w.stage.Config(w.region)
	if err != nil {
		return err
	}
	if !w.stage.PlainAlarms {
		w.unavailable("MirrorsUnavailable", "mirrors cannot say whether they have a blob, and clients go to the upstream; look which mirror's checks fail",
			minutes5, 2, fewestBlobs)
	}
	mirrors := make([]string, 0, len(c.Mirrors)+1)
	for _, m := range c.Mirrors {
		mirrors = append(mirrors, m.Region)
	}
	if c.DefaultMirror != "" {
		mirrors = append(mirrors, "default")
	}
	for _, mirror := range mirrors {
		w.alarm("Checks"+pascal(mirror), "checks of the mirror "+mirror+" fail; clients are sent past it until it answers",
			failedChecks, 3, metric(metrics.Namespace, metrics.Checks, "Sum", minutes5,
				jsii.String(metrics.Check), jsii.String(mirror+" unknown")))
	}
	if c.IndexRefresh > 0 && w.stage.Filler != nil {
		age := c.IndexMaxAge.Seconds() / 2
		w.alarm("IndexOld", "the index of what all mirrors hold is not written anew; look into the planner's log, before the index is too old to be used",
			age, 1, metric(metrics.Namespace, metrics.IndexAge, "Maximum", minutes5))
	}
	return nil
}

// unavailable watches the share of the blobs for which clients had to go to the
// upstream, as a mirror could not say whether it has them: in so many periods,
// each of so many seconds, and where there are not too few blobs in one.
func (w watcher) unavailable(id, description string, period float64, periods, fewest int) awscloudwatch.CfnAlarm {
	requests := func(id, dimension, value string) interface{} {
		return &awscloudwatch.CfnAlarm_MetricDataQueryProperty{
			Id:         jsii.String(id),
			ReturnData: jsii.Bool(false),
			MetricStat: &awscloudwatch.CfnAlarm_MetricStatProperty{
				Stat:   jsii.String("Sum"),
				Period: jsii.Number(period),
				Metric: &awscloudwatch.CfnAlarm_MetricProperty{
					Namespace:  jsii.String(metrics.Namespace),
					MetricName: jsii.String(metrics.Requests),
					Dimensions: dimensionsOf([]*string{jsii.String(dimension), jsii.String(value)}),
				},
			},
		}
	}
	return w.alarm(id, description,
		unavailableShare, periods, awscloudwatch.CfnAlarmProps{Metrics: []interface{}{
			requests("unavailable", metrics.Reason, route.MirrorUnavailable.String()),
			requests("blobs", metrics.Kind, oci.Blob.String()),
			&awscloudwatch.CfnAlarm_MetricDataQueryProperty{
				Id:         jsii.String("share"),
				Label:      jsii.String("blobs from the upstream as a mirror could not say, in percent"),
				Expression: jsii.String(fmt.Sprintf("IF(blobs >= %d, 100 * FILL(unavailable, 0) / blobs, 0)", fewest)),
				ReturnData: jsii.Bool(true),
			},
		}})
}
