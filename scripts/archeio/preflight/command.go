// Package preflight is the command archeio preflight: it checks, region by region,
// whether a stage can be deployed, and says how to fix what blocks it. It changes
// nothing.
package preflight

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"archeio/infra/stage"
	"archeio/lambda/build"
	"archeio/scripts/archeio/cli"
)

// Command returns the command.
func Command() *cobra.Command {
	return command(external{newCloud, &http.Client{Timeout: 5 * time.Second}, nameServers, net.DefaultResolver.LookupCNAME, build.RedirectorHash})
}

// external is everything outside of this process that the checks use. Tests
// replace it.
type external struct {
	// connect returns AWS as a profile sees it, empty for the default one.
	connect func(ctx context.Context, profile string) (cloud, error)
	// client sends requests to the upstreams.
	client *http.Client
	// nameServers returns the name servers that public DNS has for a zone.
	nameServers func(ctx context.Context, zone string) ([]string, error)
	// canonical returns the name at the end of the CNAME records of a host.
	canonical func(ctx context.Context, host string) (string, error)
	// codeHash returns the hash of the redirector that this source builds.
	codeHash func(ctx context.Context, architecture string) (string, error)
}

func command(x external) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "preflight [flags] -stage NAME",
		Short: "check whether a stage can be deployed",
		Long: "Checks whether a stage can be deployed: upstreams, credentials, public access,\n" +
			"DNS, quotas, and in each region bootstrap, stacks and buckets. It changes nothing.\n" +
			"Each check ends in PASS, WARN or FAIL; the exit code is 1 if any is FAIL.",
		Example: cli.Example(
			"archeio preflight -stage sandbox -image pause:3.9",
			"archeio preflight -stage production -requests 2000 -json"),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.run(c.Context(), x, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	o.stage = cli.StageFlags(c)
	f := c.Flags()
	f.StringVar(&o.image, "image", "", "`NAME:TAG` image of the upstream to request")
	f.Float64Var(&o.rate, "requests", 100, "`N` requests per second that each redirector region must sustain")
	f.StringVar(&o.release, "release", "", "`SHIFT` traffic shift to the new version, instead of the stage's; none skips the check of release.after")
	f.StringVar(&o.afterProfile, "after-profile", "", "`PROFILE` AWS profile for the stage in release.after, if it is in another account")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	return c
}

type options struct {
	stage                        *cli.Stage
	image, release, afterProfile string
	rate                         float64
	asJSON                       bool
}

// maxRate bounds -requests, in requests per second.
const maxRate = 1e9

func (o *options) run(ctx context.Context, x external, stdout, stderr io.Writer) error {
	if !(o.rate > 0 && o.rate <= maxRate) { // also rejects NaN
		return cli.Usagef("-requests %g: want a number above 0 and at most %g", o.rate, float64(maxRate))
	}
	if o.image != "" {
		if name, tag, _ := strings.Cut(o.image, ":"); name == "" || tag == "" || strings.Contains(o.image, "@") {
			return cli.Usagef("-image %q: want NAME:TAG", o.image)
		}
	}
	s, err := o.stage.Read()
	if err != nil {
		return err
	}
	if o.release != "" {
		if err := s.OverrideRelease(o.release); err != nil {
			return cli.Usage(err)
		}
	}
	var before *stage.Stage
	if s.Release != nil && s.Release.After != "" {
		if before, err = o.stage.ReadOther(s.Release.After); err != nil {
			return err
		}
	}
	c, err := x.connect(ctx, "")
	if err != nil {
		return err
	}
	qualifier, err := stage.Qualifier(o.stage.File)
	if err != nil {
		return err
	}
	p := &preflight{
		external: x, stage: s, cloud: c, qualifier: qualifier, rate: o.rate, image: o.image, progress: cli.NewProgress(stderr),
	}
	if p.run(ctx) && before != nil {
		p.releasedBefore(ctx, before, o.afterProfile)
	}
	p.progress.Clear()
	if err := ctx.Err(); err != nil {
		return err
	}
	print := p.writeText
	if o.asJSON {
		print = p.writeJSON
	}
	if err := print(stdout); err != nil {
		return err
	}
	if n := p.failed(); n > 0 {
		return fmt.Errorf("%d of %d checks failed; fix them before the deployment", n, len(p.checks))
	}
	return nil
}

func nameServers(ctx context.Context, zone string) ([]string, error) {
	found, err := net.DefaultResolver.LookupNS(ctx, zone)
	var names []string
	for _, s := range found {
		names = append(names, s.Host)
	}
	return names, err
}
