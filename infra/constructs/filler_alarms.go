package constructs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/jsii-runtime-go"

	"archeio/lambda/metrics"
)

// filler tells when the mirrors are not filled as they should be, and what to do
// about it.
func (w watcher) filler(planner, worker filler, queue, dead awssqs.Queue) {
	of := func(q awssqs.Queue, name string) awscloudwatch.CfnAlarmProps {
		return metric("AWS/SQS", name, "Maximum", minutes5, jsii.String("QueueName"), q.QueueName())
	}
	w.alarm("WorkWaits", "work for the mirrors waits for more than 6 hours; look for errors in the worker's log, and if there are none raise fill.rate or fill.workers",
		6*hour, 1, of(queue, "ApproximateAgeOfOldestMessage"))
	w.alarm("WorkFailed", fmt.Sprintf("work for the mirrors failed %d times; find out why in the worker's log, then redrive the messages of %s", mostReceives, w.stage.DeadFillQueue()),
		0, 1, of(dead, "ApproximateNumberOfMessagesVisible"))
	w.alarm("NeedsMirrorCopy", `blobs are too large for a function to copy; run "mirror copy" from a shell, with the stage's upstream and primary bucket`,
		0, 1, metric(metrics.Namespace, metrics.NeedsMirrorCopy, "Sum", 24*hour))
	// They stop in time by themselves and go on in a new message.
	const share = 0.99
	w.function(PlannerID, planner.function, 1, fillTimeout, share)
	w.function(WorkerID, worker.function, 3, fillTimeout, share)
}
