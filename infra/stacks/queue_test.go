//go:build !race

package stacks

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestFillQueues(t *testing.T) {
	each(t, "filler", func(t *testing.T, st *synthStack) {
		for id, more := range map[string]string{
			"DeadLetters": `"QueueName": "archeio-` + st.stage.Name + `-fill-dead"`,
			// Six times the timeout of the worker.
			"Queue": `"QueueName": "archeio-` + st.stage.Name + `-fill", "VisibilityTimeout": 5400,
				"RedrivePolicy": {"deadLetterTargetArn": {"Fn::GetAtt": ["DeadLetters", "Arn"]}, "maxReceiveCount": 5}`,
		} {
			queue := st.resource(t, id)
			props, _ := at(queue, "Properties").(map[string]any)
			same(t, id, any(props), `{`+more+`, "MessageRetentionPeriod": 1209600, "SqsManagedSseEnabled": true, "Tags": `+text(props["Tags"])+`}`)
			// The policy only denies requests without TLS.
			found := 0
			for _, policy := range st.resources("AWS::SQS::QueuePolicy") {
				if text(at(policy, "Properties", "Queues")) == `[{"Ref":"`+id+`"}]` {
					found++
					same(t, id+"'s policy", at(policy, "Properties", "PolicyDocument", "Statement"), fmt.Sprintf(`[{
						"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sqs:*", "Resource": {"Fn::GetAtt": [%q, "Arn"]},
						"Condition": {"Bool": {"aws:SecureTransport": "false"}}
					}]`, id))
				}
			}
			if found != 1 {
				t.Errorf("%s has %d policies, want 1", id, found)
			}
		}
	})
}

func TestWorkQueueMapping(t *testing.T) {
	each(t, "filler", func(t *testing.T, st *synthStack) {
		_, mapping := st.only(t, "AWS::Lambda::EventSourceMapping")
		same(t, "mapping", at(mapping, "Properties"), fmt.Sprintf(`{
			"FunctionName": {"Ref": "Worker"},
			"EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
			"BatchSize": 1,
			"FunctionResponseTypes": ["ReportBatchItemFailures"],
			"ScalingConfig": {"MaximumConcurrency": %d},
			"Tags": %s
		}`, st.stage.Filler.Workers, text(at(mapping, "Properties", "Tags"))))
	})
}

func TestSchedules(t *testing.T) {
	each(t, "filler", func(t *testing.T, st *synthStack) {
		for id, want := range map[string]struct{ schedule, event string }{
			"Plan":   {st.stage.Filler.Schedule, `{"mirror":"plan"}`},
			"Status": {"rate(1 day)", `{"mirror":"status"}`},
		} {
			props := at(st.resource(t, id), "Properties")
			same(t, id+"'s state", at(props, "State"), `"ENABLED"`)
			if got := at(props, "ScheduleExpression"); got != want.schedule {
				t.Errorf("%s has the schedule %v, want %s", id, got, want.schedule)
			}
			event, err := json.Marshal(want.event)
			if err != nil {
				t.Fatal(err)
			}
			same(t, id+"'s targets", at(props, "Targets"), `[{
				"Id": "Planner", "Arn": {"Fn::GetAtt": ["Planner", "Arn"]}, "Input": `+string(event)+`, "RetryPolicy": {"MaximumRetryAttempts": 2}
			}]`)
			// Only this rule may invoke the planner.
			same(t, id+"'s permission", at(st.resource(t, id+"Invokes"), "Properties"), fmt.Sprintf(`{
				"Action": "lambda:InvokeFunction", "Principal": "events.amazonaws.com",
				"FunctionName": {"Fn::GetAtt": ["Planner", "Arn"]}, "SourceArn": {"Fn::GetAtt": [%q, "Arn"]}
			}`, id))
		}
	})
}

func TestFillAlarms(t *testing.T) {
	each(t, "filler", func(t *testing.T, st *synthStack) {
		of := func(queue string) string {
			return `"Namespace": "AWS/SQS", "Statistic": "Maximum", "Period": 300, "Dimensions": [{"Name": "QueueName", "Value": {"Fn::GetAtt": ["` + queue + `", "QueueName"]}}]`
		}
		for id, want := range map[string]struct{ action, metric string }{
			"WorkDelayed":     {"raise fill.rate", `"MetricName": "WorkDelay", "Threshold": 21600, "Namespace": "Archeio", "Statistic": "Maximum", "Period": 3600`},
			"WorkFailed":      {"redrive the messages of archeio-" + st.stage.Name + "-fill-dead", `"MetricName": "ApproximateNumberOfMessagesVisible", "Threshold": 0, ` + of("DeadLetters")},
			"NeedsMirrorCopy": {`Run "archeio mirror copy -stage ` + st.stage.Name + `"`, `"MetricName": "NeedsMirrorCopy", "Threshold": 0, "Namespace": "Archeio", "Statistic": "Sum", "Period": 86400`},
			"WithdrawnBlobs":  {`in the planner's log group`, `"MetricName": "WithdrawnBlobs", "Threshold": 0, "Namespace": "Archeio", "Statistic": "Maximum", "Period": 86400`},
		} {
			props := at(st.resource(t, id), "Properties")
			description, _ := at(props, "AlarmDescription").(string)
			if !strings.HasPrefix(description, "Archeio, stage "+st.stage.Name+": ") || !strings.Contains(description, want.action) {
				t.Errorf("%s has the description %q, want the stage and %q in it", id, description, want.action)
			}
			same(t, id, props, `{`+want.metric+`, "ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "TreatMissingData": "notBreaching",
				"AlarmActions": `+text(at(props, "AlarmActions"))+`,
				"AlarmDescription": `+text(description)+`, "Tags": `+text(at(props, "Tags"))+`}`)
		}
	})
}
