// Package verify is the command archeio verify: an acceptance test of a deployed stage
// from outside. It sends requests as clients do, and compares what AWS reports with
// the stage. It changes nothing, unless it may write probe blobs, which it removes.
package verify

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"archeio/infra/stage"
	"archeio/lambda/build"
	"archeio/lambda/spelling"
	"archeio/lambda/testpull"
	"archeio/scripts/archeio/cli"
)

// Command returns the command.
func Command() *cobra.Command {
	return command(external{
		connect: newCloud, dial: (&net.Dialer{Timeout: requestTimeout}).DialContext, lookup: net.DefaultResolver.LookupNetIP,
		codeHash: build.RedirectorHash, now: time.Now, poll: pollInterval,
	})
}

// external is everything outside of this process that the checks use. Tests
// replace it.
type external struct {
	connect func(context.Context, *stage.Stage) (cloud, error)
	dial    func(ctx context.Context, network, address string) (net.Conn, error)
	lookup  func(ctx context.Context, network, host string) ([]netip.Addr, error)
	// roots are the certificate authorities, nil for those of the system.
	roots *x509.CertPool
	// codeHash returns the hash of the redirector that this source builds.
	codeHash func(ctx context.Context, architecture string) (string, error)
	now      func() time.Time
	// poll is how long to wait between two looks at a replica or a cache.
	poll time.Duration
}

func command(x external) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "verify [flags] -stage NAME",
		Short: "test a deployed stage from outside",
		Long: "Tests a deployed stage from outside: the entry points, function URLs, mirrors and\n" +
			"what AWS reports about them. With -write, it puts probe blobs into the mirrors,\n" +
			"waits for their replication and removes them; otherwise it changes nothing.\n" +
			"Each check ends in PASS, FAIL, PENDING or SKIP; the exit code is 1 if any is FAIL.",
		Example: cli.Example(
			"archeio verify -stage sandbox -image pause:3.9",
			"archeio verify -stage production -write -json"),
		RunE: func(c *cobra.Command, _ []string) error {
			if !o.write {
				if err := cli.NoEffect(c, "without -write", "wait"); err != nil {
					return err
				}
			}
			return o.run(c.Context(), x, c.OutOrStdout(), c.ErrOrStderr())
		},
	}
	o.stage = cli.StageFlags(c)
	f := c.Flags()
	f.BoolVar(&o.write, "write", false, "put probe blobs into the mirrors, and remove them")
	f.DurationVar(&o.wait, "wait", 15*time.Minute, "`DURATION` maximum time for the replication of a probe blob")
	f.StringVar(&o.image, "image", "", "`NAME:TAG` image to pull in part (default the canary's)")
	f.StringVar(&o.ip, "ip", "", "`ADDR` public IP address of this machine, to check where it is redirected")
	f.StringSliceVar(&o.skip, "skip", nil, "`CHECKS` names of the checks to skip, comma-separated")
	f.StringToStringVar(&o.connect, "connect", nil, "`HOST=ADDR:PORT` where to connect for a host, comma-separated; * is every other host")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	return c
}

type options struct {
	stage         *cli.Stage
	write, asJSON bool
	wait          time.Duration
	image, ip     string
	skip          []string
	connect       map[string]string
}

// maxWait bounds -wait.
const maxWait = 24 * time.Hour

func (o *options) run(ctx context.Context, x external, stdout, stderr io.Writer) error {
	d := &deployment{external: x, write: o.write, wait: o.wait, connectTo: o.connect, skip: o.skip}
	if o.wait <= 0 || o.wait > maxWait {
		return cli.Usagef("-wait %s: want a duration above 0 and at most 24h", cli.Duration(o.wait))
	}
	if o.image != "" {
		var ok bool
		if d.image, ok = testpull.ParseImage(o.image); !ok {
			return cli.Usagef("-image %q: want NAME:TAG or NAME@DIGEST", o.image)
		}
	}
	if o.ip != "" {
		var err error
		if d.client, err = netip.ParseAddr(o.ip); err != nil || d.client.Zone() != "" {
			return cli.Usagef("-ip %q: invalid IP address", o.ip)
		}
	}
	for _, name := range o.skip {
		if !known(name) {
			return cli.Usagef("-skip: unknown check %q%s", name, spelling.DidYouMean(name, names))
		}
	}
	for host, to := range o.connect {
		if _, _, err := net.SplitHostPort(to); err != nil {
			return cli.Usagef("-connect %s=%s: want HOST=ADDR:PORT", host, to)
		}
	}
	s, err := o.stage.Read()
	if err != nil {
		return err
	}
	d.stage = s
	if d.cloud, err = x.connect(ctx, s); err != nil {
		return err
	}
	progress := cli.NewProgress(stderr)
	checks := d.run(ctx, progress)
	progress.Clear()
	if err := ctx.Err(); err != nil {
		// The table is not printed, but what stays in the mirrors must be.
		if d.probe.removal.result == cli.Fail {
			fmt.Fprintf(stderr, "archeio verify: %s\n", d.probe.removal.details)
		}
		return err
	}
	if err := write(stdout, s.Name, checks, o.asJSON); err != nil {
		return err
	}
	if n := cli.Count(checks, cli.Fail); n > 0 {
		return fmt.Errorf("%d of %d checks failed: %s", n, len(checks), strings.Join(failed(checks), ", "))
	}
	return nil
}

// failed returns the names of the failed checks, each once.
func failed(checks []cli.Check) (names []string) {
	seen := map[string]bool{}
	for _, c := range checks {
		if c.Result == cli.Fail && !seen[c.Check] {
			seen[c.Check] = true
			names = append(names, c.Check)
		}
	}
	return names
}

func write(out io.Writer, stage string, checks []cli.Check, asJSON bool) error {
	if !asJSON {
		return cli.WriteChecks(out, checks, cli.Colors(out))
	}
	return cli.JSON(out, struct {
		Stage  string      `json:"stage"`
		Passed bool        `json:"passed"` // no check failed
		Checks []cli.Check `json:"checks"`
	}{stage, cli.Count(checks, cli.Fail) == 0, checks})
}
