package constructs

import (
	"fmt"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2/awscloudwatch"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"archeio/infra/dashboard"
	"archeio/infra/stage"
)

// Dashboard creates the dashboard of a stage, which shows all its regions.
func Dashboard(scope constructs.Construct, s *stage.Stage) {
	var widgets []any
	for i, widget := range dashboard.Widgets(s) {
		widgets = append(widgets, map[string]any{
			"type": "metric", "x": i % 2 * 12, "y": i / 2 * 7, "width": 12, "height": 7,
			"properties": map[string]any{
				"title": widget.Title, "region": s.Home, "view": "timeSeries", "stacked": widget.Unit == dashboard.Requests,
				"period": minutes5, "metrics": lines(widget), "yAxis": map[string]any{"left": map[string]any{"min": 0, "label": widget.Unit, "showUnits": false}},
			},
		})
	}
	for _, widget := range dashboard.LogWidgets(s) {
		i := len(widgets)
		widgets = append(widgets, map[string]any{
			"type": "log", "x": i % 2 * 12, "y": i / 2 * 7, "width": 12, "height": 7,
			"properties": map[string]any{"title": widget.Title, "region": widget.Region, "view": "table", "query": widget.Query},
		})
	}
	awscloudwatch.NewCfnDashboard(scope, jsii.String("Dashboard"), &awscloudwatch.CfnDashboardProps{
		DashboardName: jsii.String(s.Dashboard()),
		DashboardBody: jsii.String(literal(map[string]any{"widgets": widgets})),
	})
}

// lines returns the metrics of a widget, and the expressions that add them up.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html
func lines(widget dashboard.Widget) []any {
	var out []any
	add := func(m dashboard.Metric, options map[string]any) {
		line := []any{m.Namespace, m.Name}
		for _, d := range m.Dimensions {
			line = append(line, d)
		}
		options["region"], options["stat"] = m.Region, m.Stat
		if m.Daily() {
			options["period"] = 24 * hour
		}
		out = append(out, append(line, options))
	}
	n := 0
	sum := func(all []dashboard.Metric) string {
		ids := make([]string, len(all))
		for i, m := range all {
			n++
			ids[i] = fmt.Sprintf("m%d", n)
			add(m, map[string]any{"id": ids[i], "visible": false})
		}
		return "SUM([" + strings.Join(ids, ",") + "])"
	}
	for i, s := range widget.Series {
		if len(s.Of) == 1 && s.Over == nil {
			add(s.Of[0], map[string]any{"label": s.Label})
			continue
		}
		expression := sum(s.Of)
		if s.Over != nil {
			expression = "100 * " + expression + " / " + sum(s.Over)
		}
		out = append(out, []any{map[string]any{"id": fmt.Sprintf("e%d", i), "label": s.Label, "expression": expression}})
	}
	return out
}
