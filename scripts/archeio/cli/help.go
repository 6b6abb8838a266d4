package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// help prints the help of a command on its standard output: what it does, how it
// is called, its commands, its flags with one dash, and an example.
func help(c *cobra.Command, _ []string) {
	out := c.OutOrStdout()
	fmt.Fprintf(out, "%s\n\nUsage:\n", c.Long)
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(out, "  %s COMMAND [flags]\n\nCommands:\n", c.CommandPath())
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
		tree(t, c, "  ")
		t.Flush()
	} else {
		fmt.Fprintf(out, "  %s\n", c.UseLine())
	}
	if !c.HasAvailableSubCommands() {
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

// placeholder is the annotation of a flag that has the placeholder of its value.
const placeholder = "placeholder"

// splitUsage moves the placeholder of a flag, which is in back-quotes at the beginning
// of its usage, into an annotation. Completions show the usage as it is.
func splitUsage(f *pflag.Flag) {
	quoted, ok := strings.CutPrefix(f.Usage, "`")
	if value, usage, ends := strings.Cut(quoted, "` "); ok && ends {
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		f.Annotations[placeholder], f.Usage = []string{value}, usage
	}
}

// defaultOf returns the default of a flag as text.
func defaultOf(f *pflag.Flag) string {
	if d, err := time.ParseDuration(f.DefValue); err == nil && f.Value.Type() == "duration" {
		return Duration(d)
	}
	return f.DefValue
}

// Duration formats a duration without minutes and seconds at the end that are zero:
// 24h, not 24h0m0s.
func Duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// flags prints the flags of a command, unless it has none.
func flags(out io.Writer, c *cobra.Command) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	title := "\nFlags:\n"
	c.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		usage := f.Usage
		name := "-" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		for _, p := range f.Annotations[placeholder] {
			name += " " + p
		}
		switch value := defaultOf(f); value {
		case "", "0", "false", "[]", "0s":
		default:
			usage += " (default " + value + ")"
		}
		fmt.Fprintf(t, "%s  %s\t%s\n", title, name, usage)
		title = ""
	})
	t.Flush()
}
