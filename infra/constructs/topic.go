package constructs

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsevents"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

// Topic creates the topic of a region's alarms, which only alarms and the rule for their
// end can publish to, and subscribes the stage's email address.
func Topic(scope constructs.Construct, s *stage.Stage, region string) {
	alarms := map[string]interface{}{
		"StringEquals": map[string]string{"aws:SourceAccount": s.Account},
		"ArnLike":      map[string]string{"aws:SourceArn": "arn:aws:cloudwatch:" + region + ":" + s.Account + ":alarm:*"},
	}
	cloudWatch := map[string]string{"Service": "cloudwatch.amazonaws.com"}
	// EventBridge supports no conditions on its source, neither in the policy of a topic
	// nor in that of its key.
	// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html
	// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
	eventBridge := map[string]string{"Service": "events.amazonaws.com"}
	// Alarms cannot publish to a topic that is encrypted with the AWS managed key:
	// its policy does not allow them to.
	// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
	key := awskms.NewCfnKey(scope, jsii.String("TopicKey"), &awskms.CfnKeyProps{
		Description:         jsii.String("Archeio, stage " + s.Name + ": alarm notifications"),
		EnableKeyRotation:   jsii.Bool(true),
		PendingWindowInDays: jsii.Number(7),
		KeyPolicy: policy(map[string]interface{}{
			"Sid": "AllowAccountAdministration", "Effect": "Allow", "Action": "kms:*", "Resource": "*",
			"Principal": map[string]string{"AWS": "arn:aws:iam::" + s.Account + ":root"},
		}, map[string]interface{}{
			"Sid": "AllowAlarmsEncryption", "Effect": "Allow", "Action": []string{"kms:Decrypt", "kms:GenerateDataKey"}, "Resource": "*",
			"Principal": cloudWatch, "Condition": alarms,
		}, map[string]interface{}{
			"Sid": "AllowAlarmEndEncryption", "Effect": "Allow", "Action": []string{"kms:Decrypt", "kms:GenerateDataKey"}, "Resource": "*",
			"Principal": eventBridge,
		}),
	})
	key.ApplyRemovalPolicy(awscdk.RemovalPolicy_DESTROY, nil)
	topic := awssns.NewCfnTopic(scope, jsii.String("Topic"), &awssns.CfnTopicProps{
		TopicName:      jsii.String(s.AlarmTopic()),
		KmsMasterKeyId: key.AttrKeyId(),
	})
	awssns.NewCfnTopicPolicy(scope, jsii.String("TopicPolicy"), &awssns.CfnTopicPolicyProps{
		Topics: jsii.Strings(*topic.Ref()),
		PolicyDocument: policy(map[string]interface{}{
			"Sid": "AllowAlarmsPublish", "Effect": "Allow", "Action": "sns:Publish", "Resource": topic.Ref(),
			"Principal": cloudWatch, "Condition": alarms,
		}, map[string]interface{}{
			"Sid": "AllowAlarmEndPublish", "Effect": "Allow", "Action": "sns:Publish", "Resource": topic.Ref(),
			"Principal": eventBridge,
		}, map[string]interface{}{
			"Sid": "DenyInsecureTransport", "Effect": "Deny", "Action": "sns:Publish", "Resource": topic.Ref(),
			"Principal": map[string]string{"AWS": "*"}, "Condition": map[string]interface{}{"Bool": map[string]string{"aws:SecureTransport": "false"}},
		}),
	})
	alarmEnd(scope, s, region, topic)
	if s.Email != "" {
		awssns.NewCfnSubscription(scope, jsii.String("Email"), &awssns.CfnSubscriptionProps{
			TopicArn: topic.Ref(), Protocol: jsii.String("email"), Endpoint: jsii.String(s.Email),
		})
	}
}

// alarmEnd creates the rule that notifies the topic of the end of an alarm. An OK action
// of the alarm itself would also run when the alarm is created, once it has data for the
// first time, which is a mail for each alarm of a new stage.
//
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
func alarmEnd(scope constructs.Construct, s *stage.Stage, region string, topic awssns.CfnTopic) {
	// The names of alarms begin with that of their stack. That of the stage alone could be
	// the beginning of another one's.
	var names []map[string]string
	for _, st := range s.Stacks() {
		if st.Region == region {
			names = append(names, map[string]string{"prefix": st.Name + "-"})
		}
	}
	state := func(value string) map[string]interface{} { return map[string]interface{}{"value": []string{value}} }
	awsevents.NewCfnRule(scope, jsii.String("AlarmEnd"), &awsevents.CfnRuleProps{
		Description: jsii.String("Archeio: notifies of the end of an alarm"),
		EventPattern: map[string]interface{}{
			"source":      []string{"aws.cloudwatch"},
			"detail-type": []string{"CloudWatch Alarm State Change"},
			"detail":      map[string]interface{}{"alarmName": names, "state": state("OK"), "previousState": state("ALARM")},
		},
		Targets: []interface{}{&awsevents.CfnRule_TargetProperty{
			Id:  jsii.String("Topic"),
			Arn: topic.Ref(),
			InputTransformer: &awsevents.CfnRule_InputTransformerProperty{
				InputPathsMap: map[string]string{"name": "$.detail.alarmName", "since": "$.detail.state.timestamp"},
				InputTemplate: jsii.String(`"Archeio, stage ` + s.Name + `: the alarm <name> in ` + region + ` is over. Its state is OK since <since>."`),
			},
		}},
	})
}

func policy(statements ...interface{}) map[string]interface{} {
	return map[string]interface{}{"Version": "2012-10-17", "Statement": statements}
}

// pascal returns a region as part of a logical id: EuWest1.
func pascal(region string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(region, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
