//go:build !race

package stacks

import (
	"fmt"
	"slices"
	"testing"
)

// The canary pulls through the entry points that are deployed, every five minutes, and is
// deployed after them.
func TestCanary(t *testing.T) {
	each(t, "canary", func(t *testing.T, st *synthStack) {
		props := at(st.resource(t, "Canary"), "Properties")
		variables := at(props, "Environment", "Variables")
		for name, want := range st.stage.CanaryEnvironment("HOST") {
			same(t, name, at(variables, name), fmt.Sprintf("%q", want))
		}
		for name := range st.stage.CanaryEnvironment("") {
			if at(variables, name) == nil {
				t.Errorf("missing variable %s", name)
			}
		}
		same(t, "schedule", at(st.resource(t, "Pull"), "Properties", "ScheduleExpression"), `"rate(5 minutes)"`)
		same(t, "target", at(st.resource(t, "Pull"), "Properties", "Targets", 0, "Arn"), `{"Fn::GetAtt": ["Canary", "Arn"]}`)
		before := st.stage.Stack("edge", "us-east-1")
		if !st.stage.HasDistribution() {
			before = st.stage.Stack("redirector", st.region)
		}
		if !slices.Contains(st.dependencies, before) {
			t.Errorf("does not depend on %s", before)
		}
		want := []string{"CanaryDuration", "CanaryErrors", "CanaryThrottles"}
		for _, name := range st.stage.EntryPoints() {
			id := map[string]string{"distribution": "CanaryDistribution", "load-balancer": "CanaryLoadBalancer"}[name]
			want = append(want, id)
			alarm := at(st.resource(t, id), "Properties")
			same(t, id, at(alarm, "Dimensions"), fmt.Sprintf(`[{"Name": "EntryPoint", "Value": %q}]`, name))
			same(t, id+"'s metric", at(alarm, "MetricName"), `"CanaryFailures"`)
			same(t, id+"'s period", at(alarm, "Period"), "300")
			same(t, id+"'s periods", at(alarm, "EvaluationPeriods"), "3")
		}
		slices.Sort(want)
		if got := st.alarms(); !slices.Equal(got, want) {
			t.Errorf("alarms %v, want %v", got, want)
		}
	})
}

// The canary is a client: it can read which image to pull, and nothing else.
func TestCanaryRole(t *testing.T) {
	found := map[bool]bool{}
	each(t, "canary", func(t *testing.T, st *synthStack) {
		role, _ := at(st.resource(t, "Canary"), "Properties", "Role", "Fn::GetAtt", 0).(string)
		logs, _ := at(st.resource(t, "Canary"), "Properties", "LoggingConfig", "LogGroup", "Ref").(string)
		own := fmt.Sprintf(`{"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:PutLogEvents"], "Resource": {"Fn::GetAtt": [%q, "Arn"]}}`, logs)
		recorded := st.stage.Canary.Image == ""
		found[recorded] = true
		want := "[" + own + "]"
		if recorded {
			state := "arn:aws:s3:::" + st.stage.StateBucket()
			want = fmt.Sprintf(`[%s, {"Effect": "Allow", "Action": "s3:GetObject", "Resource": %q}, {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": %q}]`, own, state+"/canary.json", state)
		}
		policies := st.policiesOf(role)
		if len(policies) != 1 {
			t.Fatalf("%d policies, want 1", len(policies))
		}
		same(t, "policy", at(policies[0], "Properties", "PolicyDocument", "Statement"), want)
	})
	if !found[true] || !found[false] {
		t.Errorf("tested with a recorded image: %v, want with and without", found)
	}
}
