//go:build !race

package stacks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Only the primary replicates.
func TestReplicationRules(t *testing.T) {
	each(t, "mirror", func(t *testing.T, st *synthStack) {
		if st.stage.IsExisting(st.region) {
			return // TestExistingBucket
		}
		config := at(st.resource(t, "Mirror"), "Properties", "ReplicationConfiguration")
		if st.region != st.stage.Primary || len(st.stage.Mirrors) == 1 {
			if config != nil {
				t.Errorf("the bucket replicates: %s", text(config))
			}
			st.none(t, "AWS::IAM::Role", "AWS::IAM::Policy")
			return
		}
		role, _ := st.only(t, "AWS::IAM::Role")
		same(t, "role", at(config, "Role"), fmt.Sprintf(`{"Fn::GetAtt": [%q, "Arn"]}`, role))
		rules := list(at(config, "Rules"))
		var destinations []string
		for i, rule := range rules {
			region := strings.TrimPrefix(fmt.Sprint(at(rule, "Id")), "to-")
			destinations = append(destinations, region)
			same(t, "rule to "+region, rule, fmt.Sprintf(`{
				"Id": "to-%[1]s",
				"Status": "Enabled",
				"Priority": %[2]d,
				"Filter": {"Prefix": "containers/images/sha256:"},
				"DeleteMarkerReplication": {"Status": "Disabled"},
				"Destination": {"Bucket": "arn:aws:s3:::%[3]s", "Metrics": {"Status": "Enabled"}}
			}`, region, i+1, st.stage.Bucket(region)))
		}
		slices.Sort(destinations)
		want := slices.DeleteFunc(slices.Sorted(slices.Values(st.stage.Mirrors)), func(region string) bool {
			return region == st.stage.Primary || slices.Contains(st.stage.Retiring, region)
		})
		if !slices.Equal(destinations, want) {
			t.Errorf("destinations %v, want %v", destinations, want)
		}
		// S3 validates the role for the rules.
		policy, _ := st.only(t, "AWS::IAM::Policy")
		if !slices.Contains(texts(at(st.resource(t, "Mirror"), "DependsOn")), policy) {
			t.Errorf("the bucket does not depend on %s", policy)
		}
	})
}

func TestReplicationRole(t *testing.T) {
	n := 0
	each(t, "mirror", func(t *testing.T, st *synthStack) {
		if st.region != st.stage.Primary || len(st.stage.Mirrors) == 1 {
			return
		}
		n++
		id, role := st.only(t, "AWS::IAM::Role")
		primary := st.stage.Bucket(st.stage.Primary)
		// S3 may not send the source, so there is no condition on it.
		same(t, "trust", at(role, "Properties", "AssumeRolePolicyDocument", "Statement"), `[{
			"Effect": "Allow",
			"Principal": {"Service": "s3.amazonaws.com"},
			"Action": "sts:AssumeRole"
		}]`)
		if at(role, "Properties", "Policies") != nil {
			t.Error("the role has inline policies")
		}
		_, policy := st.only(t, "AWS::IAM::Policy")
		same(t, "policy's roles", at(policy, "Properties", "Roles"), fmt.Sprintf(`[{"Ref": %q}]`, id))
		var copies []any
		for _, region := range st.stage.Mirrors {
			if region != st.stage.Primary && !slices.Contains(st.stage.Retiring, region) {
				copies = append(copies, "arn:aws:s3:::"+st.stage.Bucket(region)+"/containers/images/*")
			}
		}
		// The CDK sorts actions and resources.
		slices.SortFunc(copies, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		var to any = copies
		if len(copies) == 1 {
			to = copies[0]
		}
		same(t, "statements", at(policy, "Properties", "PolicyDocument", "Statement"), `[
			{"Effect": "Allow", "Action": ["s3:GetReplicationConfiguration", "s3:ListBucket"], "Resource": "arn:aws:s3:::`+primary+`"},
			{"Effect": "Allow", "Action": ["s3:GetObjectVersionAcl", "s3:GetObjectVersionForReplication", "s3:GetObjectVersionTagging"],
				"Resource": "arn:aws:s3:::`+primary+`/containers/images/*"},
			{"Effect": "Allow", "Action": ["s3:ReplicateObject", "s3:ReplicateTags"], "Resource": `+text(to)+`}
		]`)
		for _, s := range st.statements() {
			for _, action := range texts(s.body["Action"]) {
				if s.body["Effect"] == "Allow" && strings.Contains(action, "Delete") {
					t.Errorf("%s: deletions would be replicated: %s", s.path, action)
				}
			}
		}
	})
	if n == 0 {
		t.Error("no stage replicates")
	}
}

// An existing bucket is given the rules that a created one has, by its owner.
func TestRequiredReplication(t *testing.T) {
	n := 0
	each(t, "mirror", func(t *testing.T, st *synthStack) {
		value := at(st.template, "Outputs", "RequiredReplication", "Value")
		if !st.stage.IsExisting(st.region) || st.region != st.stage.Primary {
			if value != nil {
				t.Errorf("output %s", text(value))
			}
			return
		}
		n++
		role, _ := st.only(t, "AWS::IAM::Role")
		var joined strings.Builder
		for _, part := range list(at(value, "Fn::Join", 1)) {
			if s, ok := part.(string); ok {
				joined.WriteString(s)
				continue
			}
			same(t, "reference", part, fmt.Sprintf(`{"Fn::GetAtt": [%q, "Arn"]}`, role))
			joined.WriteString("ROLE")
		}
		var got any
		if err := json.Unmarshal([]byte(joined.String()), &got); err != nil {
			t.Fatalf("%v in %s", err, text(value))
		}
		var rules []string
		for i, region := range st.stage.Replicas() {
			rules = append(rules, fmt.Sprintf(`{
				"ID": "to-%[1]s", "Status": "Enabled", "Priority": %[2]d, "Filter": {"Prefix": "containers/images/sha256:"}, "DeleteMarkerReplication": {"Status": "Disabled"},
				"Destination": {"Bucket": "arn:aws:s3:::%[3]s", "Metrics": {"Status": "Enabled"}}}`, region, i+1, st.stage.Bucket(region)))
		}
		same(t, "configuration", got, `{"Role": "ROLE", "Rules": [`+strings.Join(rules, ",")+`]}`)
	})
	if n != 1 {
		t.Errorf("%d existing primaries, want 1", n)
	}
}

// Replication requires its destinations, so the primary depends on the other mirrors.
// A retiring mirror can be deleted without the primary.
func TestPrimaryComesLast(t *testing.T) {
	each(t, "mirror", func(t *testing.T, st *synthStack) {
		for _, region := range st.stage.Mirrors {
			waits := slices.Contains(st.dependencies, st.stage.Stack("mirror", region))
			if want := st.region == st.stage.Primary && region != st.region && !slices.Contains(st.stage.Retiring, region); waits != want {
				t.Errorf("depends on the mirror in %s: %v, want %v", region, waits, want)
			}
		}
	})
}
