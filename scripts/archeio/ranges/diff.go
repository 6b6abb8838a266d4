package ranges

import (
	"github.com/spf13/cobra"

	"archeio/ranges/compile"
	"archeio/scripts/archeio/cli"
)

func diffCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "diff [flags] [OLD] NEW",
		Short: "show which addresses move between two tables",
		Long: "Compares two tables by the place of each address. A table is a file, or\n" +
			`"embedded" for the one in this program, which is also the default of OLD.`,
		Example: cli.Example(
			"archeio ranges diff ranges/table.bin",
			"archeio ranges diff -json yesterday.bin today.bin"),
		Args: oneOrTwo,
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 1 {
			args = []string{embedded, args[0]}
		}
		before, err := read(c.Context(), args[0])
		if err != nil {
			return err
		}
		after, err := read(c.Context(), args[1])
		if err != nil {
			return err
		}
		return print(c.OutOrStdout(), compile.Compare(before, after), asJSON)
	}
	return c
}

func oneOrTwo(c *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return cli.OneArg("NEW: the file of a table")(c, args)
	case 1, 2:
		return nil
	}
	return cli.NoArgs(c, args[2:])
}
