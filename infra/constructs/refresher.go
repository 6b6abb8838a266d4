package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awssns"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
	"archeio/lambda/config"
	"archeio/lambda/metrics"
)

// refreshTimeout is in seconds: providers may take two minutes to send a document.
// refreshMemory is in MB: a document may have 16 MB.
const refreshTimeout, refreshMemory = 300, 512

// Refresher creates the function that keeps the range tables of the mirrors up to date.
// AWS invokes it by a notice when its addresses change, and a schedule once a day, for the
// other clouds. code is the folder with its binary.
func Refresher(scope constructs.Construct, s *stage.Stage, code string) (awslambda.Function, error) {
	c, err := s.Refresh()
	if err != nil {
		return nil, err
	}
	function, role := newFunction(scope, s, functionProps{
		id: stage.RefreshID, name: s.RefreshFunction(), description: "keeps the IP ranges in the mirrors up to date",
		roleDescription: "Refresher: writes one object in each mirror and its own state, sends mails",
		code:            code, env: c.Env(), memory: refreshMemory, timeout: refreshTimeout,
	})
	var tables []*string
	for _, region := range s.Filled() {
		tables = append(tables, jsii.String("arn:aws:s3:::"+s.Bucket(region)+"/"+config.BlobPrefix+config.RangesName))
	}
	state := "arn:aws:s3:::" + s.StateBucket()
	topic := s.AlarmTopicARN(stage.EdgeRegion)
	allow(role, nil, tables, "s3:GetObject", "s3:PutObject")
	allow(role, nil, []*string{jsii.String(state + "/" + config.RangesPrefix + "*")}, "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
	allow(role, map[string]interface{}{"StringLike": map[string]string{"s3:prefix": config.RangesPrefix + "*"}}, []*string{jsii.String(state)}, "s3:ListBucket")
	allow(role, nil, []*string{jsii.String(topic)}, "sns:Publish")
	// SNS uses the key of the topic for whoever publishes, in this context.
	// https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
	allow(role, map[string]interface{}{"StringEquals": map[string]string{
		"kms:ViaService":                         "sns." + stage.EdgeRegion + ".amazonaws.com",
		"kms:EncryptionContext:aws:sns:topicArn": topic,
	}}, []*string{jsii.String("arn:aws:kms:" + stage.EdgeRegion + ":" + s.Account + ":key/*")}, "kms:Decrypt", "kms:GenerateDataKey")

	awssns.NewCfnSubscription(scope, jsii.String("Notices"), &awssns.CfnSubscriptionProps{
		TopicArn: jsii.String(config.AWSNotices), Protocol: jsii.String("lambda"), Endpoint: function.FunctionArn(),
	})
	awslambda.NewCfnPermission(scope, jsii.String("NoticesInvoke"), &awslambda.CfnPermissionProps{
		Action:       jsii.String("lambda:InvokeFunction"),
		FunctionName: function.FunctionArn(),
		Principal:    jsii.String("sns.amazonaws.com"),
		SourceArn:    jsii.String(config.AWSNotices),
	})
	invokeOn(scope, function, stage.RefreshID, "Daily", "fetches the IP ranges of all clouds", "rate(1 day)", `{"ranges":"refresh"}`)
	alarms{scope, s, stage.EdgeRegion}.refresher(function)
	return function, nil
}

// refresher adds the alarms on refreshing the range tables.
func (a alarms) refresher(function awslambda.Function) {
	const day = 24 * hour
	c, err := a.stage.Config(a.stage.Redirectors[0])
	if err != nil {
		panic("constructs: " + err.Error()) // the stage was validated
	}
	a.function(stage.RefreshID, runbookRanges, function, 1, refreshTimeout, 0.99)
	a.add("RangesUnchecked", runbookRanges, "AWS's IP ranges were last checked with success longer ago than rangesMaxAge, so clients in new ranges are not recognized and get the default mirror. Check the refresher's log group.",
		c.RangesMaxAge.Seconds(), 1, metric(metrics.Namespace, metrics.RangesUnchecked, "Maximum", day))
	refused := a.add("RangesRefused", runbookRanges, `New IP ranges were refused, or a provider's document has an unknown form, so the last table stays in use. Check the mail or the refresher's log group, then run `+a.archeio("ranges approve ID")+" if the change is right.",
		0, 1, metric(metrics.Namespace, metrics.RangesRefused, "Maximum", minutes5))
	refused.SetTreatMissingData(jsii.String("ignore")) // until the next run
	idle := a.add("RangesIdle", runbookRanges, "The refresher has not run for two days, so the IP ranges become out of date. Check its schedule and its notices; run "+a.archeio("ranges refresh")+".",
		1, 2, metric("AWS/Lambda", "Invocations", "Sum", day, jsii.String("FunctionName"), function.FunctionName()))
	idle.SetComparisonOperator(jsii.String("LessThanThreshold"))
	idle.SetTreatMissingData(jsii.String("breaching"))
}
