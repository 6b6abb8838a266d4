// Package report is the command archeio report: it prints the values that the
// dashboard of a stage shows, from CloudWatch in each region of the stage.
package report

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/spf13/cobra"

	"archeio/infra/dashboard"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/archeio/query"
)

// Limits of -last: one period of the metrics, and how long the dashboard looks
// back at most.
const (
	minLast = 5 * time.Minute
	maxLast = 14 * 24 * time.Hour
)

// Command returns the command.
func Command() *cobra.Command { return command(connect, connectLogs) }

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

// connectLogs returns CloudWatch Logs.
func connectLogs(ctx context.Context) (logsAPI, error) {
	c, err := cli.LoadAWS(ctx, "")
	if err != nil {
		return nil, err
	}
	if err := cli.CheckCredentials(ctx, c); err != nil {
		return nil, err
	}
	return func(ctx context.Context, region, operation string, in, into any) error {
		return query.CallJSON(ctx, c, "logs", region, "Logs_20140328."+operation, in, into)
	}, nil
}

func command(connect connectFunc, logs func(context.Context) (logsAPI, error)) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "report [flags] -stage NAME",
		Short: "print the metrics of a stage",
		Long: "Prints the metrics of a stage that its dashboard shows: requests by kind, cloud and\n" +
			"reason, latencies, and the state of the mirrors. With -images it prints the most\n" +
			"requested repositories instead, by cloud and region of the clients, from the logs of\n" +
			"the redirectors; AWS charges for the bytes that such a query reads.",
		Example: cli.Example(
			"archeio report -stage sandbox -last 1h",
			"archeio report -stage production -images -o images.svg"),
		RunE: func(c *cobra.Command, _ []string) error {
			switch {
			case o.images && o.file != "" && o.asJSON:
				return cli.Usagef("-output cannot be combined with -json")
			case o.images:
				return o.runImages(c.Context(), logs, c.OutOrStdout())
			case o.file != "":
				return cli.Usagef("-output has no effect unless -images is set")
			}
			return o.run(c.Context(), connect, c.OutOrStdout())
		},
	}
	o.stage = cli.StageFlags(c)
	f := c.Flags()
	f.DurationVar(&o.last, "last", 24*time.Hour, "`DURATION` period to look back, from 5m to 336h")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	f.BoolVar(&o.images, "images", false, "print the most requested repositories")
	f.StringVarP(&o.file, "output", "o", "", "`FILE` SVG file to draw the repositories in")
	return c
}

type options struct {
	stage  *cli.Stage
	last   time.Duration
	asJSON bool
	images bool
	file   string
}

func (o *options) runImages(ctx context.Context, connect func(context.Context) (logsAPI, error), out io.Writer) error {
	if o.last < minLast || o.last > maxLast {
		return cli.Usagef("-last %s: want a duration from 5m to 336h", cli.Duration(o.last))
	}
	s, err := o.stage.Read()
	if err != nil {
		return err
	}
	call, err := connect(ctx)
	if err != nil {
		return err
	}
	to := time.Now().UTC()
	from := to.Add(-o.last)
	images, err := collectImages(ctx, call, s, from, to, poll)
	if err != nil {
		return err
	}
	if o.asJSON {
		return cli.JSON(out, struct {
			Stage  string    `json:"stage"`
			From   time.Time `json:"from"`
			To     time.Time `json:"to"`
			Images []image   `json:"images"`
		}{s.Name, from, to, images})
	}
	if o.file != "" {
		title := fmt.Sprintf("Requests by repository, stage %s, last %s", s.Name, cli.Duration(o.last))
		if err := os.WriteFile(o.file, picture(title, images), 0o644); err != nil {
			return fmt.Errorf("writing the picture: %w", err)
		}
	}
	return writeImages(out, s.Name, o.last, images)
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
