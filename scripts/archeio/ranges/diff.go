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
		Long: "Shows how many addresses appear, vanish and move between two tables, by cloud and\n" +
			"region, the largest changes, and with -stage which addresses get another mirror\n" +
			"there. OLD is \"embedded\" by default.\n" + tables,
		Example: cli.Example(
			"archeio ranges diff ranges/table.bin",
			"archeio ranges diff -stage production yesterday.bin today.bin"),
		Args: oneOrTwo,
	}
	s := cli.StageFlags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, with every prefix")
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := s.Optional(c); err != nil {
			return err
		}
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
		report := compile.Compare(before, after)
		if err := inStage(&report, s); err != nil {
			return err
		}
		return print(c.OutOrStdout(), report, asJSON)
	}
	return c
}

// inStage adds what changes in the stage that the flags name, if they name one.
func inStage(report *compile.Report, s *cli.Stage) error {
	if s.Name == "" {
		return nil
	}
	read, err := s.Read()
	if err != nil {
		return err
	}
	first, err := firstIn(read)
	if err != nil {
		return err
	}
	report.InStage(read.Name, first)
	return nil
}

func oneOrTwo(c *cobra.Command, args []string) error {
	switch len(args) {
	case 0:
		return cli.OneArg("NEW: a table")(c, args)
	case 1, 2:
		return nil
	}
	return cli.NoArgs(c, args[2:])
}
