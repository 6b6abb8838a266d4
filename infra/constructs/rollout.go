package constructs

import (
	"fmt"
	"maps"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/aws-cdk-go/awscdk/v2/awscodedeploy"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/stage"
)

const (
	// aliasName is that of the alias that receives all traffic.
	aliasName = "live"

	// hookTimeout is in seconds, enough for about forty sequential requests that
	// each take the timeout of the redirector, or for the pulls. hookMemory is in MB.
	hookTimeout, hookMemory = 300, 256

	// minute is in seconds.
	minute = 60
)

// newDeploymentGroup has CodeDeploy shift the alias to a new version: only after the
// rollout hook has passed, gradually, and back if an alarm fires. The first version
// of all is not rolled out: there is none to roll back to. code is the folder with
// the hook's binary, env the redirector's environment. It returns the hook.
//
// It consists of CloudFormation resources: the CDK's construct would attach a managed
// policy that covers every function, and the hook's role and its permission to report
// to CodeDeploy would depend on each other.
//
// https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-attribute-updatepolicy.html
func newDeploymentGroup(a alarms, function awslambda.Function, alias awslambda.Alias, env map[string]string, code string) awslambda.Function {
	scope, s := a.scope, a.stage
	name := jsii.String(s.ReleaseName())
	rollback := []interface{}{}
	for _, alarm := range a.newVersion(function) {
		rollback = append(rollback, &awscodedeploy.CfnDeploymentGroup_AlarmProperty{Name: alarm.Ref()})
	}
	hook := rolloutHook(a, function, env, code)
	application := awscodedeploy.NewCfnApplication(scope, jsii.String("RolloutApplication"), &awscodedeploy.CfnApplicationProps{
		ApplicationName: name, ComputePlatform: jsii.String("Lambda"),
	})
	group := awscodedeploy.NewCfnDeploymentGroup(scope, jsii.String("RolloutGroup"), &awscodedeploy.CfnDeploymentGroupProps{
		ApplicationName:      application.Ref(),
		DeploymentGroupName:  name,
		ServiceRoleArn:       deployRole(a, function, hook).RoleArn(),
		DeploymentConfigName: jsii.String("CodeDeployDefault.Lambda" + s.Release.Shift),
		DeploymentStyle: &awscodedeploy.CfnDeploymentGroup_DeploymentStyleProperty{
			DeploymentType: jsii.String("BLUE_GREEN"), DeploymentOption: jsii.String("WITH_TRAFFIC_CONTROL"),
		},
		AlarmConfiguration: &awscodedeploy.CfnDeploymentGroup_AlarmConfigurationProperty{Enabled: jsii.Bool(true), Alarms: rollback},
		AutoRollbackConfiguration: &awscodedeploy.CfnDeploymentGroup_AutoRollbackConfigurationProperty{
			Enabled: jsii.Bool(true),
			Events:  jsii.Strings("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"),
		},
	})
	if s.Release.Skipped {
		return hook
	}
	shifted := alias.Node().DefaultChild().(awslambda.CfnAlias)
	shifted.CfnOptions().SetUpdatePolicy(&awscdk.CfnUpdatePolicy{CodeDeployLambdaAliasUpdate: &awscdk.CfnCodeDeployLambdaAliasUpdate{
		ApplicationName: application.Ref(), DeploymentGroupName: group.Ref(), BeforeAllowTrafficHook: hook.FunctionName(),
	}})
	// What shifts the alias is updated before it.
	shifted.AddResourceDependency(group, nil)
	shifted.AddResourceDependency(hook.Node().DefaultChild().(awslambda.CfnFunction), nil)
	return hook
}

// newVersion adds the alarms that roll back a deployment: on the invocations of the
// new version, and on the share of blobs that are served from the upstream because of
// failed mirror checks. That share covers both versions and exceeds its threshold if
// a tenth of the traffic goes to a version that cannot reach any mirror. A deployment
// cannot start while one of them is in alarm.
//
// https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
func (a alarms) newVersion(function awslambda.Function) []awscloudwatch.CfnAlarm {
	of := func(name, statistic string) awscloudwatch.CfnAlarmProps {
		return metric("AWS/Lambda", name, statistic, minute,
			jsii.String("FunctionName"), function.FunctionName(),
			jsii.String("Resource"), jsii.String(*function.FunctionName()+":"+aliasName),
			jsii.String("ExecutedVersion"), function.CurrentVersion().Version())
	}
	const rolledBack = "A rollout in progress is rolled back. Check the redirector's log group before deploying again."
	list := []awscloudwatch.CfnAlarm{
		a.add("NewVersionErrors", runbookRelease, "Invocations of the newest redirector version are failing. "+rolledBack, 0, 1, of("Errors", "Sum")),
		a.add("NewVersionDuration", runbookRelease, fmt.Sprintf("Invocations of the newest redirector version take nearly their timeout of %d seconds. %s", timeout, rolledBack),
			timeout*1000*closeToTimeout, 1, of("Duration", "Maximum")),
	}
	if !a.stage.PlainAlarms {
		list = append(list, a.unavailable("NewVersionUnavailable", runbookRelease,
			"Mirror existence checks are failing. "+rolledBack+" If a mirror is unavailable, wait until it has recovered.", minute, 2, minBlobs/5))
	}
	return list
}

// rolloutHook creates the function that smoke-tests a new version and pulls through it: it
// may invoke every version of the redirector, read which image to pull, and report the
// result to CodeDeploy for the stage's deployment group.
func rolloutHook(a alarms, function awslambda.Function, env map[string]string, code string) awslambda.Function {
	env = maps.Clone(env)
	maps.Copy(env, a.stage.PullEnvironment())
	// Not a reference to the alias, which is updated after the hook.
	env["ROLLOUT_LIVE"] = *function.FunctionName() + ":" + aliasName
	env["ROLLOUT_VERSION"] = *function.CurrentVersion().FunctionArn()
	env["ROLLOUT_ENTRY_POINTS"] = map[stage.Front]string{stage.CloudFront: "url", stage.ALB: "alb", stage.Both: "alb,url"}[a.stage.Front]
	hook, role := newFunction(a.scope, a.stage, functionProps{
		prefix: "Hook", id: stage.HookID, description: "tests a new version of the redirector",
		roleDescription: "Rollout hook: invokes versions of the redirector, reports the result to CodeDeploy",
		code:            code, env: env, memory: hookMemory, timeout: hookTimeout,
	})
	allow(role, nil, []*string{jsii.String(*function.FunctionArn() + ":*")}, "lambda:InvokeFunction")
	allowImage(role, a.stage)
	name := a.stage.ReleaseName()
	allow(role, nil, []*string{jsii.String(fmt.Sprintf("arn:aws:codedeploy:%s:%s:deploymentgroup:%s/%s", a.region, a.stage.Account, name, name))},
		"codedeploy:PutLifecycleEventHookExecutionStatus")
	return hook
}

// deployRole creates CodeDeploy's role. It allows for this function what the managed
// policy AWSCodeDeployRoleForLambdaLimited allows for all functions.
//
// https://docs.aws.amazon.com/codedeploy/latest/userguide/managed-policies.html
func deployRole(a alarms, function, hook awslambda.Function) awsiam.Role {
	statement := func(resources []*string, actions ...string) awsiam.PolicyStatement {
		return awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{Actions: jsii.Strings(actions...), Resources: &resources})
	}
	return awsiam.NewRole(a.scope, jsii.String("DeployRole"), &awsiam.RoleProps{
		AssumedBy:   awsiam.NewServicePrincipal(jsii.String("codedeploy.amazonaws.com"), nil),
		Description: jsii.String("CodeDeploy: shifts the alias of the redirector to a new version"),
		InlinePolicies: &map[string]awsiam.PolicyDocument{"Rollout": awsiam.NewPolicyDocument(&awsiam.PolicyDocumentProps{
			Statements: &[]awsiam.PolicyStatement{
				statement([]*string{function.FunctionArn(), jsii.String(*function.FunctionArn() + ":*")}, "lambda:GetAlias", "lambda:UpdateAlias", "lambda:GetProvisionedConcurrencyConfig"),
				statement([]*string{hook.FunctionArn()}, "lambda:InvokeFunction"),
				statement([]*string{jsii.String("arn:aws:cloudwatch:" + a.region + ":" + a.stage.Account + ":alarm:*")}, "cloudwatch:DescribeAlarms"),
			},
		})},
	})
}
