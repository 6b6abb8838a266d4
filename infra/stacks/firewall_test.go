//go:build !race

package stacks

import (
	"fmt"
	"testing"
)

// Each front has a web ACL if the stage has a firewall.
func TestFirewall(t *testing.T) {
	found := map[string]bool{}
	each(t, "", func(t *testing.T, st *synthStack) {
		scope := map[string]string{"edge": "CLOUDFRONT", "redirector": "REGIONAL"}[st.what]
		if st.stage.Firewall == nil || scope == "" || st.what == "redirector" && !st.stage.HasLoadBalancers() {
			st.none(t, "AWS::WAFv2::WebACL", "AWS::WAFv2::WebACLAssociation")
			if st.what == "edge" && at(st.resource(t, "Distribution"), "Properties", "DistributionConfig", "WebACLId") != nil {
				t.Error("the distribution has a web ACL")
			}
			return
		}
		found[scope+map[bool]string{true: " count", false: " block"}[st.stage.Firewall.CountOnly]] = true
		_, acl := st.only(t, "AWS::WAFv2::WebACL")
		visibility := func(name string) string {
			return `{"CloudWatchMetricsEnabled": true, "SampledRequestsEnabled": false, "MetricName": "archeio-` + st.stage.Name + name + `"}`
		}
		action := `{"Count": {}}`
		if !st.stage.Firewall.CountOnly {
			action = `{"Block": {"CustomResponse": {"ResponseCode": 429, "CustomResponseBodyKey": "TooManyRequests", "ResponseHeaders": [{"Name": "Retry-After", "Value": "300"}]}}}`
			same(t, "body", at(acl, "Properties", "CustomResponseBodies"), `{"TooManyRequests": {"ContentType": "APPLICATION_JSON",
				"Content": "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"too many requests from this address\"}]}"}}`)
		}
		same(t, "scope", at(acl, "Properties", "Scope"), fmt.Sprintf("%q", scope))
		same(t, "default action", at(acl, "Properties", "DefaultAction"), `{"Allow": {}}`)
		same(t, "visibility", at(acl, "Properties", "VisibilityConfig"), visibility(""))
		same(t, "rules", at(acl, "Properties", "Rules"), fmt.Sprintf(`[{"Name": "rate-limit", "Priority": 0, "Action": %s, "VisibilityConfig": %s,
			"Statement": {"RateBasedStatement": {"AggregateKeyType": "IP", "EvaluationWindowSec": 300, "Limit": %d}}}]`, action, visibility("-rate-limit"), st.stage.Firewall.Limit))
		if st.what == "edge" {
			same(t, "distribution's", at(st.resource(t, "Distribution"), "Properties", "DistributionConfig", "WebACLId"), `{"Fn::GetAtt": ["Firewall", "Arn"]}`)
			st.none(t, "AWS::WAFv2::WebACLAssociation")
			return
		}
		_, association := st.only(t, "AWS::WAFv2::WebACLAssociation")
		same(t, "load balancer's", at(association, "Properties"), `{"ResourceArn": {"Ref": "Balancer"}, "WebACLArn": {"Fn::GetAtt": ["Firewall", "Arn"]}}`)
	})
	for _, kind := range []string{"CLOUDFRONT count", "CLOUDFRONT block", "REGIONAL count", "REGIONAL block"} {
		if !found[kind] {
			t.Errorf("not tested: %s", kind)
		}
	}
}
