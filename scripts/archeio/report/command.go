// Package report is the command archeio report: it prints the values that the
// dashboard of a stage shows, from CloudWatch in each region of the stage.
package report

import (
	"context"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/spf13/cobra"

	"archeio/infra/dashboard"
	"archeio/scripts/archeio/cli"
)

// Limits of -last: one period of the metrics, and how long the dashboard looks
// back at most.
const (
	minLast = 5 * time.Minute
	maxLast = 14 * 24 * time.Hour
)

// Command returns the command.
func Command() *cobra.Command { return command(connect) }

// connectFunc returns a function that returns CloudWatch in a region.
type connectFunc func(context.Context) (func(region string) api, error)

func connect(ctx context.Context) (func(region string) api, error) {
	c, err := cli.LoadAWS(ctx, "")
	if err != nil {
		return nil, err
	}
	if err := cli.CheckCredentials(ctx, c); err != nil {
		return nil, err
	}
	return func(region string) api {
		return cloudwatch.NewFromConfig(c, func(o *cloudwatch.Options) { o.Region = region })
	}, nil
}

func command(connect connectFunc) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "report [flags] -stage NAME",
		Short: "print the metrics of a stage",
		Long: "Prints the metrics of a stage that its dashboard shows: requests by kind, cloud and\n" +
			"reason, latencies, and the state of the mirrors.",
		Example: cli.Example(
			"archeio report -stage sandbox -last 1h",
			"archeio report -stage production -json"),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), connect, c.OutOrStdout())
		},
	}
	o.stage = cli.StageFlags(c)
	f := c.Flags()
	f.DurationVar(&o.last, "last", 24*time.Hour, "`DURATION` period to look back, from 5m to 336h")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	return c
}

type options struct {
	stage  *cli.Stage
	last   time.Duration
	asJSON bool
}

func (o *options) run(ctx context.Context, connect connectFunc, out io.Writer) error {
	if o.last < minLast || o.last > maxLast {
		return cli.Usagef("-last %s: want a duration from 5m to 336h", cli.Duration(o.last))
	}
	s, err := o.stage.Read()
	if err != nil {
		return err
	}
	in, err := connect(ctx)
	if err != nil {
		return err
	}
	to := time.Now().UTC()
	from := to.Add(-o.last)
	widgets, err := collect(ctx, in, dashboard.Widgets(s), from, to)
	if err != nil {
		return err
	}
	if !o.asJSON {
		return writeText(out, s.Name, o.last, widgets)
	}
	return cli.JSON(out, Document{s.Name, from, to, widgets})
}
