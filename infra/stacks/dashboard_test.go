//go:build !race

package stacks

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"archeio/lambda/route"
)

// widgets returns the widgets of a stage's dashboard.
func (st *synthStack) widgets(t *testing.T) []any {
	t.Helper()
	_, dashboard := st.only(t, "AWS::CloudWatch::Dashboard")
	same(t, "name", at(dashboard, "Properties", "DashboardName"), fmt.Sprintf("%q", "archeio-"+st.stage.Name))
	text, _ := at(dashboard, "Properties", "DashboardBody").(string)
	var body any
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		t.Fatalf("dashboard body %q: %v", text, err)
	}
	return list(at(body, "widgets"))
}

var identifier = regexp.MustCompile(`\b[me][0-9]+\b`)

// The dashboard is in the home region. Its metrics are emitted, and its
// expressions refer to metrics of the same widget.
func TestDashboard(t *testing.T) {
	each(t, "", func(t *testing.T, st *synthStack) {
		if st.what != "home" {
			st.none(t, "AWS::CloudWatch::Dashboard")
			return
		}
		all, lines := 0, ""
		logs := map[any]bool{}
		for _, widget := range st.widgets(t) {
			if at(widget, "type") == "log" {
				logs[at(widget, "properties", "region")] = true
				if query, _ := at(widget, "properties", "query").(string); !strings.HasPrefix(query, "SOURCE 'archeio-"+st.stage.Name+"-redirector' | filter ") {
					t.Errorf("query %q", query)
				}
				continue
			}
			ids := map[string]bool{}
			metrics := list(at(widget, "properties", "metrics"))
			for _, m := range metrics {
				line := list(m)
				options, _ := line[len(line)-1].(map[string]any)
				lines += text(line)
				if id, ok := options["id"].(string); ok {
					if ids[id] {
						t.Errorf("%v: duplicate metric ID %s", at(widget, "properties", "title"), id)
					}
					ids[id] = true
				}
				if expression, ok := options["expression"].(string); ok {
					for _, id := range identifier.FindAllString(expression, -1) {
						if !ids[id] {
							t.Errorf("the expression %s refers to a missing metric", expression)
						}
					}
					continue
				}
				if region, _ := options["region"].(string); region != "us-east-1" && !slices.Contains(st.stage.Regions(), region) {
					t.Errorf("%s is in a region without stacks", text(line))
				}
				metric := map[string]any{"Namespace": line[0], "MetricName": line[1]}
				var dimensions []any
				for i := 2; i+1 < len(line); i += 2 {
					dimensions = append(dimensions, map[string]any{"Name": line[i], "Value": line[i+1]})
				}
				metric["Dimensions"] = dimensions
				if wrong := known(st.stage.Mirrors, metric); wrong != "" {
					t.Error(wrong)
				}
			}
			// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_limits.html
			if n := len(metrics); n > 500 || n == 0 {
				t.Errorf("%v has %d metrics, CloudWatch allows 500", at(widget, "properties", "title"), n)
			}
			all += len(metrics)
		}
		for _, region := range st.stage.Redirectors {
			if !logs[region] {
				t.Errorf("the dashboard does not show the images of the redirector in %s", region)
			}
		}
		if all > 2500 {
			t.Errorf("the dashboard has %d metrics, CloudWatch allows 2500", all)
		}
		for _, reason := range route.Reasons() {
			if !strings.Contains(lines, fmt.Sprintf("%q", reason.String())) {
				t.Errorf("the dashboard does not show %s", reason)
			}
		}
		for _, mirror := range st.stage.Mirrors {
			if !strings.Contains(lines, fmt.Sprintf("%q", st.stage.Bucket(mirror))) {
				t.Errorf("the dashboard does not show %s", mirror)
			}
		}
		for _, mirror := range append(st.stage.Routed(), "default") {
			if want := fmt.Sprintf(`"IndexContradicted","Mirror",%q`, mirror); !strings.Contains(lines, want) && (mirror != "default" || st.stage.HasDistribution()) {
				t.Errorf("the dashboard does not show %s", want)
			}
		}
	})
}

// The email address is notified before the resources of the stage exceed the budget.
func TestBudget(t *testing.T) {
	found := map[bool]bool{}
	each(t, "", func(t *testing.T, st *synthStack) {
		if st.what != "budget" {
			st.none(t, "AWS::Budgets::Budget")
			found[false] = true
			return
		}
		if st.region != "us-east-1" { // CloudFormation does not have it in every region
			t.Errorf("the budget is in %s, want us-east-1", st.region)
		}
		found[true] = true
		_, budget := st.only(t, "AWS::Budgets::Budget")
		notification := func(kind string, percent int) string {
			return fmt.Sprintf(`{"Notification": {"NotificationType": %q, "ComparisonOperator": "GREATER_THAN", "Threshold": %d, "ThresholdType": "PERCENTAGE"},
				"Subscribers": [{"SubscriptionType": "EMAIL", "Address": %q}]}`, kind, percent, st.stage.Email)
		}
		// Without a name: a budget is replaced if its email address changes.
		same(t, "budget", at(budget, "Properties", "Budget"), fmt.Sprintf(`{
			"BudgetType": "COST", "TimeUnit": "MONTHLY", "BudgetLimit": {"Amount": %v, "Unit": "USD"},
			"CostFilters": {"TagKeyValue": [%q]}}`, st.stage.Budget, "user:archeio:stage$"+st.stage.Name))
		same(t, "notifications", at(budget, "Properties", "NotificationsWithSubscribers"), `[`+notification("ACTUAL", 80)+`, `+notification("ACTUAL", 100)+`, `+notification("FORECASTED", 100)+`]`)
	})
	if !found[true] || !found[false] {
		t.Errorf("tested with a budget: %v, want with and without", found)
	}
}
