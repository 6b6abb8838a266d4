//go:build !race

package stacks

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"archeio/lambda/config"
)

// fillers are the logical ids of the functions that fill the mirrors.
var fillers = []string{"Planner", "Worker"}

// Unless fill is false, there is one filler stack in the primary's region, which
// depends on the primary.
func TestFillerStacks(t *testing.T) {
	c := synthesized(t)
	found := map[bool]bool{}
	for _, s := range c.stages {
		found[s.Filler != nil] = true
		n := 0
		for _, st := range c.stacks {
			if st.stage == s && st.what == "filler" {
				n++
				if st.region != s.Primary {
					t.Errorf("%s is not in the primary's region, %s", st.name, s.Primary)
				}
				if primary := s.Stack("mirror", s.Primary); !slices.Contains(st.dependencies, primary) {
					t.Errorf("%s does not depend on %s", st.name, primary)
				}
				if home := s.Stack("home", s.Home); !slices.Contains(st.dependencies, home) {
					t.Errorf("%s does not depend on %s", st.name, home)
				}
			}
		}
		if want := map[bool]int{true: 1}[s.Filler != nil]; n != want {
			t.Errorf("stage %s has %d filler stacks, want %d", s.Name, n, want)
		}
	}
	if !found[true] || !found[false] {
		t.Errorf("tested with fill: %v, want with and without", found)
	}
}

func TestFillerFunctions(t *testing.T) {
	dir := synthesized(t).dir
	each(t, "filler", func(t *testing.T, st *synthStack) {
		if got := slices.Sorted(maps.Keys(st.resources("AWS::Lambda::Function"))); !slices.Equal(got, fillers) {
			t.Fatalf("functions %v, want %v", got, fillers)
		}
		for _, id := range fillers {
			function := st.resource(t, id)
			props := at(function, "Properties")
			same(t, "runtime", at(props, "Runtime"), `"provided.al2023"`)
			same(t, "handler", at(props, "Handler"), `"bootstrap"`)
			same(t, "architectures", at(props, "Architectures"), fmt.Sprintf(`[%q]`, st.stage.Architecture))
			same(t, "memory", at(props, "MemorySize"), "1024")
			same(t, "memory of the Go runtime", at(props, "Environment", "Variables", "GOMEMLIMIT"), `"870MiB"`)
			same(t, "time-out", at(props, "Timeout"), "900")
			for _, key := range []string{"Layers", "VpcConfig", "ReservedConcurrentExecutions"} {
				if at(props, key) != nil {
					t.Errorf("%s has %s", id, key)
				}
			}
			path, _ := at(function, "Metadata", "aws:asset:path").(string)
			if code, err := os.ReadFile(filepath.Join(dir, path, "bootstrap")); err != nil || string(code) != "not the function mirror" {
				t.Errorf("%s runs %q, %v", id, code, err)
			}
		}
		same(t, "the code of both functions", at(st.resource(t, "Planner"), "Properties", "Code"), text(at(st.resource(t, "Worker"), "Properties", "Code")))
	})
}

// The functions load the configuration of the stage, and the resources in it are
// those of the templates.
func TestFillEnvironment(t *testing.T) {
	secrets := 0
	each(t, "filler", func(t *testing.T, st *synthStack) {
		variables, _ := at(st.resource(t, "Planner"), "Properties", "Environment", "Variables").(map[string]any)
		if workers := at(st.resource(t, "Worker"), "Properties", "Environment", "Variables"); !reflect.DeepEqual(any(variables), workers) {
			t.Errorf("the worker's environment is %s, the planner's %s", text(workers), text(variables))
		}
		want := []string{"GOMEMLIMIT"}
		for _, v := range config.FillVariables {
			want = append(want, v.Name)
		}
		slices.Sort(want)
		if got := slices.Sorted(maps.Keys(variables)); !slices.Equal(got, want) {
			t.Errorf("variables %v, want %v", got, want)
		}
		f, err := config.LoadFill(func(name string) string {
			v, ok := variables[name].(string)
			if !ok {
				t.Errorf("%s is not known before deployment: %s", name, text(variables[name]))
			}
			return v
		})
		if err != nil {
			t.Fatalf("the functions cannot start: %v", err)
		}
		if want, err := st.stage.Fill(); err != nil || !reflect.DeepEqual(f, want) {
			t.Errorf("the functions load %+v, the stage has %+v, %v", f, want, err)
		}

		mirrors := bucketsOf(t, st)
		for _, b := range f.Buckets {
			if mirrors["https://"+b.Name+".s3.dualstack."+b.Region+".amazonaws.com"] != b.Region {
				t.Errorf("the bucket %s in %s is not a mirror of the stage", b.Name, b.Region)
			}
		}
		if len(f.Buckets) != len(mirrors)-len(st.stage.Retiring) || f.Buckets[0].Region != st.stage.Primary {
			t.Errorf("buckets %v, want %d and the one in %s first", f.Buckets, len(mirrors)-len(st.stage.Retiring), st.stage.Primary)
		}
		if want := (config.Bucket{Name: st.stage.StateBucket(), Region: st.stage.Home}); f.State != want {
			t.Errorf("the functions use the state bucket %v, want %v", f.State, want)
		}
		if got, want := at(st.resource(t, "Queue"), "Properties", "QueueName"), "https://sqs."+st.region+".amazonaws.com/"+st.stage.Account; f.Queue != fmt.Sprintf("%s/%v", want, got) {
			t.Errorf("the functions use the queue %s, the created one is %v", f.Queue, got)
		}
		// All workers together have the stage's rate.
		_, mapping := st.only(t, "AWS::Lambda::EventSourceMapping")
		workers, _ := at(mapping, "Properties", "ScalingConfig", "MaximumConcurrency").(float64)
		if got := f.Rate * workers; got < st.stage.Filler.Rate*0.999 || got > st.stage.Filler.Rate*1.001 {
			t.Errorf("%v workers with a rate of %v each have %v together, want %v", workers, f.Rate, got, st.stage.Filler.Rate)
		}
		if f.Secret != "" {
			secrets++
		}
	})
	if secrets == 0 {
		t.Error("no stage with a secret is tested")
	}
}

func TestFillerOutputs(t *testing.T) {
	each(t, "filler", func(t *testing.T, st *synthStack) {
		outputs, _ := st.template["Outputs"].(map[string]any)
		if got, want := slices.Sorted(maps.Keys(outputs)), []string{"PlannerName", "QueueName", "State", "TryPlanner", "UsesMirrors"}; !slices.Equal(got, want) {
			t.Errorf("outputs %v, want %v", got, want)
		}
		same(t, "PlannerName", at(outputs, "PlannerName", "Value"), `{"Ref": "Planner"}`)
		same(t, "QueueName", at(outputs, "QueueName", "Value"), text(at(st.resource(t, "Queue"), "Properties", "QueueName")))
		same(t, "State", at(outputs, "State", "Value"), fmt.Sprintf(`"s3://%s@%s"`, st.stage.StateBucket(), st.stage.Home))
		same(t, "TryPlanner", at(outputs, "TryPlanner", "Value"), `{"Fn::Join": ["", [
			"aws lambda invoke --region `+st.region+` --function-name ", {"Ref": "Planner"},
			" --invocation-type Event --cli-binary-format raw-in-base64-out --payload '{\"mirror\":\"plan\"}' /dev/stdout"
		]]}`)
	})
}

// The stack has no other resources.
func TestFillerResources(t *testing.T) {
	each(t, "filler", func(t *testing.T, st *synthStack) {
		resources, _ := st.template["Resources"].(map[string]any)
		kinds := map[string]int{}
		for _, resource := range resources {
			kinds[fmt.Sprint(at(resource, "Type"))]++
		}
		want := map[string]int{
			"AWS::Lambda::Function": 2, "AWS::IAM::Role": 2, "AWS::IAM::Policy": 2, "AWS::Logs::LogGroup": 2,
			"AWS::SQS::Queue": 2, "AWS::SQS::QueuePolicy": 2, "AWS::Lambda::EventSourceMapping": 1,
			"AWS::Events::Rule": 2, "AWS::Lambda::Permission": 2, "AWS::CloudWatch::Alarm": 10,
		}
		if !maps.Equal(kinds, want) {
			t.Errorf("resources %v, want %v", kinds, want)
		}
	})
}
