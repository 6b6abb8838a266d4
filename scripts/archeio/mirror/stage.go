package mirror

import (
	"context"
	"fmt"
	"slices"
	"strings"
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

// filteredStageFlags is stageFlags for a command that mirrors what the stage does.
func (o *options) filteredStageFlags(c *cobra.Command) *stageFlag {
	o.stageFilter = true
	return o.stageFlags(c)
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
		if s.read.Filler != nil || o.needsState {
			o.state = stateOf(s.read)
		}
		if o.needsSource {
			o.source = s.read.Source()
			if s.read.Filler != nil {
				o.patterns = s.read.Filler.Repositories
			}
		}
		if o.stageFilter && s.read.Filler != nil {
			o.filterAs(c, s.read.Filler)
		}
		o.buckets = nil
		if !o.noBuckets {
			o.buckets = s.buckets()
		}
	} else if o.otherState != "" {
		for _, problem := range o.stagesWithOtherState(s.flags.File) {
			if o.needsStageState {
				return cli.Usagef("%s", problem)
			}
			fmt.Fprintf(c.ErrOrStderr(), "%s: warning: %s\n", c.CommandPath(), problem)
		}
	}
	return o.run(c, do)
}

// stateOf returns the value of -state for the state of a stage.
func stateOf(s *stage.Stage) string { return "s3://" + s.StateBucket() + "@" + s.Home }

// filterAs sets the filter to that of a stage, unless flags have another one.
func (o *options) filterAs(c *cobra.Command, f *stage.Filler) {
	for name, list := range map[string]struct{ flag, stage *[]string }{
		"tags": {&o.tags, &f.Tags}, "exclude-tags": {&o.excludeTags, &f.ExcludeTags}, "platforms": {&o.platforms, &f.Platforms},
	} {
		if !c.Flags().Changed(name) {
			*list.flag = *list.stage
		}
	}
	if !c.Flags().Changed("referrers") {
		o.referrers = f.Referrers
	}
	o.allowEmpty = o.allowEmpty || f.AllowEmpty
}

// stagesWithOtherState returns a sentence for each stage in a file that a bucket is a mirror
// of, if the state is not that of the stage: it has the list of withdrawn blobs, and of
// those that are being pruned.
func (o *options) stagesWithOtherState(file string) (problems []string) {
	names, _ := stage.Names(file) // without a file there is no stage to check
	for _, name := range names {
		s, err := stage.Read(file, name)
		if err != nil || s.Filler == nil || s.StateBucket() == stateBucket(o.state) {
			continue
		}
		for _, region := range s.Mirrors {
			if bucket := s.Bucket(region); slices.ContainsFunc(o.buckets, func(b string) bool { return b == bucket || strings.HasPrefix(b, bucket+"@") }) {
				problems = append(problems, fmt.Sprintf("bucket %q is a mirror of stage %q: without its state, %s: pass -stage %s, or -state %s", bucket, name, o.otherState, name, stateOf(s)))
				break
			}
		}
	}
	return problems
}

// stateBucket returns the name of the bucket in a value of -state, empty for a folder.
func stateBucket(state string) string {
	place, isBucket := strings.CutPrefix(state, "s3://")
	if !isBucket {
		return ""
	}
	name, _, _ := strings.Cut(strings.TrimSuffix(place, "/"), "@")
	return name
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

// mayRelay reports whether redirectors may relay manifests. Without a stage they may.
func (s *stageFlag) mayRelay() bool { return s.read == nil || s.read.Relays() }

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

// settings explains staleFor in a sentence.
func (s *stageFlag) settings() string {
	refresh, maxAge := s.index()
	of := "with the default settings; pass -stage to use those of a stage"
	if s.read != nil {
		of = fmt.Sprintf("with the settings of stage %q", s.read.Name)
	}
	if refresh == 0 {
		return fmt.Sprintf("They have no blob index, and cache responses of mirrors for %s (%s).", cli.Duration(blobs.PresentFor), of)
	}
	return fmt.Sprintf("Most stop within %s; one that cannot refresh its index may continue for %s (%s).", cli.Duration(max(2*refresh, blobs.PresentFor)), cli.Duration(maxAge), of)
}
