package dashboard

import (
	"archeio/infra/stage"
	"archeio/lambda/metrics"
)

// The columns of ImageQuery.
const (
	ColumnRepository = "image.repository"
	ColumnCloud      = "image.cloud"
	ColumnRegion     = "image.region"
	ColumnRequests   = "requests"
)

// ImageQuery is the Logs Insights query for the requests by repository and place in
// the log of a redirector, the most requests first.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Unnest.html
const ImageQuery = `filter msg = "` + metrics.ImageMessage + `"
| fields jsonParse(@message) as line
| unnest line.images into image
| stats sum(image.requests) as ` + ColumnRequests + ` by ` + ColumnRepository + `, ` + ColumnCloud + `, ` + ColumnRegion + `
| sort ` + ColumnRequests + ` desc`

// LogWidget is a table of the dashboard with the result of a Logs Insights query.
type LogWidget struct{ Title, Region, Query string }

// LogWidgets returns the widgets with the most requested repositories: one for each
// redirector, because a query is for one region.
func LogWidgets(s *stage.Stage) []LogWidget {
	var all []LogWidget
	for _, region := range s.Redirectors {
		all = append(all, LogWidget{"Images, " + region, region, "SOURCE '" + s.RedirectorLogs() + "' | " + ImageQuery + "\n| limit 20"})
	}
	return all
}
