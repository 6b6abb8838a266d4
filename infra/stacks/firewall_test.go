//go:build !race

package stacks

import (
	"fmt"
	"testing"
)

// It stands before each front, where the stage asks for it and nowhere else.
func TestFirewall(t *testing.T) {
	found := map[string]bool{}
	each(t, "", func(t *testing.T, st *synthStack) {
		scope := map[string]string{"edge": "CLOUDFRONT", "redirector": "REGIONAL"}[st.what]
		if st.stage.Firewall == nil || scope == "" || st.what == "redirector" && !st.stage.HasLoadBalancers() {
			st.none(t, "AWS::WAFv2::WebACL", "AWS::WAFv2::WebACLAssociation")
			if st.what == "edge" && at(st.resource(t, "Distribution"), "Properties", "DistributionConfig", "WebACLId") != nil {
				t.Error("the distribution has a firewall")
			}
			return
		}
		found[scope+map[bool]string{true: " counts", false: " refuses"}[st.stage.Firewall.CountOnly]] = true
		_, acl := st.only(t, "AWS::WAFv2::WebACL")
		see := func(name string) string {
			return `{"CloudWatchMetricsEnabled": true, "SampledRequestsEnabled": false, "MetricName": "archeio-` + st.stage.Name + name + `"}`
		}
		action := `{"Count": {}}`
		if !st.stage.Firewall.CountOnly {
			action = `{"Block": {"CustomResponse": {"ResponseCode": 429, "CustomResponseBodyKey": "TooManyRequests", "ResponseHeaders": [{"Name": "Retry-After", "Value": "300"}]}}}`
			same(t, "body", at(acl, "Properties", "CustomResponseBodies"), `{"TooManyRequests": {"ContentType": "APPLICATION_JSON",
				"Content": "{\"errors\":[{\"code\":\"TOOMANYREQUESTS\",\"message\":\"too many requests from this address\"}]}"}}`)
		}
		same(t, "scope", at(acl, "Properties", "Scope"), fmt.Sprintf("%q", scope))
		same(t, "others", at(acl, "Properties", "DefaultAction"), `{"Allow": {}}`)
		same(t, "what is seen", at(acl, "Properties", "VisibilityConfig"), see(""))
		same(t, "rules", at(acl, "Properties", "Rules"), fmt.Sprintf(`[{"Name": "too-often", "Priority": 0, "Action": %s, "VisibilityConfig": %s,
			"Statement": {"RateBasedStatement": {"AggregateKeyType": "IP", "EvaluationWindowSec": 300, "Limit": %d}}}]`, action, see("-too-often"), st.stage.Firewall.Limit))
		if st.what == "edge" {
			same(t, "distribution's", at(st.resource(t, "Distribution"), "Properties", "DistributionConfig", "WebACLId"), `{"Fn::GetAtt": ["Firewall", "Arn"]}`)
			st.none(t, "AWS::WAFv2::WebACLAssociation")
			return
		}
		_, association := st.only(t, "AWS::WAFv2::WebACLAssociation")
		same(t, "load balancer's", at(association, "Properties"), `{"ResourceArn": {"Ref": "Balancer"}, "WebACLArn": {"Fn::GetAtt": ["Firewall", "Arn"]}}`)
	})
	for _, kind := range []string{"CLOUDFRONT counts", "CLOUDFRONT refuses", "REGIONAL counts", "REGIONAL refuses"} {
		if !found[kind] {
			t.Errorf("no firewall %s is tested", kind)
		}
	}
}
