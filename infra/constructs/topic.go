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

// Topic creates the topic of a region's alarms, which only alarms can publish to, and
// subscribes the stage's email address.
func Topic(scope constructs.Construct, s *stage.Stage, region string) {
	alarms := map[string]interface{}{
		"StringEquals": map[string]string{"aws:SourceAccount": s.Account},
		"ArnLike":      map[string]string{"aws:SourceArn": "arn:aws:cloudwatch:" + region + ":" + s.Account + ":alarm:*"},
	}
	cloudWatch := map[string]string{"Service": "cloudwatch.amazonaws.com"}
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
			"Sid": "DenyInsecureTransport", "Effect": "Deny", "Action": "sns:Publish", "Resource": topic.Ref(),
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

// pascal returns a region as part of a logical id: EuWest1.
func pascal(region string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(region, "-") {
		b.WriteString(strings.ToUpper(part[:1]) + part[1:])
	}
	return b.String()
}
