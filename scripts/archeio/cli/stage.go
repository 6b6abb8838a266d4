package cli

import (
	"github.com/spf13/cobra"

	"archeio/infra/stage"
)

// Stage is a stage that flags name.
type Stage struct{ Name, File string }

// StageFlags adds -stage and -file to a command.
func StageFlags(c *cobra.Command) *Stage {
	s := &Stage{}
	c.Flags().StringVar(&s.Name, "stage", "", "`NAME` of a stage in the file")
	c.Flags().StringVar(&s.File, "file", "cdk.json", "`FILE` with the stages")
	return s
}

// Read reads the stage. It is wrong usage to name none, or one that is not there.
func (s *Stage) Read() (*stage.Stage, error) {
	if s.Name == "" {
		return nil, Usagef("missing -stage NAME")
	}
	read, err := stage.Read(s.File, s.Name)
	return read, Usage(err)
}
