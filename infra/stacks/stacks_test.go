//go:build !race

package stacks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
)

func TestTerminationProtection(t *testing.T) {
	found := map[bool]bool{}
	each(t, "", func(t *testing.T, st *synthStack) {
		found[st.protected] = true
		// Stacks of retiring mirrors are to be deleted.
		retiring := st.name == "archeio-moving-mirror-me-central-1" || st.name == "archeio-moving-watch-me-central-1"
		if want := st.stage.Protected && !retiring; st.protected != want {
			t.Errorf("termination protection is %v, want %v", st.protected, want)
		}
	})
	if !found[true] || !found[false] {
		t.Errorf("tested with termination protection: %v, want with and without", found)
	}
}

func TestTags(t *testing.T) {
	each(t, "", func(t *testing.T, st *synthStack) {
		for _, kind := range []string{"AWS::S3::Bucket", "AWS::Lambda::Function", "AWS::Logs::LogGroup", "AWS::CloudFront::Distribution", "AWS::SQS::Queue", "AWS::Events::Rule", "AWS::CloudWatch::Alarm", "AWS::SNS::Topic", "AWS::KMS::Key"} {
			for id, resource := range st.resources(kind) {
				if got := pairs(at(resource, "Properties", "Tags"))["archeio:stage"]; got != st.stage.Name {
					t.Errorf("%s has the tag %v, want %s", id, got, st.stage.Name)
				}
			}
		}
	})
}

// The stack that clients connect to outputs the host name and commands to try it.
func TestOutputs(t *testing.T) {
	registries := map[string]int{}
	each(t, "", func(t *testing.T, st *synthStack) {
		outputs, _ := st.template["Outputs"].(map[string]any)
		prints := st.what == "edge" || st.what == "redirector" && !st.stage.HasDistribution()
		for _, name := range []string{"Registry", "TryCrane", "TryDocker"} {
			if (outputs[name] != nil) != prints {
				t.Errorf("output %s: %s", name, text(outputs[name]))
			}
		}
		if !prints {
			return
		}
		registries[st.stage.Name]++
		registry, crane, docker := fmt.Sprintf("%q", st.stage.Domain), fmt.Sprintf(`"crane manifest %s/NAME:TAG"`, st.stage.Domain), fmt.Sprintf(`"docker pull %s/NAME:TAG"`, st.stage.Domain)
		if st.stage.Domain == "" {
			registry = `{"Fn::GetAtt": ["Distribution", "DomainName"]}`
			crane, docker = `{"Fn::Join": ["", ["crane manifest ", `+registry+`, "/NAME:TAG"]]}`, `{"Fn::Join": ["", ["docker pull ", `+registry+`, "/NAME:TAG"]]}`
		}
		same(t, "Registry", at(outputs, "Registry", "Value"), registry)
		same(t, "TryCrane", at(outputs, "TryCrane", "Value"), crane)
		same(t, "TryDocker", at(outputs, "TryDocker", "Value"), docker)
		if st.what == "edge" {
			same(t, "DistributionName", at(outputs, "DistributionName", "Value"), `{"Fn::GetAtt": ["Distribution", "DomainName"]}`)
		}
	})
	for _, s := range synthesized(t).stages {
		if registries[s.Name] == 0 {
			t.Errorf("no stack of stage %s outputs the registry", s.Name)
		}
	}
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		if name := at(st.template, "Outputs", "BalancerName", "Value"); (name != nil) != st.stage.HasLoadBalancers() {
			t.Errorf("output BalancerName: %s", text(name))
		}
	})
}

// The distribution depends on the functions.
func TestEdgeDependencies(t *testing.T) {
	each(t, "edge", func(t *testing.T, st *synthStack) {
		for _, region := range st.stage.Redirectors {
			if name := st.stage.Stack("redirector", region); !slices.Contains(st.dependencies, name) {
				t.Errorf("does not depend on %s", name)
			}
		}
	})
	each(t, "redirector", func(t *testing.T, st *synthStack) {
		for _, name := range st.dependencies {
			// TestRolloutOrder has those of a rollout.
			if before := st.stage.Release != nil && strings.Contains(name, "-redirector-"); !before && !strings.HasSuffix(name, ".assets") {
				t.Errorf("depends on %s", name)
			}
		}
	})
}

// Add returns an error for a stage that is too large for CloudFront. A stage from
// cdk.json cannot be: there are not enough regions.
func TestAddTooLarge(t *testing.T) {
	needNode(t)
	f, err := readFile()
	if err != nil {
		t.Fatal(err)
	}
	smallest := f.stages[slices.IndexFunc(f.stages, func(s *stage.Stage) bool { return s.Name == "smallest" })]
	regions := func(n int, form string) []string {
		out := []string{"eu-central-1"}
		for i := range n - 1 {
			out = append(out, fmt.Sprintf(form, i))
		}
		return out
	}
	for _, tt := range []struct {
		name        string
		redirectors []string
		want        string
	}{
		{"origins", regions(65, "region-%d"), `stage "smallest": too many origins: 1 mirrors and 65 redirectors: want at most 100 together, and 64 of each`},
		{"code", regions(60, "a-region-with-a-name-as-long-as-none-is-so-that-the-list-of-them-is-too-long-%d"), `bytes, CloudFront allows 10240: configure fewer mirrors and redirectors`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			app, _, code, err := newApp(f, "large-"+tt.name)
			if err != nil {
				t.Fatal(err)
			}
			large := *smallest
			large.Redirectors = tt.redirectors
			before := len(*app.Node().Children())
			err = Add(app, &large, code)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), `stage "smallest": `) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
			if n := len(*app.Node().Children()) - before; n != 0 {
				t.Errorf("%d stacks were added", n)
			}
		})
	}
}

// stage.Stacks returns the stacks that are synthesized, each after its dependencies,
// and stage.RetainedBuckets their buckets.
func TestStackNames(t *testing.T) {
	c := synthesized(t)
	for _, s := range c.stages {
		var known, made []string
		for _, st := range s.Stacks() {
			known = append(known, st.Name+" in "+st.Region)
		}
		buckets := map[stage.Retained]bool{}
		for _, st := range c.stacks {
			if st.stage != s {
				continue
			}
			made = append(made, st.name+" in "+st.region)
			for _, bucket := range st.resources("AWS::S3::Bucket") {
				buckets[stage.Retained{Name: fmt.Sprint(at(bucket, "Properties", "BucketName")), Region: st.region, Stack: st.name}] = true
			}
			for _, before := range st.dependencies {
				at := slices.IndexFunc(s.Stacks(), func(k stage.Stack) bool { return k.Name == before })
				if here := slices.IndexFunc(s.Stacks(), func(k stage.Stack) bool { return k.Name == st.name }); at > here {
					t.Errorf("%s is before its dependency %s", st.name, before)
				}
			}
		}
		slices.Sort(known)
		slices.Sort(made)
		if !slices.Equal(known, made) {
			t.Errorf("stage %s: Stacks returns %v, synthesized are %v", s.Name, known, made)
		}
		for _, b := range s.RetainedBuckets() {
			if !buckets[b] {
				t.Errorf("RetainedBuckets returns %v, which is not synthesized", b)
			}
		}
		if n := len(s.RetainedBuckets()); n != len(buckets) {
			t.Errorf("stage %s: RetainedBuckets returns %d, synthesized are %d", s.Name, n, len(buckets))
		}
	}
}
