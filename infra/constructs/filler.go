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

// PlannerID and WorkerID are the functions' logical ids in the template.
const (
	PlannerID = "Planner"
	WorkerID  = "Worker"
)

const (
	// fillTimeout is the longest that Lambda gives, fillMemory in MB.
	fillTimeout, fillMemory = 900, 1024

	// mostReceives is how often a message is tried.
	mostReceives = 5
)

// Filler makes what fills the mirrors, beside the primary: a planner that a
// schedule calls, a queue that hands out its work, and a worker that does it.
// code is a folder with their built bootstrap, which is one. It answers the
// planner.
func Filler(scope constructs.Construct, s *stage.Stage, code string) (awslambda.Function, error) {
	c, err := s.Fill()
	if err != nil {
		return nil, err
	}
	part := func(id, description, may string) filler {
		function, role := newFunction(scope, s, functionProps{
			prefix: id, id: id, description: description, may: may, code: code, env: c.Env(), memory: fillMemory, timeout: fillTimeout,
		})
		return filler{function, role}
	}
	planner := part(PlannerID, "finds out what the mirrors lack", "The planner: reads the mirrors, writes its state and their index, and sends work to its queue")
	worker := part(WorkerID, "copies blobs into the mirrors", "The worker: takes work from its queue, writes blobs into the mirrors, and its state")
	queue, dead := fillQueues(scope, s)
	allowFiller(s, planner, worker, queue, stateBucket(scope, s))

	awslambda.NewEventSourceMapping(scope, jsii.String("Work"), &awslambda.EventSourceMappingProps{
		Target:                  worker.function,
		EventSourceArn:          queue.QueueArn(),
		BatchSize:               jsii.Number(1),
		MaxConcurrency:          jsii.Number(float64(s.Filler.Workers)),
		ReportBatchItemFailures: jsii.Bool(true),
	})
	call(scope, planner.function, "Plan", "looks for what the mirrors lack", s.Filler.Schedule, `{"mirror":"plan"}`)
	call(scope, planner.function, "Status", "compares every mirror with the upstream", "rate(1 day)", `{"mirror":"status"}`)
	watcher{scope, s, s.Primary}.filler(planner, worker, queue, dead)
	return planner.function, nil
}

// fillQueues makes the queue of the work, and the one for what failed too often.
func fillQueues(scope constructs.Construct, s *stage.Stage) (queue, dead awssqs.Queue) {
	retention := awscdk.Duration_Days(jsii.Number(14)) // the longest
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
		DeadLetterQueue:   &awssqs.DeadLetterQueue{Queue: dead, MaxReceiveCount: jsii.Number(mostReceives)},
	})
	fixLogicalID(queue, "Queue")
	return queue, dead
}

// call makes a schedule that calls a function with an event.
func call(scope constructs.Construct, function awslambda.Function, id, description, schedule, event string) {
	rule := awsevents.NewCfnRule(scope, jsii.String(id), &awsevents.CfnRuleProps{
		Description:        jsii.String("Archeio: " + description),
		ScheduleExpression: jsii.String(schedule),
		State:              jsii.String("ENABLED"),
		Targets: []interface{}{&awsevents.CfnRule_TargetProperty{
			Id:          jsii.String(PlannerID),
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
