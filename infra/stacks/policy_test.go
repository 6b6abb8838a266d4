//go:build !race

package stacks

import (
	"slices"
	"strings"
	"testing"
)

func TestStatementsAreNarrow(t *testing.T) {
	each(t, "", func(t *testing.T, st *synthStack) {
		for _, s := range st.statements() {
			for _, key := range []string{"NotAction", "NotResource", "NotPrincipal"} {
				if s.body[key] != nil {
					t.Errorf("%s: %s is too broad", s.path, key)
				}
			}
			// The one action here that AWS gives no resource to.
			if slices.Equal(texts(s.body["Action"]), []string{"ecr:GetAuthorizationToken"}) {
				continue
			}
			// A key policy applies to its own key only; see TestTopic.
			if s.body["Effect"] != "Allow" || s.of("TopicKey") {
				continue
			}
			for _, action := range texts(s.body["Action"]) {
				if strings.Contains(action, "*") {
					t.Errorf("%s: allows the actions %s", s.path, action)
				}
			}
			for _, resource := range list(s.body["Resource"]) {
				if resource == "*" || resource == "arn:aws:s3:::*" {
					t.Errorf("%s: allows all resources: %v", s.path, resource)
				}
			}
			if trust := slices.Equal(texts(s.body["Action"]), []string{"sts:AssumeRole"}); s.body["Resource"] == nil && !trust {
				t.Errorf("%s: has no resource", s.path)
			}
		}
	})
}

// Blobs are public, and nothing else is.
func TestPublicPrincipals(t *testing.T) {
	each(t, "", func(t *testing.T, st *synthStack) {
		public := 0
		for _, s := range st.statements() {
			principal := s.body["Principal"]
			if s.body["Effect"] != "Allow" || principal != "*" && !slices.Contains(texts(at(principal, "AWS")), "*") {
				continue
			}
			public++
			if st.what != "mirror" || !strings.HasPrefix(s.path, "/MirrorPolicy") {
				t.Errorf("%s: is public", s.path)
			}
			same(t, "public statement", s.body, `{
				"Sid": "AllowPublicRead",
				"Effect": "Allow",
				"Principal": {"AWS": "*"},
				"Action": "s3:GetObject",
				"Resource": {"Fn::Join": ["", [{"Fn::GetAtt": ["Mirror", "Arn"]}, "/containers/images/*"]]},
				"Condition": {"Bool": {"aws:SecureTransport": "true"}}
			}`)
		}
		want := map[string]int{"mirror": 1}[st.what]
		if st.what == "mirror" && st.stage.IsExisting(st.region) {
			want = 0 // its owner sets the policy
		}
		if public != want {
			t.Errorf("%d public statements, want %d", public, want)
		}
		for id, permission := range st.resources("AWS::Lambda::Permission") {
			if principal := at(permission, "Properties", "Principal"); principal == "*" {
				t.Errorf("%s: the function is public", id)
			}
		}
	})
}

// Only AWS services can assume the roles, and none has a managed policy.
func TestRoles(t *testing.T) {
	each(t, "", func(t *testing.T, st *synthStack) {
		for id, role := range st.resources("AWS::IAM::Role") {
			for _, s := range st.statements() {
				if s.of(id) && s.body["Principal"] != nil {
					if service, ok := at(s.body, "Principal", "Service").(string); !ok || !strings.HasSuffix(service, ".amazonaws.com") {
						t.Errorf("%s: %s can assume it", id, text(s.body["Principal"]))
					}
				}
			}
			if managed := at(role, "Properties", "ManagedPolicyArns"); managed != nil {
				t.Errorf("%s has the managed policies %s", id, text(managed))
			}
		}
		st.none(t, "AWS::IAM::User", "AWS::IAM::ManagedPolicy", "AWS::IAM::AccessKey", "AWS::IAM::Group")
	})
}

// Anonymous clients cannot read objects that are encrypted with KMS.
func TestNoKMS(t *testing.T) {
	each(t, "", func(t *testing.T, st *synthStack) {
		if st.what == "watch" || st.what == "refresh" { // the topic's key, which clients do not use
			return
		}
		walk(st.template, "", func(path string, v any) {
			if s, ok := v.(string); ok && (strings.Contains(s, "kms") || strings.Contains(s, "KMS")) {
				t.Errorf("%s: %s", path, s)
			}
			if object, ok := v.(map[string]any); ok {
				for key := range object {
					if strings.Contains(strings.ToLower(key), "kms") {
						t.Errorf("%s/%s: %s", path, key, text(object[key]))
					}
				}
			}
		})
	})
}

// NAT gateways are billed by the hour and by the byte, and there is no egress.
func TestNoNATGateway(t *testing.T) {
	each(t, "", func(t *testing.T, st *synthStack) {
		st.none(t, "AWS::EC2::NatGateway", "AWS::EC2::EIP", "AWS::EC2::Instance", "AWS::EC2::EgressOnlyInternetGateway")
		for id, function := range st.resources("AWS::Lambda::Function") {
			if at(function, "Properties", "VpcConfig") != nil {
				t.Errorf("%s is in a VPC", id)
			}
		}
	})
}
