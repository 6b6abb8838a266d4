//go:build !race

package stacks

import (
	"slices"
	"strings"
	"testing"
)

// aboutClients are the fields of CloudFront's log records that may identify a client.
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html
var aboutClients = []string{
	"c-ip", "c-port", "c-country", "asn", "cs(User-Agent)", "cs(Referer)", "cs(Cookie)", "x-forwarded-for", "cs-uri-query",
	"cs-headers", "cs-header-names", "cs-accept", "cs-accept-encoding", "fle-status", "fle-encrypted-fields", "ssl-cipher",
}

// All other kinds of logs have the client address.
func TestNoLogsOfClients(t *testing.T) {
	found := map[bool]bool{}
	each(t, "", func(t *testing.T, st *synthStack) {
		st.none(t, "AWS::EC2::FlowLog", "AWS::WAFv2::LoggingConfiguration", "AWS::CloudFront::RealtimeLogConfig", "AWS::Route53Resolver::ResolverQueryLoggingConfig", "AWS::CloudTrail::Trail")
		walk(st.template["Resources"], "", func(path string, v any) {
			object, _ := v.(map[string]any)
			for _, key := range []string{"Logging", "LoggingConfiguration", "RealtimeLogConfigArn", "AccessLogSettings"} {
				if object[key] != nil {
					t.Errorf("%s: has %s", path, key)
				}
			}
			// The attribute of load balancers.
			if key, _ := object["Key"].(string); strings.Contains(key, "logs.s3.enabled") && object["Value"] != "false" {
				t.Errorf("%s: %s is enabled", path, key)
			}
			if sampled, there := object["SampledRequestsEnabled"]; there && sampled != false {
				t.Errorf("%s: requests are sampled", path)
			}
			if object["CloudWatchMetricsEnabled"] != nil && object["SampledRequestsEnabled"] == nil {
				t.Errorf("%s: does not disable the sampling of requests", path)
			}
		})
		deliveries := st.resources("AWS::Logs::Delivery")
		if want := st.what == "edge" && st.stage.AccessLogs; (len(deliveries) == 1) != want || len(deliveries) > 1 {
			t.Errorf("%d log deliveries, want one: %v", len(deliveries), want)
		}
		for _, delivery := range deliveries {
			fields := texts(at(delivery, "Properties", "RecordFields"))
			for _, field := range fields {
				if slices.ContainsFunc(aboutClients, func(c string) bool { return strings.EqualFold(c, field) }) || strings.HasPrefix(field, "c-") {
					t.Errorf("the log records have the field %s", field)
				}
			}
			// Without a list, the records would have all fields.
			if !slices.Contains(fields, "sc-status") {
				t.Errorf("the log records have the fields %v, want sc-status among them", fields)
			}
		}
		if st.what == "edge" {
			found[st.stage.AccessLogs] = true
		}
	})
	if !found[true] || !found[false] {
		t.Errorf("tested with access logs: %v, want with and without", found)
	}
}

func TestAccessLogs(t *testing.T) {
	each(t, "edge", func(t *testing.T, st *synthStack) {
		if !st.stage.AccessLogs {
			st.none(t, "AWS::Logs::LogGroup", "AWS::Logs::DeliverySource", "AWS::Logs::DeliveryDestination", "AWS::Logs::ResourcePolicy")
			return
		}
		name := `"archeio-` + st.stage.Name + `-access"`
		same(t, "retention", at(st.resource(t, "AccessLogs"), "Properties", "RetentionInDays"), text(st.stage.LogRetention))
		source := at(st.resource(t, "AccessLogsSource"), "Properties")
		same(t, "name", at(source, "Name"), name)
		same(t, "type", at(source, "LogType"), `"ACCESS_LOGS"`)
		same(t, "distribution", at(source, "ResourceArn"), `{"Fn::Join": ["", ["arn:aws:cloudfront::`+st.stage.Account+`:distribution/", {"Ref": "Distribution"}]]}`)
		same(t, "log group", at(st.resource(t, "AccessLogsDestination"), "Properties", "DestinationResourceArn"),
			`{"Fn::Join": ["", ["arn:aws:logs:us-east-1:`+st.stage.Account+`:log-group:", {"Ref": "AccessLogs"}]]}`)
		same(t, "policy", at(st.resource(t, "AccessLogsPolicy"), "Properties", "PolicyDocument"), `{"Fn::Join": ["", [
			"{\"Statement\":[{\"Action\":[\"logs:CreateLogStream\",\"logs:PutLogEvents\"],\"Condition\":{\"ArnLike\":{\"aws:SourceArn\":\"arn:aws:logs:us-east-1:`+st.stage.Account+`:*\"},\"StringEquals\":{\"aws:SourceAccount\":\"`+st.stage.Account+`\"}},\"Effect\":\"Allow\",\"Principal\":{\"Service\":\"delivery.logs.amazonaws.com\"},\"Resource\":\"",
			{"Fn::GetAtt": ["AccessLogs", "Arn"]}, "\"}],\"Version\":\"2012-10-17\"}"]]}`)
	})
}
