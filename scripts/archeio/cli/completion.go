package cli

import (
	"io"
	"slices"

	"github.com/spf13/cobra"
)

// completion returns the command that prints completion scripts.
func completion() *cobra.Command {
	group := &cobra.Command{
		Use:   "completion",
		Short: "print a completion script for a shell",
		Long: "Prints a script that makes a shell complete commands, flags and the names of\n" +
			"stages. The program must be in PATH as archeio.",
		Example: Example("source <(archeio completion bash)"),
	}
	for _, shell := range []struct {
		name, example string
		write         func(root *cobra.Command, out io.Writer, descriptions bool) error
	}{
		{"bash", "source <(archeio completion bash)", (*cobra.Command).GenBashCompletionV2},
		{"zsh", `archeio completion zsh > "${fpath[1]}/_archeio"`, func(root *cobra.Command, out io.Writer, descriptions bool) error {
			if !descriptions {
				return root.GenZshCompletionNoDesc(out)
			}
			return root.GenZshCompletion(out)
		}},
		{"fish", "archeio completion fish > ~/.config/fish/completions/archeio.fish", (*cobra.Command).GenFishCompletion},
		{"powershell", "archeio completion powershell | Out-String | Invoke-Expression", func(root *cobra.Command, out io.Writer, descriptions bool) error {
			if !descriptions {
				return root.GenPowerShellCompletion(out)
			}
			return root.GenPowerShellCompletionWithDesc(out)
		}},
	} {
		var plain bool
		c := &cobra.Command{
			Use:     shell.name + " [flags]",
			Short:   "print the script for " + shell.name,
			Long:    "Prints the completion script for " + shell.name + ".",
			Example: Example(shell.example),
			RunE: func(c *cobra.Command, _ []string) error {
				return shell.write(c.Root(), c.OutOrStdout(), !plain)
			},
		}
		c.Flags().BoolVar(&plain, "no-descriptions", false, "complete without descriptions")
		group.AddCommand(c)
	}
	return group
}

// helpCommand returns the command that prints the help of the command that its
// arguments name.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "print the help of a command",
		Long:    "Prints the help of a command, or without COMMAND the list of all commands.",
		Example: Example("archeio help explain"),
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			topic := c.Root()
			for _, name := range args {
				i := slices.IndexFunc(topic.Commands(), func(sub *cobra.Command) bool { return sub.Name() == name })
				if i < 0 {
					return unknownCommand(topic, name)
				}
				topic = topic.Commands()[i]
			}
			return topic.Help()
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
			topic, _, err := c.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			for _, sub := range topic.Commands() {
				if sub.IsAvailableCommand() {
					names = append(names, cobra.CompletionWithDesc(sub.Name(), sub.Short))
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
	}
}
