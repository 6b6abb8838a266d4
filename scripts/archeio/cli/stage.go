package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"archeio/infra/stage"
)

// Stage is a stage that flags name.
type Stage struct{ Name, File string }

// StageFlags adds -stage and -file to a command.
func StageFlags(c *cobra.Command) *Stage {
	s := &Stage{}
	c.Flags().StringVar(&s.Name, "stage", "", "`NAME` stage in the file")
	c.Flags().StringVar(&s.File, "file", "cdk.json", "`FILE` file with the stages")
	complete := func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
		names, _ := stage.Names(s.File) // nothing is completed if there is an error
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	if err := c.RegisterFlagCompletionFunc("stage", complete); err != nil {
		panic(err) // there is no such flag
	}
	return s
}

// Read reads the stage. It is wrong usage to name none or an unknown one, or a file
// that cannot be read; a stage that is invalid is a problem.
func (s *Stage) Read() (*stage.Stage, error) {
	if s.Name == "" {
		return nil, Usagef("missing -stage NAME")
	}
	return s.ReadOther(s.Name)
}

// Optional returns an error if the file is named for no stage, which is not required.
func (s *Stage) Optional(c *cobra.Command) error {
	if s.Name != "" {
		return nil
	}
	return NoEffect(c, "without -stage", "file")
}

// ReadOther reads another stage of the same file.
func (s *Stage) ReadOther(name string) (*stage.Stage, error) {
	read, err := stage.Read(s.File, name)
	if invalid := (*stage.InvalidError)(nil); errors.As(err, &invalid) {
		return nil, err
	}
	return read, Usage(err)
}
