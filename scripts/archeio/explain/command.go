// Package explain is the command archeio explain: where the redirector sends a
// client, and why. It is configured as the function is, by a stage or by the
// function's environment variables, and runs the same code without a network, except
// for a range table at a URL.
package explain

import (
	"context"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"archeio/lambda/config"
	"archeio/ranges"
	"archeio/ranges/compile"
	"archeio/ranges/regions"
	"archeio/scripts/archeio/cli"
)

// Command returns the command.
func Command() *cobra.Command { return command(os.Getenv) }

func command(getenv func(string) string) *cobra.Command {
	var o options
	c := &cobra.Command{
		Use:   "explain [flags] -ip ADDR WHAT",
		Short: "show where a client is sent, and why",
		Long: "Shows where the redirector sends a client at ADDR, and why, without a network\n" +
			"(except with -ranges URL). WHAT is a path such as /v2/pause/manifests/3.9, a URL\n" +
			"with such a path, or an image reference such as pause:3.9. The configuration is\n" +
			"that of a stage, or else that of the function's environment variables, of which\n" +
			"UPSTREAM_REGISTRY_ENDPOINT is required.",
		Example: cli.Example(
			"archeio explain -stage sandbox -ip 35.180.1.1 pause:3.9",
			"archeio explain -stage sandbox -ranges ranges/table.bin -ip 35.180.1.1 pause:3.9",
			`echo "35.180.1.1 /v2/pause/manifests/3.9" | archeio explain -stage sandbox -json -stdin`),
		Args: cobra.ArbitraryArgs,
	}
	s := cli.StageFlags(c)
	f := c.Flags()
	f.StringVar(&o.ip, "ip", "", "`ADDR` client IP address")
	f.StringVar(&o.front, "front", "", "`alb|cloudfront` entry point of the request (default: the stage's)")
	f.BoolVar(&o.authorized, "authorized", false, "the client sends an Authorization header")
	f.StringVar(&o.position, "position", "", "`LAT,LON` client position as CloudFront reports it, in degrees")
	f.StringVar(&o.method, "method", "GET", "`METHOD` HTTP method of the request")
	f.StringVar(&o.ranges, "ranges", "", "`FILE|URL` range table (file or URL) to use instead of the embedded one")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object per line")
	f.BoolVar(&o.lines, "stdin", false, "read lines of ADDR and WHAT from standard input; blank lines and lines that start with # are skipped")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := o.check(c, args); err != nil {
			return err
		}
		table, err := o.table(c.Context())
		if err != nil {
			return err
		}
		e := &explainer{entry: o.entry, method: o.method, table: table}
		if s.Name != "" {
			read, err := s.Read()
			if err != nil {
				return err
			}
			switch {
			case o.front == "alb" && !read.HasLoadBalancers(), o.front == "cloudfront" && !read.HasDistribution():
				return cli.Usagef("-front %s: the front of stage %q is %q", o.front, read.Name, read.Front)
			case o.front == "":
				e.entry.balancer = !read.HasDistribution()
			}
			if err := e.stage(read); err != nil {
				return err
			}
		} else {
			if err := s.Optional(c); err != nil {
				return err
			}
			if getenv("UPSTREAM_REGISTRY_ENDPOINT") == "" {
				return cli.Usagef("missing -stage NAME, and the environment has no UPSTREAM_REGISTRY_ENDPOINT")
			}
			loaded, err := config.Load(getenv)
			if err != nil {
				return cli.Usage(err)
			}
			e.functions = []function{newFunction("", loaded, table)}
		}
		if o.lines {
			return e.stdin(c.Context(), c.InOrStdin(), c.OutOrStdout(), o.asJSON)
		}
		path, host, err := pathOf(args[0])
		if err != nil {
			return cli.Usage(err)
		}
		x := e.explain(c.Context(), o.ip, path)
		x.host = host
		if !o.asJSON && !x.addr.IsValid() {
			return cli.Usagef("-ip %q: invalid IP address", o.ip)
		}
		return x.write(c.OutOrStdout(), o.asJSON)
	}
	return c
}

type options struct {
	ip, method, front, position, ranges string
	authorized, asJSON, lines           bool
	entry                               entry
}

// check validates the flags and arguments.
func (o *options) check(c *cobra.Command, args []string) error {
	named := c.Flags().Changed("ip") // an empty address is a bad one, not a missing one
	switch {
	case o.lines && named:
		return cli.Usagef("-ip has no effect with -stdin, which reads an address on each line")
	case o.lines && len(args) > 0:
		return cli.NoArgs(c, args)
	case o.lines:
	case !named:
		return cli.Usagef("missing -ip ADDR")
	default:
		if err := cli.OneArg(strings.TrimPrefix(missingWhat, "missing "))(c, args); err != nil {
			return err
		}
	}
	switch o.front {
	case "", "cloudfront":
	case "alb":
		o.entry.balancer = true
	default:
		return cli.Usagef(`-front %q: want "alb" or "cloudfront"`, o.front)
	}
	o.entry.authorized = o.authorized
	if c.Flags().Changed("position") {
		lat, lon, _ := strings.Cut(o.position, ",")
		latitude, err1 := strconv.ParseFloat(strings.TrimSpace(lat), 64)
		longitude, err2 := strconv.ParseFloat(strings.TrimSpace(lon), 64)
		o.entry.viewer, o.entry.positioned = regions.Point{Latitude: latitude, Longitude: longitude}, true
		if err1 != nil || err2 != nil || !o.entry.viewer.Valid() {
			return cli.Usagef("-position %q: want latitude and longitude in degrees, as 48.86,2.35", o.position)
		}
	}
	return nil
}

// table returns the range table to use.
func (o *options) table(ctx context.Context) (ranges.Table, error) {
	if o.ranges == "" {
		return ranges.Embedded(), ranges.Check()
	}
	table, err := compile.ReadTable(ctx, nil, o.ranges)
	return table, cli.ReadError(err)
}
