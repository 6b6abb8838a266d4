//go:build !race

package stacks

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"archeio/infra/stage"
)

// The records of the domain are in one stack with the same logical ids for every front,
// so that another front updates them.
func TestDomainRecords(t *testing.T) {
	fronts := map[stage.Front]bool{}
	each(t, "domain", func(t *testing.T, st *synthStack) {
		s := st.stage
		fronts[s.Front] = true
		to, target := fmt.Sprintf(`{
			"DNSName": {"Fn::GetStackOutput": {"StackName": "archeio-%s-edge-us-east-1", "OutputName": "DistributionName", "Region": "us-east-1"}},
			"HostedZoneId": "Z2FDTNDATAQYW2"
		}`, s.Name), `"distribution"`
		if s.Front == stage.ALB {
			to, target = fmt.Sprintf(`{"DNSName": "alb.%s.", "HostedZoneId": %q, "EvaluateTargetHealth": true}`, s.Domain, s.Zone.ID), `"load balancers"`
			for _, region := range s.Redirectors {
				if name := s.Stack("redirector", region); !slices.Contains(st.dependencies, name) {
					t.Errorf("does not depend on %s", name)
				}
			}
		}
		want := map[string]string{}
		for _, host := range s.Hosts() {
			for _, kind := range []string{"A", "AAAA"} {
				want[host+". "+kind] = fmt.Sprintf(`{"HostedZoneId": %q, "Name": "%s.", "Type": %q, "AliasTarget": %s}`, s.Zone.ID, host, kind, to)
			}
		}
		records := st.resources("AWS::Route53::RecordSet")
		for id, record := range records {
			props := at(record, "Properties")
			name := fmt.Sprint(at(props, "Name"), " ", at(props, "Type"))
			same(t, name, props, want[name])
			if kind, _ := at(props, "Type").(string); strings.HasPrefix(name, s.Domain+".") && id != "Record"+kind {
				t.Errorf("%s has the logical ID %s", name, id)
			}
		}
		if len(records) != len(want) {
			t.Errorf("%d records, want %d", len(records), len(want))
		}
		same(t, "names", at(st.template, "Outputs", "Records", "Value"), fmt.Sprintf("%q", strings.Join(s.Hosts(), ",")))
		same(t, "target", at(st.template, "Outputs", "DomainTarget", "Value"), target)
	})
	if len(fronts) != 3 {
		t.Errorf("tested the fronts %v, want all", fronts)
	}
}

// The name of each record of a stage is in stacks of one kind for all fronts: Route 53
// does not have records with and without a routing policy for one name.
func TestRecordOwners(t *testing.T) {
	each(t, "", func(t *testing.T, st *synthStack) {
		for id, record := range st.resources("AWS::Route53::RecordSet") {
			want := map[string][]string{"domain": st.stage.Hosts(), "redirector": {st.stage.BalancerDomain()}}[st.what]
			if got := fmt.Sprint(at(record, "Properties", "Name")); !slices.Contains(want, strings.TrimSuffix(got, ".")) {
				t.Errorf("%s: name %s, want one of %v", id, got, want)
			}
		}
	})
}

// A permissions boundary of the CDK's context is on all roles.
func TestPermissionsBoundary(t *testing.T) {
	needNode(t)
	f, err := readFile()
	if err != nil {
		t.Fatal(err)
	}
	f.context["@aws-cdk/core:permissionsBoundary"] = map[string]any{"name": "boundary"}
	c, err := synthesize(f, "boundary", slices.DeleteFunc(f.stages, func(s *stage.Stage) bool { return s.Name != "sandbox" }))
	if err != nil {
		t.Fatal(err)
	}
	roles := 0
	for _, st := range c.stacks {
		for id, role := range st.resources("AWS::IAM::Role") {
			roles++
			same(t, st.name+": "+id, at(role, "Properties", "PermissionsBoundary"), `"arn:aws:iam::`+st.stage.Account+`:policy/boundary"`)
		}
	}
	if roles < 5 {
		t.Errorf("%d roles, want 5 or more", roles)
	}
}
