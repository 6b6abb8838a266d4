package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssqs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

const (
	// fillTimeout is Lambda's maximum in seconds.
	fillTimeout = 900

	// maxReceives is how many times a message is delivered before it becomes a
	// dead letter.
	maxReceives = 5
)

// Filler creates what fills the mirrors, in the primary's region: a planner that is
// invoked on a schedule and enqueues work, the queue, and a worker that processes
// it. code is the folder with the binary of both functions. It returns the planner.
func Filler(scope constructs.Construct, s *stage.Stage, code string) (awslambda.Function, error) {
	c, err := s.Fill()
	if err != nil {
		return nil, err
	}
	newPart := func(id, description, roleDescription string) filler {
		function, role := newFunction(scope, s, functionProps{
			prefix: id, id: id, description: description, roleDescription: roleDescription, code: code, env: c.Env(), memory: stage.FillerMemory, timeout: fillTimeout,
		})
		return filler{function, role}
	}
	planner := newPart(stage.PlannerID, "finds blobs that are missing from the mirrors", "Planner: reads the mirrors, writes its state and the blob index, enqueues work")
	worker := newPart(stage.WorkerID, "copies missing blobs to the mirrors", "Worker: receives work, writes blobs and the blob index to the mirrors, writes its state")
	queue, dead := fillQueues(scope, s)
	grantFiller(s, planner, worker, queue)

	awslambda.NewEventSourceMapping(scope, jsii.String("WorkQueueMapping"), &awslambda.EventSourceMappingProps{
		Target:                  worker.function,
		EventSourceArn:          queue.QueueArn(),
		BatchSize:               jsii.Number(1),
		MaxConcurrency:          jsii.Number(float64(s.Filler.Workers)),
		ReportBatchItemFailures: jsii.Bool(true),
	})
	invokeOn(scope, planner.function, stage.PlannerID, "Plan", "finds missing blobs", s.Filler.Schedule, `{"mirror":"plan"}`)
	invokeOn(scope, planner.function, stage.PlannerID, "Status", "compares every mirror with the upstream", "rate(1 day)", `{"mirror":"status"}`)
	alarms{scope, s, s.Primary}.filler(planner, worker, dead)
	return planner.function, nil
}

// fillQueues creates the work queue and its dead-letter queue.
func fillQueues(scope constructs.Construct, s *stage.Stage) (queue, dead awssqs.Queue) {
	retention := awscdk.Duration_Days(jsii.Number(14)) // the maximum
	dead = awssqs.NewQueue(scope, jsii.String("DeadLetters"), &awssqs.QueueProps{
		QueueName:       jsii.String(s.DeadFillQueue()),
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: retention,
	})
	fixLogicalID(dead, "DeadLetters")
	queue = awssqs.NewQueue(scope, jsii.String("Queue"), &awssqs.QueueProps{
		QueueName:       jsii.String(s.FillQueue()),
		Encryption:      awssqs.QueueEncryption_SQS_MANAGED,
		EnforceSSL:      jsii.Bool(true),
		RetentionPeriod: retention,
		// https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html
		VisibilityTimeout: awscdk.Duration_Seconds(jsii.Number(6 * fillTimeout)),
		DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: dead, MaxReceiveCount: jsii.Number(maxReceives)},
	})
	fixLogicalID(queue, "Queue")
	return queue, dead
}

// invokeOn creates a schedule that invokes a function with an event. target is the ID of
// the function in the rule.
func invokeOn(scope constructs.Construct, function awslambda.Function, target, id, description, schedule, event string) {
	rule := awsevents.NewCfnRule(scope, jsii.String(id), &awsevents.CfnRuleProps{
		Description:        jsii.String("Archeio: " + description),
		ScheduleExpression: jsii.String(schedule),
		State:              jsii.String("ENABLED"),
		Targets: []interface{}{&awsevents.CfnRule_TargetProperty{
			Id:          jsii.String(target),
			Arn:         function.FunctionArn(),
			Input:       jsii.String(event),
			RetryPolicy: &awsevents.CfnRule_RetryPolicyProperty{MaximumRetryAttempts: jsii.Number(2)},
		}},
	})
	awslambda.NewCfnPermission(scope, jsii.String(id+"Invokes"), &awslambda.CfnPermissionProps{
		Action:       jsii.String("lambda:InvokeFunction"),
		FunctionName: function.FunctionArn(),
		Principal:    jsii.String("events.amazonaws.com"),
		SourceArn:    rule.AttrArn(),
	})
}
