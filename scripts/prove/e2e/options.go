package main

import (
	"flag"
	"io"
	"regexp"
	"slices"
	"strings"
	"time"

	"archeio/lambda/spelling"
	"archeio/scripts/prove/cli"
)

const help = `Usage: go run ./scripts/prove/e2e [flags]

Starts the whole system on this machine, with a recording proxy in front of every
server, and tests it in five parts:

  clients      pull, list tags and list referrers with crane, oras, regctl,
               skopeo, podman, ctr and docker, pull a chart with helm, and verify
               signatures with cosign
  contract     check the responses to single HTTP requests, and that thousands of
               odd ones do not affect other clients
  conformance  run the conformance suite of the OCI distribution specification,
               with reads through the entry points and writes to the upstream
  faults       make one server after the other fail, and measure what clients see
  load         send a million requests and check every response; watch the memory

All traffic stays on loopback, and everything that was started is stopped. Missing
clients are installed if -only selects them: crane, oras, regctl, helm and cosign with
go install, of which the last two take minutes, the others with apt-get if run as root.
A client that cannot be installed is reported as skipped.

Example:
  go run ./scripts/prove/e2e -parts clients,contract -only 'skopeo|Range'
`

// parts are the parts of the test, in the order in which they run.
var parts = []string{"clients", "contract", "conformance", "faults", "load"}

// tokenParts are those for an upstream that requires a token.
var tokenParts = []string{"clients", "conformance", "faults"}

type options struct {
	only    *regexp.Regexp
	parts   []string
	json    bool
	verbose bool
	slow    bool // faults that take minutes too
	token   bool // the upstream requires a token
	load    loadOptions
}

func parseOptions(args []string, stdout io.Writer) (*options, error) {
	o := &options{}
	flags := flag.NewFlagSet("e2e", flag.ContinueOnError)
	only := flags.String("only", "", "run only what matches `REGEXP`: CLIENT/ENTRY POINT/LOCATION/OPERATION or PART/CHECK")
	list := flags.String("parts", "", "run the parts in `LIST`, comma-separated; without it, all that there are for the access")
	flags.BoolVar(&o.json, "json", false, "print one JSON document instead of tables")
	flags.BoolVar(&o.verbose, "v", false, "print the output of servers and daemons to standard error")
	access := flags.String("access", "open", "what the upstream requires for reading: open, for nothing, or token")
	flags.BoolVar(&o.slow, "full", false, "also run the fault that can take six minutes")
	flags.IntVar(&o.load.requests, "load-requests", 1_000_000, "load: send at least `N` requests")
	flags.DurationVar(&o.load.atLeast, "load-time", time.Minute, "load: send requests for at least `DURATION`")
	flags.DurationVar(&o.load.atMost, "load-limit", 9*time.Minute, "load: fail after `DURATION`")
	flags.IntVar(&o.load.clients, "load-clients", 64, "load: use `N` concurrent clients")
	flags.IntVar(&o.load.processes, "load-processes", 4, "load: run `N` processes of the function")
	if err := cli.Parse(flags, args, help, stdout); err != nil {
		return nil, err
	}
	var err error
	if o.only, err = regexp.Compile(*only); err != nil {
		return nil, cli.Usagef("-only %q: not a regular expression: %v", *only, err)
	}
	if o.token = *access == "token"; !o.token && *access != "open" {
		return nil, cli.Usagef("-access %q: want open or token", *access)
	}
	for _, x := range []struct {
		flag string
		n    int
	}{{"-load-requests", o.load.requests}, {"-load-clients", o.load.clients}, {"-load-processes", o.load.processes}} {
		if x.n < 1 {
			return nil, cli.Usagef("%s %d: must be at least 1", x.flag, x.n)
		}
	}
	if o.load.atMost <= o.load.atLeast {
		return nil, cli.Usagef("-load-limit %s: must be longer than -load-time %s", o.load.atMost, o.load.atLeast)
	}
	o.parts = parts
	if o.token {
		o.parts = tokenParts
	}
	if *list != "" {
		o.parts = strings.Split(*list, ",")
	}
	for _, p := range o.parts {
		if !slices.Contains(parts, p) {
			return nil, cli.Usagef("-parts %q: unknown part %q%s: use some of %s", *list, p, spelling.DidYouMean(p, slices.Values(parts)), strings.Join(parts, ","))
		}
		if o.token && !slices.Contains(tokenParts, p) {
			return nil, cli.Usagef("-access token -parts %s: want some of %s, the parts for such an upstream", *list, strings.Join(tokenParts, ","))
		}
	}
	return o, nil
}

// selects reports whether -only matches the names, joined with slashes.
func (o *options) selects(names ...string) bool {
	return o.only.MatchString(strings.Join(names, "/"))
}
