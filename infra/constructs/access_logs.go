package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudfront"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

// recordFields are the fields of a log record: the request and the response, and
// nothing about the client.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html
var recordFields = []string{
	"date", "time", "x-edge-location", "cs-method", "x-host-header", "cs-uri-stem", "cs-protocol-version", "sc-status", "sc-bytes",
	"time-taken", "time-to-first-byte", "x-edge-result-type", "x-edge-detailed-result-type",
}

// accessLogs logs the requests to a distribution with standard logging v2, the only
// kind of log that can omit the client address.
func accessLogs(scope constructs.Construct, s *stage.Stage, distribution awscloudfront.CfnDistribution) {
	name := jsii.String("archeio-" + s.Name + "-access")
	logs := awslogs.NewLogGroup(scope, jsii.String("AccessLogs"), &awslogs.LogGroupProps{RemovalPolicy: awscdk.RemovalPolicy_DESTROY})
	fixLogicalID(logs, "AccessLogs")
	logs.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(float64(s.LogRetention)))
	writePolicy := awslogs.NewCfnResourcePolicy(scope, jsii.String("AccessLogsPolicy"), &awslogs.CfnResourcePolicyProps{
		PolicyName: name,
		PolicyDocument: awscdk.Stack_Of(scope).ToJsonString(policy(map[string]interface{}{
			"Effect": "Allow", "Action": []string{"logs:CreateLogStream", "logs:PutLogEvents"}, "Resource": logs.LogGroupArn(),
			"Principal": map[string]string{"Service": "delivery.logs.amazonaws.com"},
			"Condition": map[string]interface{}{
				"StringEquals": map[string]string{"aws:SourceAccount": s.Account},
				"ArnLike":      map[string]string{"aws:SourceArn": "arn:aws:logs:us-east-1:" + s.Account + ":*"},
			},
		}), nil),
	})
	source := awslogs.NewCfnDeliverySource(scope, jsii.String("AccessLogsSource"), &awslogs.CfnDeliverySourceProps{
		Name: name, LogType: jsii.String("ACCESS_LOGS"),
		ResourceArn: jsii.String("arn:aws:cloudfront::" + s.Account + ":distribution/" + *distribution.Ref()),
	})
	destination := awslogs.NewCfnDeliveryDestination(scope, jsii.String("AccessLogsDestination"), &awslogs.CfnDeliveryDestinationProps{
		Name: name, OutputFormat: jsii.String("json"),
		DestinationResourceArn: jsii.String("arn:aws:logs:us-east-1:" + s.Account + ":log-group:" + *logs.LogGroupName()),
	})
	delivery := awslogs.NewCfnDelivery(scope, jsii.String("AccessLogsDelivery"), &awslogs.CfnDeliveryProps{
		DeliverySourceName:     source.Ref(),
		DeliveryDestinationArn: destination.AttrArn(),
		RecordFields:           jsii.Strings(recordFields...),
	})
	delivery.AddResourceDependency(writePolicy, nil)
}
