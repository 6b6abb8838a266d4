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
// built bootstrap, and answers the alias that everything else calls. Where the
// stage has a release, it answers the hook that tries a new version too, which is
// built in the other folder.
func RedirectorFunction(scope constructs.Construct, s *stage.Stage, region, code, hookCode string) (alias awslambda.Alias, hook awslambda.Function, err error) {
	c, err := s.Config(region)
	if err != nil {
		return nil, nil, err
	}
	function, _ := newFunction(scope, s, functionProps{
		id:          FunctionID,
		description: "redirects requests for container images",
		may:         "The redirector: writes its own logs and may do nothing else",
		code:        code,
		env:         c.Env(),
		memory:      s.Memory,
		timeout:     timeout,
	})
	w := watcher{scope, s, region}
	w.function(FunctionID, function, 3, timeout, closeToTimeout)
	if err := w.redirector(); err != nil {
		return nil, nil, err
	}
	alias = awslambda.NewAlias(scope, jsii.String("Alias"), &awslambda.AliasProps{
		AliasName: jsii.String(aliasName),
		Version:   function.CurrentVersion(),
	})
	if s.Release != nil {
		hook = gradually(scope, w, function, alias, c.Env(), hookCode)
	}
	return alias, hook, nil
}

// functionProps are what functions differ in.
type functionProps struct {
	// prefix comes before the names of the constructs, id is the function's
	// logical id.
	prefix, id string
	// may is the description of the role.
	description, may string
	code             string // a folder with the built bootstrap
	env              map[string]string
	memory, timeout  int // in MB, in seconds
}

// newFunction makes a function with logs of its own, and a role that may write
// them and nothing else yet.
func newFunction(scope constructs.Construct, s *stage.Stage, p functionProps) (awslambda.Function, awsiam.Role) {
	env := map[string]*string{}
	for name, value := range p.env {
		env[name] = jsii.String(value)
	}
	logs := awslogs.NewLogGroup(scope, jsii.String(p.prefix+"Logs"), &awslogs.LogGroupProps{
		RemovalPolicy: awscdk.RemovalPolicy_DESTROY,
	})
	logs.Node().DefaultChild().(awslogs.CfnLogGroup).SetRetentionInDays(jsii.Number(float64(s.LogRetention)))
	role := awsiam.NewRole(scope, jsii.String(p.prefix+"Role"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("lambda.amazonaws.com"), nil),
		Description: jsii.String(p.may),
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
	return function, role
}

// allow adds to what a role may do.
func allow(role awsiam.Role, conditions map[string]interface{}, resources []*string, actions ...string) {
	role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Actions:    jsii.Strings(actions...),
		Resources:  &resources,
		Conditions: &conditions,
	}))
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
