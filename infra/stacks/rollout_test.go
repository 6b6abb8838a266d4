//go:build !race

package stacks

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
	"archeio/lambda/build"
)

// newVersionAlarms returns the alarms that roll back a deployment, in the order of the
// deployment group.
func newVersionAlarms(st *synthStack) []string {
	alarms := []string{"NewVersionErrors", "NewVersionDuration"}
	if !st.stage.PlainAlarms {
		alarms = append(alarms, "NewVersionUnavailable")
	}
	return alarms
}

// rolledOut runs a test for every redirector stack of a stage with a Release, and checks
// that the others have no CodeDeploy resources.
func rolledOut(t *testing.T, test func(*testing.T, *synthStack)) {
	t.Helper()
	fronts, found := map[stage.Front]bool{}, map[bool]bool{}
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		found[st.stage.Release != nil] = true
		if st.stage.Release == nil {
			st.none(t, "AWS::CodeDeploy::Application", "AWS::CodeDeploy::DeploymentGroup")
			if _, alias := st.only(t, "AWS::Lambda::Alias"); at(alias, "UpdatePolicy") != nil {
				t.Error("the alias has an update policy")
			}
			return
		}
		fronts[st.stage.Front] = true
		test(t, st)
	})
	if len(fronts) != 3 || !found[false] {
		t.Errorf("tested fronts %v, and a stage without a release: %v, want all and true", fronts, found[false])
	}
}

// The alias is shifted after the rollout hook, and back if an alarm fires.
func TestDeploymentGroup(t *testing.T) {
	rolledOut(t, func(t *testing.T, st *synthStack) {
		name := "archeio-" + st.stage.Name + "-redirector"
		application, props := st.only(t, "AWS::CodeDeploy::Application")
		same(t, "application", at(props, "Properties", "ApplicationName"), fmt.Sprintf("%q", name))
		same(t, "platform", at(props, "Properties", "ComputePlatform"), `"Lambda"`)
		group, resource := st.only(t, "AWS::CodeDeploy::DeploymentGroup")
		var alarms []string
		for _, id := range newVersionAlarms(st) {
			alarms = append(alarms, fmt.Sprintf(`{"Name": {"Ref": %q}}`, id))
		}
		role, _ := at(resource, "Properties", "ServiceRoleArn", "Fn::GetAtt", 0).(string)
		properties, _ := at(resource, "Properties").(map[string]any)
		got := maps.Clone(properties)
		delete(got, "Tags")
		same(t, "group", got, fmt.Sprintf(`{
			"ApplicationName": {"Ref": %q}, "DeploymentGroupName": %q, "DeploymentConfigName": %q,
			"ServiceRoleArn": {"Fn::GetAtt": [%q, "Arn"]},
			"DeploymentStyle": {"DeploymentOption": "WITH_TRAFFIC_CONTROL", "DeploymentType": "BLUE_GREEN"},
			"AlarmConfiguration": {"Enabled": true, "Alarms": [%s]},
			"AutoRollbackConfiguration": {"Enabled": true, "Events": ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"]}
		}`, application, name, "CodeDeployDefault.Lambda"+st.stage.Release.Shift, role, strings.Join(alarms, ",")))
		_, alias := st.only(t, "AWS::Lambda::Alias")
		same(t, "update policy of the alias", at(alias, "UpdatePolicy"), fmt.Sprintf(`{"CodeDeployLambdaAliasUpdate": {
			"ApplicationName": {"Ref": %q}, "DeploymentGroupName": {"Ref": %q}, "BeforeAllowTrafficHook": {"Ref": "RolloutHook"}}}`, application, group))
		for _, id := range []string{group, "RolloutHook"} {
			if !slices.Contains(texts(at(alias, "DependsOn")), id) {
				t.Errorf("the alias does not depend on %s", id)
			}
		}
	})
}

// The alarms are on the version in the template, and so on another one with each
// rollout.
func TestNewVersionAlarms(t *testing.T) {
	rolledOut(t, func(t *testing.T, st *synthStack) {
		version, _ := st.only(t, "AWS::Lambda::Version")
		for id, want := range map[string]string{
			"NewVersionErrors":   `"MetricName": "Errors", "Statistic": "Sum", "Threshold": 0`,
			"NewVersionDuration": `"MetricName": "Duration", "Statistic": "Maximum", "Threshold": 4000`,
		} {
			properties, _ := at(st.resource(t, id), "Properties").(map[string]any)
			got := map[string]any{}
			for _, key := range []string{"Namespace", "MetricName", "Statistic", "Threshold", "Period", "EvaluationPeriods", "Dimensions"} {
				got[key] = properties[key]
			}
			same(t, id, got, fmt.Sprintf(`{"Namespace": "AWS/Lambda", %s, "Period": 60, "EvaluationPeriods": 1, "Dimensions": [
				{"Name": "FunctionName", "Value": {"Ref": "Redirector"}},
				{"Name": "Resource", "Value": {"Fn::Join": ["", [{"Ref": "Redirector"}, ":live"]]}},
				{"Name": "ExecutedVersion", "Value": {"Fn::GetAtt": [%q, "Version"]}}]}`, want, version))
		}
	})
}

// The hook has the same configuration as the new version, and the fronts of the stage.
func TestRolloutHook(t *testing.T) {
	dir := synthesized(t).dir
	rolledOut(t, func(t *testing.T, st *synthStack) {
		hook := st.resource(t, "RolloutHook")
		path, _ := at(hook, "Metadata", "aws:asset:path").(string)
		if code, err := os.ReadFile(filepath.Join(dir, path, "bootstrap")); err != nil || string(code) != "not the function rollout" {
			t.Errorf("the hook has the binary %q, %v", code, err)
		}
		same(t, "timeout", at(hook, "Properties", "Timeout"), "300")
		same(t, "architectures", at(hook, "Properties", "Architectures"), fmt.Sprintf(`[%q]`, st.stage.Architecture))
		version, _ := st.only(t, "AWS::Lambda::Version")
		want, _ := at(st.resource(t, "Redirector"), "Properties", "Environment", "Variables").(map[string]any)
		want = maps.Clone(want)
		want["ROLLOUT_VERSION"] = map[string]any{"Ref": version}
		same(t, "output TryRollout", at(st.template, "Outputs", "TryRollout", "Value"), fmt.Sprintf(`{"Fn::Join": ["", [
			"aws lambda invoke --region %s --function-name ", {"Ref": "RolloutHook"}, " --cli-binary-format raw-in-base64-out --payload '{\"try\":true}' /dev/stdout"]]}`, st.region))
		want["ROLLOUT_ENTRY_POINTS"] = map[stage.Front]string{stage.CloudFront: "url", stage.ALB: "alb", stage.Both: "alb,url"}[st.stage.Front]
		want["ROLLOUT_LIVE"] = map[string]any{"Fn::Join": []any{"", []any{map[string]any{"Ref": "Redirector"}, ":live"}}}
		switch c := st.stage.Canary; {
		case c == nil:
		case c.Image != "":
			want["CANARY_IMAGE"] = c.Image
		default:
			want["CANARY_STATE"] = st.stage.StateBucket() + "@" + st.stage.Home
		}
		want["GOMEMLIMIT"] = "217MiB" // of its own 256 MB
		same(t, "environment", at(hook, "Properties", "Environment", "Variables"), text(want))
	})
}

// The roles of a rollout have no other permissions.
func TestRolloutRoles(t *testing.T) {
	rolledOut(t, func(t *testing.T, st *synthStack) {
		hook, _ := at(st.resource(t, "RolloutHook"), "Properties", "Role", "Fn::GetAtt", 0).(string)
		logs, _ := at(st.resource(t, "RolloutHook"), "Properties", "LoggingConfig", "LogGroup", "Ref").(string)
		redirector, _ := at(st.resource(t, "Redirector"), "Properties", "Role", "Fn::GetAtt", 0).(string)
		if hook == redirector || hook == "" {
			t.Fatalf("the hook has the role %q, which is not its own", hook)
		}
		policies := st.policiesOf(hook)
		if len(policies) != 1 || at(st.resource(t, hook), "Properties", "Policies") != nil {
			t.Fatalf("the hook's role has %d policies and %s, want 1", len(policies), text(at(st.resource(t, hook), "Properties", "Policies")))
		}
		where, image := st.region+":"+st.stage.Account, ""
		if c := st.stage.Canary; c != nil && c.Image == "" {
			state := "arn:aws:s3:::" + st.stage.StateBucket()
			image = fmt.Sprintf(`{"Effect": "Allow", "Action": "s3:GetObject", "Resource": %q}, {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": %q},`, state+"/canary.json", state)
		}
		same(t, "statements of the hook", at(policies[0], "Properties", "PolicyDocument", "Statement"), fmt.Sprintf(`[
			{"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": {"Fn::GetAtt": [%q, "Arn"]}},
			{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": {"Fn::Join": ["", [{"Fn::GetAtt": ["Redirector", "Arn"]}, ":*"]]}}, %s
			{"Effect": "Allow", "Action": "codedeploy:PutLifecycleEventHookExecutionStatus",
				"Resource": "arn:aws:codedeploy:%s:deploymentgroup:archeio-%[4]s-redirector/archeio-%[4]s-redirector"}
		]`, logs, image, where, st.stage.Name))

		_, group := st.only(t, "AWS::CodeDeploy::DeploymentGroup")
		deploy, _ := at(group, "Properties", "ServiceRoleArn", "Fn::GetAtt", 0).(string)
		props := at(st.resource(t, deploy), "Properties")
		same(t, "trust of CodeDeploy's role", at(props, "AssumeRolePolicyDocument", "Statement"), `[{
			"Effect": "Allow", "Principal": {"Service": "codedeploy.amazonaws.com"}, "Action": "sts:AssumeRole"}]`)
		if len(st.policiesOf(deploy)) > 0 || at(props, "ManagedPolicyArns") != nil || len(list(at(props, "Policies"))) != 1 {
			t.Errorf("CodeDeploy's role has other policies: %s", text(props))
		}
		same(t, "statements of CodeDeploy", at(props, "Policies", 0, "PolicyDocument", "Statement"), fmt.Sprintf(`[
			{"Effect": "Allow", "Action": ["lambda:GetAlias", "lambda:GetProvisionedConcurrencyConfig", "lambda:UpdateAlias"],
				"Resource": [{"Fn::GetAtt": ["Redirector", "Arn"]}, {"Fn::Join": ["", [{"Fn::GetAtt": ["Redirector", "Arn"]}, ":*"]]}]},
			{"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": {"Fn::GetAtt": ["RolloutHook", "Arn"]}},
			{"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": "arn:aws:cloudwatch:%s:alarm:*"}
		]`, where))
	})
}

// Regions are deployed one after the other, so that a version that fails in one is not
// rolled out to the next ones.
func TestRolloutOrder(t *testing.T) {
	c := synthesized(t)
	stacks := map[string]*synthStack{}
	for _, st := range c.stacks {
		stacks[st.name] = st
	}
	checked := map[bool]int{}
	for _, s := range c.stages {
		for i, region := range s.Redirectors {
			if i == 0 {
				continue
			}
			checked[s.Release != nil]++
			st, before := stacks[s.Stack("redirector", region)], s.Stack("redirector", s.Redirectors[i-1])
			if slices.Contains(st.dependencies, before) != (s.Release != nil) {
				t.Errorf("%s depends on %v; want %s among them: %v", st.name, st.dependencies, before, s.Release != nil)
			}
		}
	}
	if checked[true] < 6 {
		t.Errorf("tested %d regions that depend on another, want at least 6", checked[true])
	}
}

// The deployed code can be identified by an output.
func TestCodeHash(t *testing.T) {
	synthesized(t)
	want, err := build.Hash(filepath.Join(workDir, "redirector"))
	if err != nil {
		t.Fatal(err)
	}
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		same(t, "code", at(st.template, "Outputs", "CodeHash", "Value"), fmt.Sprintf("%q", want))
	})
}
