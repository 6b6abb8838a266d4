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
	"archeio/lambda/config"
)

func TestRedirectorStacks(t *testing.T) {
	c := synthesized(t)
	for _, s := range c.stages {
		for _, region := range s.Redirectors {
			if !slices.ContainsFunc(c.stacks, func(st *synthStack) bool { return st.name == s.Stack("redirector", region) }) {
				t.Errorf("stage %s has no redirector stack in %s", s.Name, region)
			}
		}
	}
}

func TestFunction(t *testing.T) {
	dir := synthesized(t).dir
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		// sam local invoke uses this logical id.
		function := st.resource(t, "Redirector")
		if kind := at(function, "Type"); kind != "AWS::Lambda::Function" {
			t.Fatalf("Redirector has the type %v", kind)
		}
		props := at(function, "Properties")
		same(t, "runtime", at(props, "Runtime"), `"provided.al2023"`)
		same(t, "handler", at(props, "Handler"), `"bootstrap"`)
		same(t, "architectures", at(props, "Architectures"), fmt.Sprintf(`[%q]`, st.stage.Architecture))
		same(t, "memory", at(props, "MemorySize"), fmt.Sprint(st.stage.Memory))
		same(t, "timeout", at(props, "Timeout"), "5")
		// SAM finds the code by this path.
		path, _ := at(function, "Metadata", "aws:asset:path").(string)
		if code, err := os.ReadFile(filepath.Join(dir, path, "bootstrap")); path == "" || err != nil || string(code) != "not the function redirector" {
			t.Errorf("the asset path %q has the binary %q: %v", path, code, err)
		}
		if at(function, "Properties", "Layers") != nil {
			t.Error("the function has layers")
		}
		version, versions := st.only(t, "AWS::Lambda::Version")
		same(t, "version of", at(versions, "Properties", "FunctionName"), `{"Ref": "Redirector"}`)
		_, alias := st.only(t, "AWS::Lambda::Alias")
		same(t, "alias", at(alias, "Properties"), fmt.Sprintf(`{
			"Name": "live",
			"FunctionName": {"Ref": "Redirector"},
			"FunctionVersion": {"Fn::GetAtt": [%q, "Version"]}
		}`, version))
	})
}

func TestFunctionLogs(t *testing.T) {
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		logs, _ := at(st.resource(t, "Redirector"), "Properties", "LoggingConfig", "LogGroup", "Ref").(string)
		group := st.resource(t, logs)
		same(t, "retention", at(group, "Properties", "RetentionInDays"), fmt.Sprint(st.stage.LogRetention))

		// The function can only write these logs.
		role, ok := at(st.resource(t, "Redirector"), "Properties", "Role", "Fn::GetAtt", 0).(string)
		if !ok {
			t.Fatal("the function has no role in this stack")
		}
		props := at(st.resource(t, role), "Properties")
		if at(props, "Policies") != nil || at(props, "ManagedPolicyArns") != nil {
			t.Errorf("the role has other policies: %s", text(props))
		}
		same(t, "trust", at(props, "AssumeRolePolicyDocument", "Statement"), `[{
			"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"
		}]`)
		policies := st.policiesOf(role)
		if len(policies) != 1 {
			t.Fatalf("the role has %d policies, want 1", len(policies))
		}
		same(t, "statements", at(policies[0], "Properties", "PolicyDocument", "Statement"), fmt.Sprintf(`[{
			"Effect": "Allow",
			"Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
			"Resource": {"Fn::GetAtt": [%q, "Arn"]}
		}]`, logs))
	})
}

func TestEnvironment(t *testing.T) {
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		variables, _ := at(st.resource(t, "Redirector"), "Properties", "Environment", "Variables").(map[string]any)
		env := map[string]string{}
		for name, value := range variables {
			s, ok := value.(string)
			if !ok {
				t.Fatalf("%s is not known before deployment: %s", name, text(value))
			}
			env[name] = s
		}
		// SAM only overrides variables that the template has.
		want := []string{"GOMEMLIMIT"}
		for _, v := range config.Variables {
			want = append(want, v.Name)
		}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(env)); !slices.Equal(got, want) {
			t.Errorf("variables %v, want %v", got, want)
		}
		env["AWS_REGION"] = st.region // set by Lambda
		c, err := config.Load(func(name string) string { return env[name] })
		if err != nil {
			t.Fatalf("the function cannot start: %v", err)
		}

		buckets := bucketsOf(t, st)
		for _, m := range c.Mirrors {
			if buckets[m.URL] != m.Region {
				t.Errorf("the mirror in %s has the URL %s, which is not that of a bucket of the stage", m.Region, m.URL)
			}
		}
		if moving := len(st.stage.Filling) + len(st.stage.Retiring); len(c.Mirrors) != len(buckets)-moving {
			t.Errorf("%d mirrors for %d buckets with %d filling or retiring", len(c.Mirrors), len(buckets), moving)
		}
		header, mirror := "", ""
		if st.stage.HasDistribution() {
			header, mirror = "cloudfront-viewer-address", "/"
			if st.stage.HasLoadBalancers() {
				mirror = "https://" + st.stage.Domain
			}
			if buckets[c.DefaultMirrorCheck] == "" {
				t.Errorf("the default mirror is checked in %s, which is not a bucket of the stage", c.DefaultMirrorCheck)
			}
		}
		if c.ClientAddressHeader != header || c.DefaultMirror != mirror {
			t.Errorf("client address header %q, default mirror %q, want %q, %q", c.ClientAddressHeader, c.DefaultMirror, header, mirror)
		}
	})
}

// bucketsOf returns the regions of the mirror buckets of a stack's stage by their URLs,
// from the templates: buckets that are created, and the outputs of existing ones.
func bucketsOf(t *testing.T, of *synthStack) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, st := range synthesized(t).stacks {
		if name, ok := at(st.template, "Outputs", "BucketName", "Value").(string); ok && st.stage == of.stage {
			out[fmt.Sprintf("https://%s.s3.dualstack.%s.amazonaws.com", name, st.region)] = st.region
		}
		for _, bucket := range st.resources("AWS::S3::Bucket") {
			// The filler stack has the state bucket.
			if st.stage == of.stage && st.what == "mirror" {
				out[fmt.Sprintf("https://%v.s3.dualstack.%s.amazonaws.com", at(bucket, "Properties", "BucketName"), st.region)] = st.region
			}
		}
	}
	return out
}

// CloudFront needs both permissions, for the alias that has the function URL.
func TestPermissions(t *testing.T) {
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		alias, _ := st.only(t, "AWS::Lambda::Alias")
		want := map[string]string{
			"DistributionCallsURL": `"Action": "lambda:InvokeFunctionUrl", "FunctionUrlAuthType": "AWS_IAM", "Principal": "cloudfront.amazonaws.com",
				"SourceArn": "arn:aws:cloudfront::` + st.stage.Account + `:distribution/*"`,
			"DistributionInvokes": `"Action": "lambda:InvokeFunction", "InvokedViaFunctionUrl": true, "Principal": "cloudfront.amazonaws.com",
				"SourceArn": "arn:aws:cloudfront::` + st.stage.Account + `:distribution/*"`,
		}
		if st.stage.HasLoadBalancers() {
			want["BalancerInvokes"] = `"Action": "lambda:InvokeFunction", "Principal": "elasticloadbalancing.amazonaws.com",
				"SourceArn": "arn:aws:elasticloadbalancing:` + st.region + `:` + st.stage.Account + `:targetgroup/*"`
		}
		got := st.resources("AWS::Lambda::Permission")
		for id, props := range want {
			same(t, id, at(got[id], "Properties"), fmt.Sprintf(`{"FunctionName": {"Ref": %q}, %s}`, alias, props))
		}
		if len(got) != len(want) {
			t.Errorf("permissions %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	})
	// In the edge stack, a permission would be for a function of another region.
	each(t, "edge", func(t *testing.T, st *synthStack) { st.none(t, "AWS::Lambda::Permission", "AWS::Lambda::Url") })
	each(t, "mirror", func(t *testing.T, st *synthStack) { st.none(t, "AWS::Lambda::Permission", "AWS::Lambda::Url") })
	each(t, "filler", func(t *testing.T, st *synthStack) { st.none(t, "AWS::Lambda::Url") })
}

// Only CloudFront can call the function URL. It exists for every front, for a
// distribution that the stage had before.
func TestFunctionURL(t *testing.T) {
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		_, url := st.only(t, "AWS::Lambda::Url")
		same(t, "function URL", at(url, "Properties"), `{
			"AuthType": "AWS_IAM",
			"Qualifier": "live",
			"TargetFunctionArn": {"Fn::GetAtt": ["Redirector", "Arn"]}
		}`)
		alias, _ := st.only(t, "AWS::Lambda::Alias")
		if !slices.Contains(texts(at(url, "DependsOn")), alias) {
			t.Error("the function URL does not depend on its alias")
		}
		id, _ := st.only(t, "AWS::Lambda::Url")
		same(t, "host", at(st.template, "Outputs", "FunctionHost", "Value"), fmt.Sprintf(`{"Fn::Select": [2, {"Fn::Split": ["/", {"Fn::GetAtt": [%q, "FunctionUrl"]}]}]}`, id))
	})
}

// Nothing is exported, and no functions of the CDK pass values between stacks: a stack
// refers to another one by an output.
func TestStackReferences(t *testing.T) {
	c := synthesized(t)
	found := map[string]bool{}
	own := []string{stage.RedirectorID, stage.PlannerID, stage.WorkerID, stage.HookID, stage.RefreshID, stage.CanaryID}
	each(t, "", func(t *testing.T, st *synthStack) {
		outputs, _ := st.template["Outputs"].(map[string]any)
		for name, output := range outputs {
			if at(output, "Export") != nil {
				t.Errorf("output %s is exported", name)
			}
		}
		resources, _ := st.template["Resources"].(map[string]any)
		for id, resource := range resources {
			if kind, _ := at(resource, "Type").(string); !strings.HasPrefix(kind, "AWS::") || strings.HasPrefix(kind, "AWS::CloudFormation::") {
				t.Errorf("%s is a custom resource of the type %s", id, kind)
			} else if kind == "AWS::Lambda::Function" && !slices.Contains(own, id) {
				t.Errorf("%s is a function of the CDK", id)
			}
		}
		walk(st.template, "", func(path string, v any) {
			if at(v, "Fn::ImportValue") != nil {
				t.Errorf("%s: imports %s", path, text(v))
			}
			reference := at(v, "Fn::GetStackOutput")
			if reference == nil {
				return
			}
			of, name, region := at(reference, "StackName"), at(reference, "OutputName"), at(reference, "Region")
			i := slices.IndexFunc(c.stacks, func(other *synthStack) bool { return other.name == of && other.region == region })
			if i < 0 || at(c.stacks[i].template, "Outputs", name) == nil {
				t.Errorf("%s: there is no output %v of %v in %v", path, name, of, region)
			}
			if !slices.Contains(st.dependencies, fmt.Sprint(of)) {
				t.Errorf("%s: does not depend on %v", path, of)
			}
			found[fmt.Sprint(name)] = true
		})
	})
	if !found["FunctionHost"] || !found["DistributionName"] || len(found) != 2 {
		t.Errorf("references to the outputs %v, want FunctionHost and DistributionName", found)
	}
}
