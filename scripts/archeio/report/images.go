package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"archeio/infra/dashboard"
	"archeio/infra/stage"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/archeio/query"
)

// logsAPI calls an operation of CloudWatch Logs in a region.
type logsAPI func(ctx context.Context, region, operation string, in, into any) error

const (
	// shown is how many repositories are printed and drawn.
	shown = 20
	// shownPlaces is how many regions of a repository are printed.
	shownPlaces = 3
	// maxRows is the maximum of rows of a Logs Insights query.
	// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html
	maxRows = 10_000
)

// image is the requests for one repository.
type image struct {
	Repository string         `json:"repository"`
	Requests   int            `json:"requests"`
	Clouds     map[string]int `json:"clouds"`
	Regions    map[string]int `json:"regions"` // by "CLOUD REGION"
}

// collectImages queries the log of each redirector and adds up the requests by
// repository, the most requests first.
func collectImages(ctx context.Context, call logsAPI, s *stage.Stage, from, to time.Time, wait func(context.Context) error) ([]image, error) {
	byName := map[string]*image{}
	for _, region := range s.Redirectors {
		rows, err := runQuery(ctx, call, s.RedirectorLogs(), region, from, to, wait)
		if err != nil {
			return nil, fmt.Errorf("querying the log group %s in %s: %w", s.RedirectorLogs(), region, err)
		}
		for _, row := range rows {
			name, cloud := row[dashboard.ColumnRepository], row[dashboard.ColumnCloud]
			n, err := strconv.ParseFloat(row[dashboard.ColumnRequests], 64)
			if err != nil || name == "" {
				continue // a line that is damaged
			}
			i := byName[name]
			if i == nil {
				i = &image{Repository: name, Clouds: map[string]int{}, Regions: map[string]int{}}
				byName[name] = i
			}
			i.Requests += int(n)
			i.Clouds[cloud] += int(n)
			i.Regions[strings.TrimSpace(cloud+" "+row[dashboard.ColumnRegion])] += int(n)
		}
	}
	all := []image{}
	for _, i := range byName {
		all = append(all, *i)
	}
	slices.SortFunc(all, func(a, b image) int {
		return cmp.Or(cmp.Compare(b.Requests, a.Requests), cmp.Compare(a.Repository, b.Repository))
	})
	return all, nil
}

// runQuery runs a query and returns its rows. A log group that does not exist has
// none: the redirector of that region is not deployed, or is an earlier version.
func runQuery(ctx context.Context, call logsAPI, group, region string, from, to time.Time, wait func(context.Context) error) ([]map[string]string, error) {
	var started struct {
		QueryID string `json:"queryId"`
	}
	err := call(ctx, region, "StartQuery", map[string]any{
		"logGroupNames": []string{group}, "queryString": dashboard.ImageQuery, "limit": maxRows,
		"startTime": from.Unix(), "endTime": to.Unix(),
	}, &started)
	var failed *query.JSONError
	if errors.As(err, &failed) && failed.Code == "ResourceNotFoundException" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for {
		var result struct {
			Status  string
			Results [][]struct{ Field, Value string }
		}
		if err := call(ctx, region, "GetQueryResults", map[string]string{"queryId": started.QueryID}, &result); err != nil {
			return nil, err
		}
		switch result.Status {
		case "Complete":
			var rows []map[string]string
			for _, fields := range result.Results {
				row := map[string]string{}
				for _, f := range fields {
					row[f.Field] = f.Value
				}
				rows = append(rows, row)
			}
			return rows, nil
		case "Scheduled", "Running", "Unknown":
			if err := wait(ctx); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("the query ended with status %q: try a shorter time, with -last", result.Status)
		}
	}
}

// poll waits before the next request for the result of a query.
func poll(ctx context.Context) error {
	select {
	case <-time.After(time.Second):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// writeImages writes the most requested repositories as a table.
func writeImages(out io.Writer, stage string, last time.Duration, images []image) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "Stage %s, last %s. Requests for manifests and blobs that reached a redirector.\n\n", stage, cli.Duration(last))
	if len(images) == 0 {
		fmt.Fprintln(w, "no data")
		return w.Flush()
	}
	fmt.Fprintln(w, "REPOSITORY\tREQUESTS\tCLOUDS\tREGIONS")
	for _, i := range images[:min(len(images), shown)] {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", cli.Printable(i.Repository), i.Requests, counts(i.Clouds, len(i.Clouds)), counts(i.Regions, shownPlaces))
	}
	if n := len(images) - shown; n > 0 {
		fmt.Fprintf(w, "%d more\t%d\t\t\n", n, total(images[shown:]))
	}
	return w.Flush()
}

func total(images []image) (n int) {
	for _, i := range images {
		n += i.Requests
	}
	return n
}

// counts returns the largest counts, at most limit, as "AWS 12, GCP 3".
func counts(by map[string]int, limit int) string {
	var out []string
	for _, name := range largest(by) {
		if len(out) == limit {
			out = append(out, "…")
			break
		}
		out = append(out, fmt.Sprintf("%s %d", cli.Printable(name), by[name]))
	}
	return strings.Join(out, ", ")
}

// largest returns the names of counts, the largest first.
func largest(by map[string]int) []string {
	return slices.SortedFunc(maps.Keys(by), func(a, b string) int {
		return cmp.Or(cmp.Compare(by[b], by[a]), cmp.Compare(a, b))
	})
}
