// Command archeio is the operator's program: it explains where a client is sent,
// fills and checks the mirrors, and looks at a deployment before and after it is
// made.
//
//	go run ./scripts/archeio
//	go run ./scripts/archeio explain -stage sandbox -ip 35.180.1.1 pause:3.9
package main

import (
	"os"

	"github.com/spf13/cobra"

	"archeio/scripts/archeio/adopt"
	"archeio/scripts/archeio/capacity"
	"archeio/scripts/archeio/cli"
	"archeio/scripts/archeio/destroy"
	"archeio/scripts/archeio/explain"
	"archeio/scripts/archeio/hosts"
	"archeio/scripts/archeio/mirror"
	"archeio/scripts/archeio/preflight"
	"archeio/scripts/archeio/ranges"
	"archeio/scripts/archeio/report"
	"archeio/scripts/archeio/verify"
	"archeio/scripts/archeio/version"
	"archeio/scripts/archeio/worldmap"
)

func main() { os.Exit(cli.Main(root())) }

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "archeio",
		Short: "operate a container registry redirector on AWS",
		Long: "archeio explains where a registry client is sent, fills the mirrors, and checks\n" +
			"a deployment before and after it is made.",
		Example: cli.Example(
			"archeio explain -stage sandbox -ip 35.180.1.1 pause:3.9",
			"archeio preflight -stage sandbox"),
	}
	c.AddCommand(
		explain.Command(),
		hosts.Command(),
		worldmap.Command(),
		capacity.Command(),
		preflight.Command(),
		verify.Command(),
		adopt.Command(),
		destroy.Command(),
		report.Command(),
		mirror.Command(),
		ranges.Command(),
		version.Command(),
	)
	return c
}
