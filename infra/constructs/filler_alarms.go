package constructs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/lambda/metrics"
)

// filler adds the alarms on filling the mirrors.
func (a alarms) filler(planner, worker filler, dead awssqs.Queue) {
	of := func(q awssqs.Queue, name string) awscloudwatch.CfnAlarmProps {
		return metric("AWS/SQS", name, "Maximum", minutes5, jsii.String("QueueName"), q.QueueName())
	}
	// Not the age of the oldest message, which is days during the first fill.
	a.add("WorkDelayed", runbookUpstream, "Work has been queued for more than 6 hours, so blobs are missing from mirrors. Check the worker's log group for errors; if there are none, raise fill.rate or fill.workers.",
		6*hour, 1, metric(metrics.Namespace, metrics.WorkDelay, "Maximum", hour))
	a.add("WorkFailed", runbookUpstream, fmt.Sprintf("Work has failed %d times, so blobs are missing from mirrors. Find the cause in the worker's log group, then redrive the messages of %s.", maxReceives, a.stage.DeadFillQueue()),
		0, 1, of(dead, "ApproximateNumberOfMessagesVisible"))
	a.add("NeedsMirrorCopy", runbookCopy, "Blobs are too large for a function to copy. Run "+a.archeio("mirror copy")+".",
		0, 1, metric(metrics.Namespace, metrics.NeedsMirrorCopy, "Sum", 24*hour))
	a.add("WithdrawnBlobs", runbookBlob, "Withdrawn blobs may still be in a mirror, because deleting them failed. Find the mirror and the error in the planner's log group.",
		0, 1, metric(metrics.Namespace, metrics.WithdrawnBlobs, "Maximum", 24*hour))
	// They stop before the timeout by themselves and continue with a new message.
	const share = 0.99
	a.function(stage.PlannerID, runbookUpstream, planner.function, 1, fillTimeout, share)
	a.function(stage.WorkerID, runbookUpstream, worker.function, 3, fillTimeout, share)
}
