package report

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"archeio/infra/dashboard"
)

// api is CloudWatch in one region.
type api interface {
	GetMetricData(context.Context, *cloudwatch.GetMetricDataInput, ...func(*cloudwatch.Options)) (*cloudwatch.GetMetricDataOutput, error)
}

// Document is what the command prints as JSON.
type Document struct {
	Stage   string    `json:"stage"`
	From    time.Time `json:"from"`
	To      time.Time `json:"to"`
	Widgets []Widget  `json:"widgets"`
}

// Find returns the value of a series of a widget, and whether there is one.
func (d *Document) Find(title, label string) (float64, bool) {
	for _, w := range d.Widgets {
		for _, v := range w.Values {
			if w.Title == title && v.Label == label && v.Value != nil {
				return *v.Value, true
			}
		}
	}
	return 0, false
}

// Widget holds the values of a widget of the dashboard.
type Widget struct {
	Title  string  `json:"title"`
	Unit   string  `json:"unit,omitempty"`
	Values []Value `json:"values"`
}

// Value is the value of a series over the period.
type Value struct {
	Label string   `json:"label"`
	Value *float64 `json:"value"` // nil if CloudWatch has none
}

// maxQueries is how many metrics a request for data may have.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
const maxQueries = 500

// collect gets the metrics of all widgets, region by region, and aggregates them
// into the values of their series.
func collect(ctx context.Context, in func(region string) api, widgets []dashboard.Widget, from, to time.Time) ([]Widget, error) {
	byRegion := map[string]map[string]dashboard.Metric{}
	for _, w := range widgets {
		for _, s := range w.Series {
			for _, m := range slices.Concat(s.Of, s.Over) {
				if byRegion[m.Region] == nil {
					byRegion[m.Region] = map[string]dashboard.Metric{}
				}
				byRegion[m.Region][key(m)] = m
			}
		}
	}
	found := map[string]float64{}
	for _, region := range slices.Sorted(maps.Keys(byRegion)) {
		client := in(region)
		for _, daily := range []bool{false, true} {
			var metrics []dashboard.Metric
			for _, k := range slices.Sorted(maps.Keys(byRegion[region])) {
				if m := byRegion[region][k]; m.Daily() == daily {
					metrics = append(metrics, m)
				}
			}
			for part := range slices.Chunk(metrics, maxQueries) {
				if err := fetch(ctx, client, part, daily, from, to, found); err != nil {
					return nil, fmt.Errorf("getting metrics from CloudWatch in %s: %w", region, err)
				}
			}
		}
	}
	var out []Widget
	for _, w := range widgets {
		x := Widget{Title: w.Title, Unit: w.Unit, Values: []Value{}}
		for _, s := range w.Series {
			x.Values = append(x.Values, Value{s.Label, valueOf(s, found)})
		}
		out = append(out, x)
	}
	return out, nil
}

func key(m dashboard.Metric) string {
	return strings.Join(append([]string{m.Region, m.Namespace, m.Name, m.Stat}, m.Dimensions...), "|")
}

// valueOf returns the sum of the metrics of a series, in percent if the series is
// a share, and nil if none of them has a value.
func valueOf(s dashboard.Series, found map[string]float64) *float64 {
	sum := func(all []dashboard.Metric) (total float64, any bool) {
		for _, m := range all {
			v, ok := found[key(m)]
			total, any = total+v, any || ok
		}
		return total, any
	}
	v, ok := sum(s.Of)
	if s.Over != nil {
		whole, any := sum(s.Over)
		if !any || whole == 0 {
			return nil
		}
		v, ok = 100*v/whole, true
	}
	if !ok {
		return nil
	}
	return &v
}

// fetch gets the data points of metrics and aggregates those of each into one value
// in found.
func fetch(ctx context.Context, client api, metrics []dashboard.Metric, daily bool, from, to time.Time, found map[string]float64) error {
	period := 5 * time.Minute
	switch {
	case daily:
		// Metrics that are published once a day may be late.
		period, from = 24*time.Hour, to.Add(-3*24*time.Hour)
	case to.Sub(from) > 6*time.Hour:
		period = time.Hour
	}
	in := &cloudwatch.GetMetricDataInput{
		StartTime: aws.Time(from.Truncate(period)), EndTime: aws.Time(to), ScanBy: types.ScanByTimestampAscending,
	}
	byID := map[string]dashboard.Metric{}
	for i, m := range metrics {
		id := fmt.Sprintf("m%d", i)
		byID[id] = m
		var dimensions []types.Dimension
		for i := 0; i < len(m.Dimensions); i += 2 {
			dimensions = append(dimensions, types.Dimension{Name: aws.String(m.Dimensions[i]), Value: aws.String(m.Dimensions[i+1])})
		}
		in.MetricDataQueries = append(in.MetricDataQueries, types.MetricDataQuery{Id: aws.String(id), MetricStat: &types.MetricStat{
			Metric: &types.Metric{Namespace: aws.String(m.Namespace), MetricName: aws.String(m.Name), Dimensions: dimensions},
			Period: aws.Int32(int32(period.Seconds())), Stat: aws.String(m.Stat),
		}})
	}
	for {
		page, err := client.GetMetricData(ctx, in)
		if err != nil {
			return err
		}
		for _, r := range page.MetricDataResults {
			m := byID[aws.ToString(r.Id)]
			for _, v := range r.Values {
				before, seen := found[key(m)]
				switch {
				case m.Stat == "Sum":
					v += before
				case !daily && seen: // the maximum, also of percentiles
					v = max(v, before)
				}
				found[key(m)] = v
			}
		}
		if aws.ToString(page.NextToken) == "" {
			return nil
		}
		in.NextToken = page.NextToken
	}
}
