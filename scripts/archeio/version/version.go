// Package version is the command archeio version.
package version

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"archeio/scripts/archeio/cli"
)

// Commit is the commit that the program was built from. A release sets it by
// -ldflags "-X archeio/scripts/archeio/version.Commit=…"; empty, it is what the
// Go toolchain recorded.
var Commit string

// Command returns the command.
func Command() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:     "version [flags]",
		Short:   "print the commit that this program was built from",
		Long:    "Prints the commit that this program was built from, with the version of Go and the\nplatform.",
		Example: cli.Example("archeio version -json"),
		RunE: func(c *cobra.Command, _ []string) error {
			v := current()
			if asJSON {
				return cli.JSON(c.OutOrStdout(), v)
			}
			_, err := fmt.Fprintf(c.OutOrStdout(), "archeio %s %s %s\n", v.Commit, v.Go, v.Platform)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

type version struct {
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func current() version {
	v := version{Commit: Commit, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if v.Commit != "" {
		return v
	}
	v.Commit = "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				v.Commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				v.Commit += " (modified)"
			}
		}
	}
	return v
}
