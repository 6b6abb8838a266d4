// Package ranges is the command archeio ranges: it compiles, compares and shows
// the table of the clouds' IP ranges.
package ranges

import (
	"context"

	"github.com/spf13/cobra"

	"archeio/ranges"
	"archeio/ranges/compile"
	"archeio/scripts/archeio/cli"
)

// Command returns the command.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use:   "ranges",
		Short: "compile, compare and show the IP ranges of the clouds",
		Long: "Works on the table that maps an IP address to a cloud and region. The redirector\n" +
			"and this program have it built in; in the repository it is ranges/table.bin.",
		Example: cli.Example("archeio ranges show -ip 35.180.1.1"),
	}
	c.AddCommand(compileCommand(), diffCommand(), showCommand(), refreshCommand(invoke), approveCommand(invoke), rollbackCommand(invoke))
	return c
}

// embedded names the table that is built into this program.
const embedded = "embedded"

// tables is what an argument may name, for help.
const tables = `A table is a file, an https URL, or "embedded" for the one in this program.`

// read returns the table that an argument names.
func read(ctx context.Context, name string) (ranges.Table, error) {
	if name == embedded {
		return ranges.Embedded(), ranges.Check()
	}
	table, err := compile.ReadTable(ctx, nil, name)
	return table, cli.ReadError(err)
}
