// Command preflight tells, region by region, whether a stage can be deployed,
// and what to do where it cannot:
//
//	go run ./scripts/preflight -stage sandbox
//
// It changes nothing. The exit code is 1 if something stands in the way.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"time"

	"archeio/infra/stage"
)

var errInTheWay = errors.New("something stands in the way of a deployment")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, newCloud, &http.Client{Timeout: 10 * time.Second})
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "preflight:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer, connect func(context.Context) (cloud, error), client *http.Client) error {
	flags := flag.NewFlagSet("preflight", flag.ContinueOnError)
	name := flags.String("stage", "", "stage of the file to check")
	file := flags.String("file", "cdk.json", "file with the stages")
	rate := flags.Float64("requests", 100, "requests per second that a redirector region is to bear")
	image := flags.String("image", "", "an image of the upstream to try, as NAME:TAG")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := stage.Read(*file, *name)
	if err != nil {
		return err
	}
	c, err := connect(ctx)
	if err != nil {
		return err
	}
	p := &preflight{stage: s, cloud: c, client: client, rate: *rate, image: *image}
	p.run(ctx)
	if err := table(out, p.rows); err != nil {
		return err
	}
	for _, r := range p.rows {
		if r.state == blocked {
			return errInTheWay
		}
	}
	return nil
}
