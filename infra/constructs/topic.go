package constructs

import (
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

// Topic makes the topic of a region's alarms, which only they send to, and
// subscribes the stage's address.
func Topic(scope constructs.Construct, s *stage.Stage, region string) {
	alarms := map[string]interface{}{
		"StringEquals": map[string]string{"aws:SourceAccount": s.Account},
		"ArnLike":      map[string]string{"aws:SourceArn": "arn:aws:cloudwatch:" + region + ":" + s.Account + ":alarm:*"},
	}
	cloudWatch := map[string]string{"Service": "cloudwatch.amazonaws.com"}
	// Alarms cannot send to a topic that is encrypted with SNS's own key, as
	// its policy does not know them.
	// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
	key := awskms.NewCfnKey(scope, jsii.String("TopicKey"), &awskms.CfnKeyProps{
		Description:         jsii.String("Archeio, stage " + s.Name + ": messages of alarms"),
		EnableKeyRotation:   jsii.Bool(true),
		PendingWindowInDays: jsii.Number(7),
		KeyPolicy: policy(map[string]interface{}{
			"Sid": "AccountAdministers", "Effect": "Allow", "Action": "kms:*", "Resource": "*",
			"Principal": map[string]string{"AWS": "arn:aws:iam::" + s.Account + ":root"},
		}, map[string]interface{}{
			"Sid": "AlarmsEncrypt", "Effect": "Allow", "Action": []string{"kms:Decrypt", "kms:GenerateDataKey"}, "Resource": "*",
			"Principal": cloudWatch, "Condition": alarms,
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
			"Sid": "AlarmsPublish", "Effect": "Allow", "Action": "sns:Publish", "Resource": topic.Ref(),
			"Principal": cloudWatch, "Condition": alarms,
		}, map[string]interface{}{
			"Sid": "NobodyWithoutTLS", "Effect": "Deny", "Action": "sns:Publish", "Resource": topic.Ref(),
			"Principal": map[string]string{"AWS": "*"}, "Condition": map[string]interface{}{"Bool": map[string]string{"aws:SecureTransport": "false"}},
		}),
	})
	if s.Email != "" {
		awssns.NewCfnSubscription(scope, jsii.String("Email"), &awssns.CfnSubscriptionProps{
			TopicArn: topic.Ref(), Protocol: jsii.String("email"), Endpoint: jsii.String(s.Email),
		})
	}
}

func policy(statements ...interface{}) map[string]interface{} {
	return map[string]interface{}{"Version": "2012-10-17", "Statement": statements}
}

// pascal makes a logical id's part of a region.
func pascal(region string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(region, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
