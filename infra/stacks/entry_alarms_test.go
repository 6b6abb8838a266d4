//go:build !race

package stacks

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// serverErrors checks an alarm on the server errors of an entry point. In a stage that
// relays, those that the redirector counts as the relay's are subtracted.
func serverErrors(t *testing.T, st *synthStack, id, namespace, name, dimensions string) {
	t.Helper()
	props := at(st.resource(t, id), "Properties")
	same(t, id+"'s periods", at(props, "EvaluationPeriods"), "3")
	if !st.stage.Relays() || st.stage.PlainAlarms {
		same(t, id+"'s dimensions", at(props, "Dimensions"), dimensions)
		same(t, id+"'s metric", at(props, "MetricName"), text(name))
		threshold := "0"
		if st.stage.Relays() {
			threshold = "20"
		}
		same(t, id+"'s threshold", at(props, "Threshold"), threshold)
		return
	}
	query := func(id, namespace, name, dimensions string) string {
		return fmt.Sprintf(`{"Id": %q, "ReturnData": false, "MetricStat": {"Stat": "Sum", "Period": 300, "Metric": {
			"Namespace": %q, "MetricName": %q, "Dimensions": %s}}}`, id, namespace, name, dimensions)
	}
	same(t, id+"'s metrics", at(props, "Metrics"), `[`+query("errors", namespace, name, dimensions)+`,
		`+query("upstream_failed", "Archeio", "Requests", `[{"Name": "Reason", "Value": "upstream-failed"}]`)+`,
		`+query("too_large", "Archeio", "Requests", `[{"Name": "Reason", "Value": "too-large"}]`)+`,
		{"Id": "others", "ReturnData": true, "Label": "server errors that are not the relay's",
		"Expression": "errors - FILL(upstream_failed, 0) - FILL(too_large, 0)"}]`)
	same(t, id+"'s threshold", at(props, "Threshold"), "20")
}

// CloudFront has its metrics in us-east-1 only, where the edge stack is.
func TestEdgeAlarms(t *testing.T) {
	each(t, "edge", func(t *testing.T, st *synthStack) {
		want := []string{"EdgeErrors", "EdgeForbidden", "EdgeFunctionErrors", "EdgeFunctionResponses"}
		if st.stage.PlainAlarms {
			want = slices.Delete(want, 1, 2)
			st.none(t, "AWS::CloudFront::MonitoringSubscription")
		} else {
			forbidden(t, st)
		}
		if got := st.alarms(); !slices.Equal(got, want) {
			t.Errorf("alarms %v, want %v", got, want)
		}
		edgeErrors(t, st)
		function := fmt.Sprint(at(st.resource(t, "ViewerRequest"), "Properties", "Name"))
		for _, id := range []string{"EdgeFunctionErrors", "EdgeFunctionResponses"} {
			same(t, id, at(st.resource(t, id), "Properties", "Dimensions"), fmt.Sprintf(`[
				{"Name": "FunctionName", "Value": %q}, {"Name": "Region", "Value": "Global"}]`, function))
		}
	})
}

// edgeErrors checks the alarm on server errors of the distribution, which are without the
// statuses of the relay if the stage has one.
func edgeErrors(t *testing.T, st *synthStack) {
	t.Helper()
	const dimensions = `[{"Name": "DistributionId", "Value": {"Ref": "Distribution"}}, {"Name": "Region", "Value": "Global"}]`
	props := at(st.resource(t, "EdgeErrors"), "Properties")
	same(t, "threshold", at(props, "Threshold"), "1")
	if !st.stage.Relays() || st.stage.PlainAlarms {
		same(t, "distribution", at(props, "Dimensions"), dimensions)
		return
	}
	query := func(id, name string) string {
		return fmt.Sprintf(`{"Id": %q, "ReturnData": false, "MetricStat": {"Stat": "Average", "Period": 300, "Metric": {
			"Namespace": "AWS/CloudFront", "MetricName": %q, "Dimensions": %s}}}`, id, name, dimensions)
	}
	want := query("errors", "5xxErrorRate") + "," + query("status_502", "502ErrorRate") + ","
	label, others := "502", "errors - FILL(status_502, 0)"
	if st.stage.SingleHost {
		want += query("status_503", "503ErrorRate") + ","
		label, others = "502 and 503", others+" - FILL(status_503, 0)"
	}
	same(t, "metrics", at(props, "Metrics"), `[`+want+fmt.Sprintf(`{"Id": "share", "ReturnData": true,
		"Label": "percent of server errors without %s", "Expression": %q}]`, label, others))
}

// forbidden checks the alarm on 403 responses, which needs the additional metrics of its
// distribution.
func forbidden(t *testing.T, st *synthStack) {
	t.Helper()
	_, subscription := st.only(t, "AWS::CloudFront::MonitoringSubscription")
	same(t, "additional metrics", at(subscription, "Properties"), `{"DistributionId": {"Ref": "Distribution"},
		"MonitoringSubscription": {"RealtimeMetricsSubscriptionConfig": {"RealtimeMetricsSubscriptionStatus": "Enabled"}}}`)
	props := at(st.resource(t, "EdgeForbidden"), "Properties")
	metric := func(id, name, statistic string) string {
		return fmt.Sprintf(`{"Id": %q, "ReturnData": false, "MetricStat": {"Stat": %q, "Period": 300, "Metric": {"Namespace": "AWS/CloudFront", "MetricName": %q,
			"Dimensions": [{"Name": "DistributionId", "Value": {"Ref": "Distribution"}}, {"Name": "Region", "Value": "Global"}]}}}`, id, statistic, name)
	}
	same(t, "metrics", at(props, "Metrics"), `[`+metric("forbidden", "403ErrorRate", "Average")+`, `+metric("requests", "Requests", "Sum")+`,
		{"Id": "share", "Label": "percent of 403 responses", "Expression": "IF(requests >= 100, FILL(forbidden, 0), 0)", "ReturnData": true}]`)
	same(t, "threshold", at(props, "Threshold"), "5")
	blocks := st.stage.Firewall != nil && !st.stage.Firewall.CountOnly
	if description, _ := at(props, "AlarmDescription").(string); strings.Contains(description, "firewall") != blocks {
		t.Errorf("description %q of a stage whose firewall blocks: %v", description, blocks)
	}
}
