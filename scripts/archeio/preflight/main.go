// Command preflight tells, region by region, whether a stage can be deployed,
// and what to do where it cannot:
//
//	go run ./scripts/archeio/preflight -stage sandbox
//
// It changes nothing. The exit code is 1 if something stands in the way.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"

	"archeio/infra/stage"
	"archeio/lambda/build"
)

var errInTheWay = errors.New("something stands in the way of a deployment")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, world{newCloud, &http.Client{Timeout: 10 * time.Second}, nameServers, codeHash})
	stop()
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "preflight:", err)
		os.Exit(1)
	}
}

// world is all that is asked, which tests replace.
type world struct {
	connect func(ctx context.Context, profile string) (cloud, error)
	client  *http.Client
	servers func(ctx context.Context, zone string) ([]string, error)
	// hash is that of the redirector of this source.
	hash func(ctx context.Context, architecture string) (string, error)
}

func nameServers(ctx context.Context, zone string) ([]string, error) {
	found, err := net.DefaultResolver.LookupNS(ctx, zone)
	var names []string
	for _, s := range found {
		names = append(names, s.Host)
	}
	return names, err
}

func codeHash(ctx context.Context, architecture string) (string, error) {
	dir, err := build.Function(ctx, "redirector", map[string]string{"arm64": "arm64", "x86_64": "amd64"}[architecture])
	if err != nil {
		return "", err
	}
	return build.Hash(dir)
}

func run(ctx context.Context, args []string, out io.Writer, w world) error {
	flags := flag.NewFlagSet("preflight", flag.ContinueOnError)
	name := flags.String("stage", "", "stage of the file to check")
	file := flags.String("file", "cdk.json", "file with the stages")
	rate := flags.Float64("requests", 100, "requests per second that a redirector region is to bear")
	image := flags.String("image", "", "an image of the upstream to try, as NAME:TAG")
	shift := flags.String("release", "", "how redirectors are released this once, as RELEASE of make deploy: with none it does not matter what other stages run")
	profile := flags.String("after-profile", "", "AWS profile of the stage that release.after names, where it is in another account")
	if err := flags.Parse(args); err != nil {
		return err
	}
	s, err := stage.Read(*file, *name)
	if err != nil {
		return err
	}
	if *shift != "" {
		if err := s.Hasten(*shift); err != nil {
			return err
		}
	}
	c, err := w.connect(ctx, "")
	if err != nil {
		return err
	}
	p := &preflight{stage: s, cloud: c, client: w.client, servers: w.servers, rate: *rate, image: *image}
	if p.run(ctx) && s.Release != nil && s.Release.After != "" {
		before, err := stage.Read(*file, s.Release.After)
		if err != nil {
			return err
		}
		p.after(ctx, before, *profile, w)
	}
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
