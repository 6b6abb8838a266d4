package mirror

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"archeio/infra/stage"
	"archeio/lambda/blobs"
	"archeio/lambda/config"
	"archeio/scripts/archeio/cli"
)

// stageFlag is a stage that flags may name, with its buckets, its state and the
// settings of its redirectors.
type stageFlag struct {
	flags *cli.Stage
	read  *stage.Stage   // nil for none
	conf  *config.Config // of its redirectors, nil for none
}

// stageFlags adds -stage and -file to a command that has -bucket and -state.
func (o *options) stageFlags(c *cobra.Command) *stageFlag {
	return &stageFlag{flags: cli.StageFlags(c)}
}

// runStage is run with what the stage has, if a flag names one.
func (o *options) runStage(c *cobra.Command, s *stageFlag, do func(context.Context, *mirrors) (output, error)) error {
	if err := s.flags.Optional(c); err != nil {
		return err
	}
	if s.flags.Name != "" {
		if err := cli.NoEffect(c, "with -stage", "bucket", "state", "source", "repositories"); err != nil {
			return err
		}
		if err := s.load(); err != nil {
			return err
		}
		o.state = "s3://" + s.read.StateBucket() + "@" + s.read.Home
		if o.needsSource {
			o.source = s.read.Source()
			if s.read.Filler != nil {
				o.patterns = s.read.Filler.Repositories
			}
		}
		o.buckets = nil
		if !o.noBuckets {
			o.buckets = s.buckets()
		}
	}
	return o.run(c, do)
}

func (s *stageFlag) load() (err error) {
	if s.read, err = s.flags.Read(); err != nil {
		return err
	}
	s.conf, err = s.read.Config(s.read.Redirectors[0])
	return err
}

// buckets returns those of all mirrors of the stage, the primary first. Clients may
// still be sent to retiring ones.
func (s *stageFlag) buckets() []string {
	all := []string{s.read.Bucket(s.read.Primary) + "@" + s.read.Primary}
	for _, region := range s.read.Mirrors {
		if region != s.read.Primary {
			all = append(all, s.read.Bucket(region)+"@"+region)
		}
	}
	return all
}

// index returns how often redirectors refresh the blob index, 0 for never, and its
// maximum age: those of the stage, or the defaults.
func (s *stageFlag) index() (refresh, maxAge time.Duration) {
	if s.conf != nil {
		return s.conf.IndexRefresh, s.conf.IndexMaxAge
	}
	for _, v := range config.Variables {
		switch v.Name {
		case "MIRROR_INDEX_REFRESH":
			refresh, _ = time.ParseDuration(v.Default)
		case "MIRROR_INDEX_MAX_AGE":
			maxAge, _ = time.ParseDuration(v.Default)
		}
	}
	return refresh, maxAge
}

// staleFor returns how long redirectors may send clients to a mirror for a blob that was
// removed from it and from its index: as long as they cache the response of the mirror,
// or use an index that they cannot refresh.
func (s *stageFlag) staleFor() time.Duration {
	refresh, maxAge := s.index()
	if refresh == 0 {
		return blobs.PresentFor
	}
	return max(maxAge, blobs.PresentFor)
}

// settings explains staleFor.
func (s *stageFlag) settings() string {
	refresh, maxAge := s.index()
	of := "the defaults; pass -stage for those of a stage"
	if s.read != nil {
		of = fmt.Sprintf("those of stage %q", s.read.Name)
	}
	if refresh == 0 {
		return fmt.Sprintf("no blob index, and responses of mirrors are cached for %s: %s", cli.Duration(blobs.PresentFor), of)
	}
	return fmt.Sprintf("usually %s; those that cannot refresh the index use it for %s: %s", cli.Duration(max(2*refresh, blobs.PresentFor)), cli.Duration(maxAge), of)
}
