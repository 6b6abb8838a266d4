package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	"golang.org/x/sync/errgroup"

	"archeio/infra/constructs"
	"archeio/scripts/lab/pull"
)

// meters does what the emulator does not: it makes metrics of the lines in the
// embedded metric format that functions write to their log groups.
type meters struct {
	*deployed
	groups []string
	seen   map[string]bool // lines, each with its stream
}

func (c *checks) newMeters(ctx context.Context) (*meters, error) {
	m := &meters{deployed: c.deployed, seen: map[string]bool{}}
	functions := []string{c.function}
	for _, id := range []string{constructs.PlannerID, constructs.WorkerID} {
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
		m.groups = append(m.groups, group)
	}
	return m, nil
}

// read puts what was written since the last time into CloudWatch.
func (m *meters) read(ctx context.Context) error {
	client := cloudwatch.New(cloudwatch.Options{
		Region:       regions[0],
		BaseEndpoint: aws.String("https://localhost:" + m.port),
		HTTPClient:   &http.Client{Transport: m.network},
		Credentials:  credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
	})
	for _, group := range m.groups {
		var found struct {
			Events []struct{ LogStreamName, Message string }
		}
		if err := m.aws(ctx, regions[0], &found, "logs", "filter-log-events", "--log-group-name", group, "--filter-pattern", "CloudWatchMetrics"); err != nil {
			return err
		}
		for _, event := range found.Events {
			// The emulator gives events no ids; each document has its time in it.
			line := event.LogStreamName + " " + event.Message
			if m.seen[line] {
				continue
			}
			m.seen[line] = true
			all, err := embedded([]byte(event.Message))
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

// embedded reads a line of a log: its metrics by namespace, none where it is no
// document of the embedded metric format.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
func embedded(line []byte) (map[string][]types.MetricDatum, error) {
	var root map[string]json.RawMessage
	if json.Unmarshal(line, &root) != nil || root["_aws"] == nil {
		return nil, nil
	}
	var about struct {
		Timestamp         int64
		CloudWatchMetrics []struct {
			Namespace  string
			Dimensions [][]string
			Metrics    []struct{ Name, Unit string }
		}
	}
	if err := json.Unmarshal(root["_aws"], &about); err != nil {
		return nil, fmt.Errorf("reading %q: %w", line, err)
	}
	all := map[string][]types.MetricDatum{}
	for _, directive := range about.CloudWatchMetrics {
		for _, metric := range directive.Metrics {
			values, err := numbers(root[metric.Name])
			if err != nil {
				return nil, fmt.Errorf("reading the metric %s of %q: %w", metric.Name, line, err)
			}
			for _, names := range directive.Dimensions {
				d := types.MetricDatum{
					MetricName: aws.String(metric.Name), Unit: types.StandardUnit(metric.Unit),
					Timestamp: aws.Time(time.UnixMilli(about.Timestamp)), Values: values,
				}
				for _, name := range names {
					var value string
					if err := json.Unmarshal(root[name], &value); err != nil {
						return nil, fmt.Errorf("reading the dimension %s of %q: %w", name, line, err)
					}
					d.Dimensions = append(d.Dimensions, types.Dimension{Name: aws.String(name), Value: aws.String(value)})
				}
				all[directive.Namespace] = append(all[directive.Namespace], d)
			}
		}
	}
	return all, nil
}

// numbers reads a number, or an array of them.
func numbers(text json.RawMessage) (values []float64, err error) {
	if bytes.HasPrefix(text, []byte("[")) {
		err = json.Unmarshal(text, &values)
		return values, err
	}
	values = make([]float64, 1)
	err = json.Unmarshal(text, &values[0])
	return values, err
}

// answers is what a report says, by question and label.
type answers map[string]map[string]float64

// reportOn runs scripts/archeio/report against the emulator.
func (d *deployed) reportOn(ctx context.Context) (answers, error) {
	out, all, err := d.command(ctx, regions[0], filepath.Join(d.dir, "report"), "-stage", stageName, "-file", d.stagesFile(), "-last", "1h", "-json")
	if err != nil {
		return nil, fmt.Errorf("report: %w: %s", err, end(all))
	}
	var report struct {
		Answers []struct {
			Question string
			Values   []struct {
				Label string
				Value *float64
			}
		}
	}
	if err := json.Unmarshal(out, &report); err != nil {
		return nil, fmt.Errorf("report: %w in %s", err, out)
	}
	a := answers{}
	for _, q := range report.Answers {
		a[q.Question] = map[string]float64{}
		for _, v := range q.Values {
			if v.Value != nil {
				a[q.Question][v.Label] = *v.Value
			}
		}
	}
	return a, nil
}

// less is what the answers to a question have grown by since before.
func (a answers) less(before answers, question string) map[string]int {
	grown := map[string]int{}
	for label, v := range a[question] {
		if n := int(v - before[question][label]); n != 0 {
			grown[label] = n
		}
	}
	return grown
}

// stagesFile is a file as cdk.json, with the stage as it is.
func (d *deployed) stagesFile() string { return filepath.Join(d.dir, "cdk.json") }

func (d *deployed) writeStages(stages string) error {
	return os.WriteFile(d.stagesFile(), []byte(`{"context": {"stages": `+stages+`}}`), 0o600)
}

// build compiles a program of the repository.
func (d *deployed) build(ctx context.Context, name string) error {
	_, all, err := d.command(ctx, regions[0], "go", "build", "-o", filepath.Join(d.dir, name), "./scripts/"+name)
	if err != nil {
		return fmt.Errorf("building %s: %w: %s", name, err, end(all))
	}
	return nil
}

// countedPulls is how many pulls the report must find again.
const countedPulls = 12

// measure pulls a number of times, and looks for each request in the report.
func (c *checks) measure(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	c.say("its log groups make no metrics: those of the functions' lines are put by PutMetricData, as CloudWatch does by itself")
	what := fmt.Sprintf("the report counts each request of %d pulls, by kind, cloud and reason", countedPulls)
	c.check(what, found(c.measured(ctx), true, ""))
}

func (c *checks) measured(ctx context.Context) error {
	if err := c.writeStages(c.settings.json()); err != nil {
		return err
	}
	if err := c.build(ctx, "report"); err != nil {
		return err
	}
	m, err := c.newMeters(ctx)
	if err != nil {
		return err
	}
	// A process writes what it has counted at the end of the first invocation
	// that is ten seconds after its last line: requests of a kind that is not
	// counted here make it do so, several at once as there may be two of them.
	const pulled, why = "How many pulls", "Sent where, and why"
	look := func() (answers, error) {
		var group errgroup.Group
		for range 4 {
			group.Go(func() error {
				_, _, err := c.get(ctx, "https://"+c.distribution+"/v2/", nil)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return nil, err
		}
		if err := m.read(ctx); err != nil {
			return nil, err
		}
		return c.reportOn(ctx)
	}
	var before, after answers
	lines := 0
	if err := wait(ctx, 2*time.Minute, "the function has written what it counted before", func() (bool, error) {
		now, err := look()
		if err != nil {
			return false, err
		}
		switch {
		case len(now.less(before, pulled)) > 0:
			lines = 0
		case now[why]["ping"] > before[why]["ping"]:
			lines++
		}
		before = now
		return lines >= 2, nil
	}); err != nil {
		return err
	}
	kinds, reasons := map[string]int{}, map[string]int{}
	for i := range countedPulls {
		client := pull.Client{Registry: c.distribution, Secure: true, Transport: c.network, SetAddress: as(newClient())}
		if i%2 == 1 {
			client.Registry, client.SetAddress = c.stage.BalancerDomain(), nil
		}
		p, err := client.Pull(ctx, c.image)
		if err != nil {
			return err
		}
		for _, hop := range p.Hops {
			kind := "manifests"
			if strings.Contains(hop.URL, "/blobs/") {
				kind = "blobs"
			}
			if hop.Reason != "" && hop.Reason != "ping" {
				kinds[kind]++
				reasons[hop.Reason]++
			}
		}
	}
	err = wait(ctx, time.Minute, "the function has written what it counted", func() (bool, error) {
		after, err = look()
		return err == nil && after.less(before, pulled)["manifests"] >= countedPulls, err
	})
	if err != nil {
		return err
	}
	c.say("the report says %v, by reason %v", after.less(before, pulled), after.less(before, why))
	got := after.less(before, why)
	delete(got, "ping")
	if !maps.Equal(got, reasons) {
		return fmt.Errorf("the report says %v, the pulls had the reasons %v", got, reasons)
	}
	if got := after.less(before, pulled); !maps.Equal(got, kinds) {
		return fmt.Errorf("the report says %v, the pulls had %v", got, kinds)
	}
	return nil
}
