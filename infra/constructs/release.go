package constructs

import (
	"fmt"
	"maps"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodedeploy"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

// HookID is the logical id of the function that tries a new version.
const HookID = "ReleaseHook"

const (
	// aliasName is what everything but a release calls.
	aliasName = "live"

	// hookTimeout is in seconds: some forty requests, one after the other, of
	// which each may take as long as the redirector may.
	hookTimeout, hookMemory = 300, 256

	// minute is in seconds.
	minute = 60
)

// gradually has CodeDeploy move the alias to a new version: only if the hook
// that is built in code finds nothing wrong with it, for a part of the clients
// first, and back if an alarm rings. The first version of all is not released:
// there is nothing to go back to. It answers the hook.
//
// It is made of CloudFormation's own resources: the CDK's construct would give
// CodeDeploy a policy of AWS's that reaches every function, and make a circle of
// the hook's role and what may be told of it.
//
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-updatepolicy.html
func gradually(scope constructs.Construct, w watcher, function awslambda.Function, alias awslambda.Alias, env map[string]string, code string) awslambda.Function {
	s := w.stage
	name := jsii.String(s.ReleaseName())
	alarms := []interface{}{}
	for _, alarm := range w.newVersion(function) {
		alarms = append(alarms, &awscodedeploy.CfnDeploymentGroup_AlarmProperty{Name: alarm.Ref()})
	}
	hook := releaseHook(scope, w, function, env, code)
	application := awscodedeploy.NewCfnApplication(scope, jsii.String("Releases"), &awscodedeploy.CfnApplicationProps{
		ApplicationName: name, ComputePlatform: jsii.String("Lambda"),
	})
	group := awscodedeploy.NewCfnDeploymentGroup(scope, jsii.String("ReleaseGroup"), &awscodedeploy.CfnDeploymentGroupProps{
		ApplicationName:      application.Ref(),
		DeploymentGroupName:  name,
		ServiceRoleArn:       deployRole(scope, w, function, hook).RoleArn(),
		DeploymentConfigName: jsii.String("CodeDeployDefault.Lambda" + s.Release.Shift),
		DeploymentStyle: &awscodedeploy.CfnDeploymentGroup_DeploymentStyleProperty{
			DeploymentType: jsii.String("BLUE_GREEN"), DeploymentOption: jsii.String("WITH_TRAFFIC_CONTROL"),
		},
		AlarmConfiguration: &awscodedeploy.CfnDeploymentGroup_AlarmConfigurationProperty{Enabled: jsii.Bool(true), Alarms: alarms},
		AutoRollbackConfiguration: &awscodedeploy.CfnDeploymentGroup_AutoRollbackConfigurationProperty{
			Enabled: jsii.Bool(true),
			Events:  jsii.Strings("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"),
		},
	})
	moved := alias.Node().DefaultChild().(awslambda.CfnAlias)
	moved.CfnOptions().SetUpdatePolicy(&awscdk.CfnUpdatePolicy{CodeDeployLambdaAliasUpdate: &awscdk.CfnCodeDeployLambdaAliasUpdate{
		ApplicationName: application.Ref(), DeploymentGroupName: group.Ref(), BeforeAllowTrafficHook: hook.FunctionName(),
	}})
	// What moves the alias is brought up to date first.
	moved.AddResourceDependency(group, nil)
	moved.AddResourceDependency(hook.Node().DefaultChild().(awslambda.CfnFunction), nil)
	return hook
}

// newVersion watches the new version alone, and the share of the blobs for which
// a mirror could not say: that one is of both versions, and rings as soon as a
// tenth of the clients has got to a version that reaches no mirror. A release
// cannot begin while one of them rings.
//
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
func (w watcher) newVersion(function awslambda.Function) []awscloudwatch.CfnAlarm {
	of := func(name, statistic string) awscloudwatch.CfnAlarmProps {
		return metric("AWS/Lambda", name, statistic, minute,
			jsii.String("FunctionName"), function.FunctionName(),
			jsii.String("Resource"), jsii.String(*function.FunctionName()+":"+aliasName),
			jsii.String("ExecutedVersion"), function.CurrentVersion().Version())
	}
	const then = "a release that was going on has been rolled back; look into its log before you deploy again"
	alarms := []awscloudwatch.CfnAlarm{
		w.alarm("NewVersionErrors", "runs of the newest version fail; "+then, 0, 1, of("Errors", "Sum")),
		w.alarm("NewVersionDuration", fmt.Sprintf("runs of the newest version come close to their time-out of %d seconds; %s", timeout, then),
			timeout*1000*closeToTimeout, 1, of("Duration", "Maximum")),
	}
	if !w.stage.PlainAlarms {
		alarms = append(alarms, w.unavailable("NewVersionUnavailable",
			"mirrors cannot say whether they have a blob, and a release does not go on; look whether a mirror is dead, else "+then, minute, 2, fewestBlobs/5))
	}
	return alarms
}

// releaseHook makes the function that tries a new version: it may invoke any
// version of the redirector, and tell CodeDeploy of its own deployments how that
// went.
func releaseHook(scope constructs.Construct, w watcher, function awslambda.Function, env map[string]string, code string) awslambda.Function {
	env = maps.Clone(env)
	env["RELEASE_VERSION"] = *function.CurrentVersion().FunctionArn()
	env["RELEASE_FRONTS"] = map[stage.Front]string{stage.CloudFront: "url", stage.ALB: "alb", stage.Both: "alb,url"}[w.stage.Front]
	hook, role := newFunction(scope, w.stage, functionProps{
		prefix: "Hook", id: HookID, description: "tries a new version of the redirector",
		may:  "The release hook: invokes versions of the redirector, and tells CodeDeploy how they answer",
		code: code, env: env, memory: hookMemory, timeout: hookTimeout,
	})
	allow(role, nil, []*string{jsii.String(*function.FunctionArn() + ":*")}, "lambda:InvokeFunction")
	name := w.stage.ReleaseName()
	allow(role, nil, []*string{jsii.String(fmt.Sprintf("arn:aws:codedeploy:%s:%s:deploymentgroup:%s/%s", w.region, w.stage.Account, name, name))},
		"codedeploy:PutLifecycleEventHookExecutionStatus")
	return hook
}

// deployRole is CodeDeploy's: what AWS's own AWSCodeDeployRoleForLambdaLimited
// allows for every function, for this one.
//
// https://docs.aws.amazon.com/codedeploy/latest/userguide/managed-policies.html
func deployRole(scope constructs.Construct, w watcher, function, hook awslambda.Function) awsiam.Role {
	statement := func(resources []*string, actions ...string) awsiam.PolicyStatement {
		return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: jsii.Strings(actions...), Resources: &resources})
	}
	return awsiam.NewRole(scope, jsii.String("DeployRole"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("codedeploy.amazonaws.com"), nil),
		Description: jsii.String("CodeDeploy: moves the redirector's alias, after its hook and while its alarms are quiet"),
		InlinePolicies: &map[string]awsiam.PolicyDocument{"Release": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{
			Statements: &[]awsiam.PolicyStatement{
				statement([]*string{function.FunctionArn(), jsii.String(*function.FunctionArn() + ":*")}, "lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"),
				statement([]*string{hook.FunctionArn()}, "lambda:InvokeFunction"),
				statement([]*string{jsii.String("arn:aws:cloudwatch:" + w.region + ":" + w.stage.Account + ":alarm:*")}, "cloudwatch:DescribeAlarms"),
			},
		})},
	})
}
