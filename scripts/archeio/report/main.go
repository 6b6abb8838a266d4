// Command report prints what the dashboard of a stage shows:
//
//	go run ./scripts/archeio/report -stage sandbox -last 24h
//
// It asks CloudWatch in each region of the stage, with the credentials of the
// AWS SDK's standard environment.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"

	"archeio/infra/dashboard"
	"archeio/infra/stage"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, nil)
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

// run answers; ask is how a region is asked, nil for CloudWatch.
func run(ctx context.Context, args []string, out io.Writer, ask func(region string) (api, error)) error {
	flags := flag.NewFlagSet("report", flag.ContinueOnError)
	name := flags.String("stage", "", "stage of the file to report on")
	file := flags.String("file", "cdk.json", "file with the stages")
	last := flags.Duration("last", 24*time.Hour, "how far to look back, from 5m to 336h")
	asJSON := flags.Bool("json", false, "print JSON")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *last < 5*time.Minute || *last > 14*24*time.Hour {
		return fmt.Errorf("-last takes from 5m to 336h; it is %s", *last)
	}
	s, err := stage.Read(*file, *name)
	if err != nil {
		return err
	}
	if ask == nil {
		loaded, err := config.LoadDefaultConfig(ctx)
		if err != nil {
			return err
		}
		ask = func(region string) (api, error) {
			return cloudwatch.NewFromConfig(loaded, func(o *cloudwatch.Options) { o.Region = region }), nil
		}
	}
	to := time.Now().UTC()
	answers, err := collect(ctx, ask, dashboard.Questions(s), to.Add(-*last), to)
	if err != nil {
		return err
	}
	if !*asJSON {
		return table(out, s.Name, *last, answers)
	}
	e := json.NewEncoder(out)
	e.SetIndent("", "  ")
	return e.Encode(map[string]any{"stage": s.Name, "from": to.Add(-*last), "to": to, "answers": answers})
}
