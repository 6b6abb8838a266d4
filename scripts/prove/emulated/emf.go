package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"

	"archeio/infra/stage"
)

// extractor does what the emulator does not: it extracts metrics from the log lines
// of functions in the embedded metric format.
type extractor struct {
	*deployed
	groups []string
	seen   map[string]bool // stream and line
}

func (c *checks) newExtractor(ctx context.Context) (*extractor, error) {
	x := &extractor{deployed: c.deployed, seen: map[string]bool{}}
	functions := []string{c.function}
	for _, id := range []string{stage.PlannerID, stage.WorkerID} {
		name, err := c.resource(ctx, "filler", id)
		if err != nil {
			return nil, err
		}
		functions = append(functions, name)
	}
	for _, function := range functions {
		group, err := c.logGroup(ctx, function)
		if err != nil {
			return nil, err
		}
		x.groups = append(x.groups, group)
	}
	return x, nil
}

// extract puts the metrics of all lines since the last extract into CloudWatch.
func (x *extractor) extract(ctx context.Context) error {
	client := cloudwatch.New(cloudwatch.Options{
		Region:       regions[0],
		BaseEndpoint: aws.String("https://localhost:" + x.port),
		HTTPClient:   &http.Client{Transport: x.network},
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
	for _, group := range x.groups {
		var output struct {
			Events []struct{ LogStreamName, Message string }
		}
		if err := x.aws(ctx, regions[0], &output, "logs", "filter-log-events", "--log-group-name", group, "--filter-pattern", "CloudWatchMetrics"); err != nil {
			return err
		}
		for _, event := range output.Events {
			// The emulator's events have no ID, but each document has its time.
			line := event.LogStreamName + " " + event.Message
			if x.seen[line] {
				continue
			}
			x.seen[line] = true
			all, err := decodeEMF([]byte(event.Message))
			if err != nil {
				return fmt.Errorf("log group %s: %w", group, err)
			}
			for namespace, data := range all {
				if _, err := client.PutMetricData(ctx, &cloudwatch.PutMetricDataInput{Namespace: aws.String(namespace), MetricData: data}); err != nil {
					return fmt.Errorf("putting the metrics of %s: %w", group, err)
				}
			}
		}
	}
	return nil
}

// directive is an element of CloudWatchMetrics.
type directive struct {
	Namespace  string
	Dimensions [][]string
	Metrics    []struct{ Name, Unit string }
}

// decodeEMF returns the metrics of a log line by namespace, none for a line that is
// not in the embedded metric format.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func decodeEMF(line []byte) (map[string][]types.MetricDatum, error) {
	var root map[string]json.RawMessage
	if json.Unmarshal(line, &root) != nil || root["_aws"] == nil {
		return nil, nil
	}
	var metadata struct {
		Timestamp         int64
		CloudWatchMetrics []directive
	}
	if err := json.Unmarshal(root["_aws"], &metadata); err != nil {
		return nil, fmt.Errorf("decoding %q: %w", line, err)
	}
	all := map[string][]types.MetricDatum{}
	for _, d := range metadata.CloudWatchMetrics {
		data, err := d.data(root, time.UnixMilli(metadata.Timestamp))
		if err != nil {
			return nil, fmt.Errorf("decoding %q: %w", line, err)
		}
		all[d.Namespace] = append(all[d.Namespace], data...)
	}
	return all, nil
}

// data returns a datum for each metric and each set of dimensions.
func (d directive) data(root map[string]json.RawMessage, at time.Time) (all []types.MetricDatum, err error) {
	for _, metric := range d.Metrics {
		values, err := decodeValues(root[metric.Name])
		if err != nil {
			return nil, fmt.Errorf("metric %s: %w", metric.Name, err)
		}
		for _, names := range d.Dimensions {
			datum := types.MetricDatum{
				MetricName: aws.String(metric.Name), Unit: types.StandardUnit(metric.Unit),
				Timestamp: aws.Time(at), Values: values,
			}
			for _, name := range names {
				var value string
				if err := json.Unmarshal(root[name], &value); err != nil {
					return nil, fmt.Errorf("dimension %s: %w", name, err)
				}
				datum.Dimensions = append(datum.Dimensions, types.Dimension{Name: aws.String(name), Value: aws.String(value)})
			}
			all = append(all, datum)
		}
	}
	return all, nil
}

// decodeValues decodes a number, or an array of numbers.
func decodeValues(text json.RawMessage) (values []float64, err error) {
	if bytes.HasPrefix(text, []byte("[")) {
		err = json.Unmarshal(text, &values)
		return values, err
	}
	values = make([]float64, 1)
	err = json.Unmarshal(text, &values[0])
	return values, err
}
