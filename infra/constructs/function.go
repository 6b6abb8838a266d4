package constructs

import (
	"fmt"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslogs"
	"github.com/aws/aws-cdk-go/awscdk/v2/awss3assets"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

// timeout is that of the redirector in seconds, far above what a response needs: all
// existence checks of one request share config.MaxCheckTimeout.
const timeout = 5

// RedirectorFunction creates the redirector of a region and returns the alias that
// receives all traffic. If the stage has a Release, it also creates and returns the
// rollout hook. code and hookCode are folders with their binaries.
func RedirectorFunction(scope constructs.Construct, s *stage.Stage, region, code, hookCode string) (alias awslambda.Alias, hook awslambda.Function, err error) {
	c, err := s.Config(region)
	if err != nil {
		return nil, nil, err
	}
	function, _ := newFunction(scope, s, functionProps{
		id:              stage.RedirectorID,
		description:     "redirects requests for container images",
		roleDescription: "Redirector: writes its own logs",
		code:            code,
		env:             c.Env(),
		memory:          s.Memory,
		timeout:         timeout,
		logGroup:        jsii.String(s.RedirectorLogs()),
	})
	a := alarms{scope, s, region}
	a.function(stage.RedirectorID, runbookRelease, function, 3, timeout, closeToTimeout)
	if err := a.redirector(); err != nil {
		return nil, nil, err
	}
	alias = awslambda.NewAlias(scope, jsii.String("Alias"), &awslambda.AliasProps{
		AliasName: jsii.String(aliasName),
		Version:   function.CurrentVersion(),
	})
	if s.Release != nil {
		hook = newDeploymentGroup(a, function, alias, c.Env(), hookCode)
	}
	return alias, hook, nil
}

// functionProps are the differences between the functions.
type functionProps struct {
	// prefix is that of the ids of the constructs, id the logical id of the
	// function.
	prefix, id                   string
	name                         string // of the function, empty for a generated one
	description, roleDescription string
	code                         string // folder with the binary
	env                          map[string]string
	memory, timeout              int     // in MB, in seconds
	logGroup                     *string // nil for a generated name
}

// newFunction creates a function with its own log group, and a role that can only
// write to that.
func newFunction(scope constructs.Construct, s *stage.Stage, p functionProps) (awslambda.Function, awsiam.Role) {
	env := map[string]*string{}
	for name, value := range p.env {
		env[name] = jsii.String(value)
	}
	// Without a limit the collector lets the heap grow past what the function has.
	// https://pkg.go.dev/runtime#hdr-Environment_Variables
	env["GOMEMLIMIT"] = jsii.String(fmt.Sprintf("%dMiB", p.memory*stage.GoMemoryShare/100))
	logs := awslogs.NewLogGroup(scope, jsii.String(p.prefix+"Logs"), &awslogs.LogGroupProps{
		LogGroupName:  p.logGroup,
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	logs.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(float64(s.LogRetention)))
	role := awsiam.NewRole(scope, jsii.String(p.prefix+"Role"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		Description: jsii.String(p.roleDescription),
	})
	allow(role, nil, []*string{logs.LogGroupArn()}, "logs:CreateLogStream", "logs:PutLogEvents")
	architecture := awslambda.Architecture_ARM_64()
	if s.Architecture == "x86_64" {
		architecture = awslambda.Architecture_X86_64()
	}
	function := awslambda.NewFunction(scope, jsii.String(p.prefix+"Function"), &awslambda.FunctionProps{
		Description:  jsii.String("Archeio, stage " + s.Name + ": " + p.description),
		Runtime:      awslambda.Runtime_PROVIDED_AL2023(),
		Handler:      jsii.String("bootstrap"),
		Architecture: architecture,
		Code:         awslambda.Code_FromAsset(jsii.String(p.code), &awss3assets.AssetOptions{}),
		MemorySize:   jsii.Number(float64(p.memory)),
		Timeout:      awscdk.Duration_Seconds(jsii.Number(float64(p.timeout))),
		Environment:  &env,
		Role:         role,
		LogGroup:     logs,
	})
	fixLogicalID(function, p.id)
	if p.name != "" {
		function.Node().DefaultChild().(awslambda.CfnFunction).SetFunctionName(jsii.String(p.name))
	}
	return function, role
}

// allow adds a statement to a role's policy.
func allow(role awsiam.Role, conditions map[string]interface{}, resources []*string, actions ...string) {
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:    jsii.Strings(actions...),
		Resources:  &resources,
		Conditions: &conditions,
	}))
}

// FunctionURL creates a function URL of the alias that only the account's
// distributions can call. CloudFront needs both permissions: to call the URL, and to
// invoke the function through it.
//
// https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html
func FunctionURL(scope constructs.Construct, s *stage.Stage, region string, alias awslambda.Alias) awslambda.FunctionUrl {
	url := alias.AddFunctionUrl(&awslambda.FunctionUrlOptions{AuthType: awslambda.FunctionUrlAuthType_AWS_IAM})
	permit := func(id, action string, props awslambda.CfnPermissionProps) {
		props.Action = jsii.String(action)
		props.FunctionName = alias.FunctionArn()
		props.Principal = jsii.String("cloudfront.amazonaws.com")
		props.SourceArn = jsii.String(s.AnyDistribution())
		awslambda.NewCfnPermission(scope, jsii.String(id), &props)
	}
	permit("DistributionCallsURL", "lambda:InvokeFunctionUrl", awslambda.CfnPermissionProps{FunctionUrlAuthType: jsii.String("AWS_IAM")})
	permit("DistributionInvokes", "lambda:InvokeFunction", awslambda.CfnPermissionProps{InvokedViaFunctionUrl: jsii.Bool(true)})
	alarms{scope, s, region}.functionURL(alias.Lambda())
	return url
}
