package constructs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/lambda/metrics"
)

// fillAlarms tell when the mirrors are not filled as they should be, and what
// to do about it.
func fillAlarms(scope constructs.Construct, s *stage.Stage, queue, dead awssqs.Queue) {
	alarm := func(id, description string, threshold int, p awscloudwatch.CfnAlarmProps) {
		p.AlarmDescription = jsii.String("Archeio, stage " + s.Name + ": " + description)
		p.ComparisonOperator = jsii.String("GreaterThanThreshold")
		p.Threshold = jsii.Number(float64(threshold))
		p.EvaluationPeriods = jsii.Number(1)
		p.TreatMissingData = jsii.String("notBreaching")
		awscloudwatch.NewCfnAlarm(scope, jsii.String(id), &p)
	}
	ofQueue := func(q awssqs.Queue, metric string) awscloudwatch.CfnAlarmProps {
		return awscloudwatch.CfnAlarmProps{
			Namespace:  jsii.String("AWS/SQS"),
			MetricName: jsii.String(metric),
			Dimensions: []interface{}{&awscloudwatch.CfnAlarm_DimensionProperty{Name: jsii.String("QueueName"), Value: q.QueueName()}},
			Statistic:  jsii.String("Maximum"),
			Period:     jsii.Number(300),
		}
	}
	alarm("WorkWaits", "work for the mirrors waits for more than 6 hours; look for errors in the worker's log, and if there are none raise fill.rate or fill.workers",
		6*hour, ofQueue(queue, "ApproximateAgeOfOldestMessage"))
	alarm("WorkFailed", fmt.Sprintf("work for the mirrors failed %d times; find out why in the worker's log, then redrive the messages of %s", mostReceives, s.DeadFillQueue()),
		0, ofQueue(dead, "ApproximateNumberOfMessagesVisible"))
	alarm("NeedsMirrorCopy", `blobs are too large for a function to copy; run "mirror copy" from a shell, with the stage's upstream and primary bucket`,
		0, awscloudwatch.CfnAlarmProps{
			Namespace:  jsii.String(metrics.Namespace),
			MetricName: jsii.String(metrics.NeedsMirrorCopy),
			Statistic:  jsii.String("Sum"),
			Period:     jsii.Number(24 * hour),
		})
}
