package cli

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// help prints the help of a command on its standard output: what it does, how it
// is called, its commands, its flags with one dash, and an example.
func help(c *cobra.Command, _ []string) {
	out := c.OutOrStdout()
	text := c.Long
	if text == "" {
		text = c.Short + "."
	}
	fmt.Fprintf(out, "%s\n\nUsage:\n", text)
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(out, "  %s COMMAND [flags]\n\nCommands:\n", c.CommandPath())
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		tree(t, c, "  ")
		t.Flush()
	} else {
		fmt.Fprintf(out, "  %s\n", c.UseLine())
	}
	if c.HasAvailableFlags() && !c.HasAvailableSubCommands() {
		fmt.Fprintf(out, "\nFlags:\n")
		flags(out, c)
	}
	if c.Example != "" {
		fmt.Fprintf(out, "\nExample:\n%s\n", c.Example)
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(out, "\nHelp for a command: %s COMMAND -h\n", c.CommandPath())
	}
	if !c.HasParent() {
		fmt.Fprintf(out, "Exit codes: %d done, %d a problem was found, %d wrong usage, %d interrupted\n",
			ExitDone, ExitProblem, ExitUsage, ExitInterrupted)
	}
}

// tree prints the commands below c, those of a group indented under it.
func tree(w io.Writer, c *cobra.Command, indent string) {
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() || sub.Name() == "help" {
			continue
		}
		fmt.Fprintf(w, "%s%s\t%s\n", indent, sub.Name(), sub.Short)
		if sub.Name() != "completion" {
			tree(w, sub, indent+"  ")
		}
	}
}

func flags(out io.Writer, c *cobra.Command) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "-" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if value != "" {
			name += " " + value
		}
		switch f.DefValue {
		case "", "0", "false", "[]", "0s":
		default:
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(t, "  %s\t%s\n", name, usage)
	})
	t.Flush()
}
