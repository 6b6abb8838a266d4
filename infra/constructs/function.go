package constructs

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

// FunctionID is the function's logical id in every template, short enough to
// type it after sam local invoke.
const FunctionID = "Redirector"

// timeout is far above what an answer takes: all existence checks of one
// request share 1.5 seconds.
const timeout = 5

// RedirectorFunction makes the function of a region from a folder with its
// built bootstrap, and answers the alias that everything else calls.
func RedirectorFunction(scope constructs.Construct, s *stage.Stage, region, code string) (awslambda.Alias, error) {
	c, err := s.Config(region)
	if err != nil {
		return nil, err
	}
	env := map[string]*string{}
	for name, value := range c.Env() {
		env[name] = jsii.String(value)
	}
	logs := awslogs.NewLogGroup(scope, jsii.String("Logs"), &awslogs.LogGroupProps{
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	logs.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(float64(s.LogRetention)))
	role := awsiam.NewRole(scope, jsii.String("Role"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		Description: jsii.String("The redirector: writes its own logs and may do nothing else"),
	})
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:   jsii.Strings("logs:CreateLogStream", "logs:PutLogEvents"),
		Resources: &[]*string{logs.LogGroupArn()},
	}))
	architecture := awslambda.Architecture_ARM_64()
	if s.Architecture == "x86_64" {
		architecture = awslambda.Architecture_X86_64()
	}
	function := awslambda.NewFunction(scope, jsii.String("Function"), &awslambda.FunctionProps{
		Description:  jsii.String("Archeio, stage " + s.Name + ": redirects requests for container images"),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Handler:      jsii.String("bootstrap"),
		Architecture: architecture,
		Code:         awslambda.Code_FromAsset(jsii.String(code), &awss3assets.AssetOptions{}),
		MemorySize:   jsii.Number(float64(s.Memory)),
		Timeout:      awscdk.Duration_Seconds(jsii.Number(timeout)),
		Environment:  &env,
		Role:         role,
		LogGroup:     logs,
	})
	fixLogicalID(function, FunctionID)
	return awslambda.NewAlias(scope, jsii.String("Alias"), &awslambda.AliasProps{
		AliasName: jsii.String("live"),
		Version:   function.CurrentVersion(),
	}), nil
}

// FunctionURL gives the alias an address that only the account's distributions
// may call, and answers it. Both grants are needed: the first to call an
// address, the second to invoke a function through one.
//
// https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
func FunctionURL(scope constructs.Construct, s *stage.Stage, alias awslambda.Alias) awslambda.FunctionUrl {
	url := alias.AddFunctionUrl(&awslambda.FunctionUrlOptions{AuthType: awslambda.FunctionUrlAuthType_AWS_IAM})
	grant := func(id, action string, props awslambda.CfnPermissionProps) {
		props.Action = jsii.String(action)
		props.FunctionName = alias.FunctionArn()
		props.Principal = jsii.String("cloudfront.amazonaws.com")
		props.SourceArn = jsii.String(anyDistribution(s))
		awslambda.NewCfnPermission(scope, jsii.String(id), &props)
	}
	grant("DistributionCallsURL", "lambda:InvokeFunctionUrl", awslambda.CfnPermissionProps{FunctionUrlAuthType: jsii.String("AWS_IAM")})
	grant("DistributionInvokes", "lambda:InvokeFunction", awslambda.CfnPermissionProps{InvokedViaFunctionUrl: jsii.Bool(true)})
	return url
}
