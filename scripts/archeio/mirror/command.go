// Package mirror is the command archeio mirror: it shows what the mirrors are
// missing, copies it from a registry, verifies what is stored, and withdraws
// blobs. The functions that fill the mirrors use the same engine.
package mirror

import (
	"context"

	"github.com/spf13/cobra"

	"archeio/lambda/copier"
	"archeio/scripts/archeio/cli"
)

// Command returns the command.
func Command() *cobra.Command {
	c := &cobra.Command{
		Use:   "mirror",
		Short: "copy blobs to the mirrors and check them",
		Long: "Copies the blobs of a registry to the buckets of the mirrors, and checks what is\n" +
			"stored there. The first -bucket is the primary: every blob is written there first.\n" +
			"Credentials, region and endpoint of S3 are those of the AWS SDK, logins to the\n" +
			"registry those of the Docker configuration.",
		Example: cli.Example(
			"archeio mirror plan -source us-docker.pkg.dev/example-project/images -bucket my-primary@us-east-1",
			"archeio mirror verify -bucket my-primary@us-east-1 -sample 5%"),
	}
	c.AddCommand(planCommand(), copyCommand(), statusCommand(), whereCommand(), verifyCommand(), withdrawCommand(), pruneCommand())
	return c
}

// sourceUsage is how a command with a source and buckets is called.
const sourceUsage = " [flags] -source REGISTRY[/PREFIX] -bucket NAME[@REGION] ..."

// stageUsage is how such a command is called with a stage instead.
func stageUsage(command string) string {
	return "\n  archeio mirror " + command + " [flags] -stage NAME"
}

func planCommand() *cobra.Command {
	var o options
	var f fillOptions
	var s *stageFlag
	c := &cobra.Command{
		Use:   "plan" + sourceUsage + stageUsage("plan"),
		Short: "show what would be copied, how long it takes and what it costs",
		Long: "Shows what copy would copy: how much to each mirror, and of which images; and how long\n" +
			"the functions of a stage take for it by what limits them, and what it costs once. It\n" +
			"reads manifests only and changes nothing but the state. With -images, -blobs and\n" +
			"-bytes it reads nothing. The exit code is 1 if something could not be read.",
		Example: cli.Example("archeio mirror plan -source us-docker.pkg.dev/example-project/images -bucket my-primary@us-east-1 -bucket my-replica@eu-central-1",
			"archeio mirror plan -images 300000 -blobs 1000000 -bytes 33T -bucket a@us-east-1 -bucket b@eu-central-1 -fill-workers 20"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if f.assumed() {
				return o.assume(c, &f)
			}
			return o.runStage(c, s, func(ctx context.Context, m *mirrors) (output, error) {
				if s.read != nil && s.read.Filler != nil {
					f.limitAs(c, s.read.Filler)
				}
				return showPlan(ctx, m, &f)
			})
		},
	}
	o.planFlags(c)
	s = o.filteredStageFlags(c)
	f.flags(c)
	o.jsonFlag(c)
	return c
}

func copyCommand() *cobra.Command {
	var o options
	var dryRun, index, fewer bool
	var s *stageFlag
	c := &cobra.Command{
		Use:   "copy" + sourceUsage + stageUsage("copy"),
		Short: "copy missing blobs",
		Long: "Copies the blobs that the mirrors are missing, to the primary first. A copy that is\n" +
			"interrupted continues when it is run again. The list of withdrawn blobs, which are\n" +
			"not copied, is in the state: for the mirrors of a stage, pass -stage or the -state of\n" +
			"the stage. The exit code is 1 if something is still missing at the end.",
		Example: cli.Example(
			"archeio mirror copy -stage production",
			"archeio mirror copy -source us-docker.pkg.dev/example-project/images -bucket my-primary@us-east-1 -bucket my-replica@eu-central-1 -state s3://my-state",
			"archeio mirror copy -source registry.example.com -bucket my-primary -rate 50 -bandwidth 20M"),
		RunE: func(c *cobra.Command, _ []string) error {
			if !index {
				if err := cli.NoEffect(c, "without -index", "fewer-mirrors"); err != nil {
					return err
				}
			}
			if dryRun {
				if err := cli.NoEffect(c, "with -dry-run", "index", "bandwidth"); err != nil {
					return err
				}
			}
			if !dryRun {
				o.otherState = "withdrawn blobs are copied again"
			}
			return o.runStage(c, s, func(ctx context.Context, m *mirrors) (output, error) {
				if dryRun {
					return showPlan(ctx, m, nil)
				}
				if !index {
					return m.copy(ctx, nil)
				}
				return m.copy(ctx, &copier.IndexOptions{AllowFewer: fewer})
			})
		},
	}
	o.planFlags(c)
	s = o.filteredStageFlags(c)
	o.bandwidthFlag(c)
	f := c.Flags()
	f.BoolVar(&dryRun, "dry-run", false, "show what would be copied, as plan does")
	f.BoolVar(&index, "index", false, "write the index of the blobs that all mirrors have; requires every mirror of the stage as -bucket")
	f.BoolVar(&fewer, "fewer-mirrors", false, "let -index replace an index that covers more mirrors than the -bucket flags name")
	o.jsonFlag(c)
	return c
}

func statusCommand() *cobra.Command {
	var o options
	var missing bool
	var s *stageFlag
	c := &cobra.Command{
		Use:   "status" + sourceUsage + stageUsage("status"),
		Short: "show what each mirror has and is missing",
		Long: "Shows how many blobs of the source each mirror has and is missing, and which blobs\n" +
			"the functions could not copy. A mirror is full if it has everything that the source\n" +
			"has and that may be mirrored; what the source names and does not have is listed.\n" +
			"Withdrawn blobs that a mirror still has are removed. The exit code is 1 if a mirror is\n" +
			"not full, unless the source is empty.",
		Example: cli.Example("archeio mirror status -stage production",
			"archeio mirror status -source us-docker.pkg.dev/example-project/images -bucket my-primary@us-east-1 -state s3://my-state"),
		RunE: func(c *cobra.Command, _ []string) error {
			return o.runStage(c, s, func(ctx context.Context, m *mirrors) (output, error) { return m.status(ctx, missing) })
		},
	}
	o.planFlags(c)
	s = o.filteredStageFlags(c)
	c.Flags().BoolVar(&missing, "missing", false, "list the blobs that mirrors are missing")
	o.jsonFlag(c)
	return c
}

func verifyCommand() *cobra.Command {
	var o options
	var v verifying
	c := &cobra.Command{
		Use:   "verify [flags] -bucket NAME[@REGION] ... [DIGEST ...]\n  archeio mirror verify [flags] -stage NAME [DIGEST ...]",
		Short: "re-hash stored blobs",
		Long: "Reads stored blobs, all or those of some digests, and compares their hashes with\n" +
			"their digests. With -replace, -source or -stage is required, and blobs that do not\n" +
			"match are replaced from the source. With -distribution, CloudFront invalidates what\n" +
			"was replaced; otherwise it may serve the old content for a year. The exit code is 1\n" +
			"if a blob does not match and was not replaced, or if no mirror has a DIGEST.",
		Example: cli.Example(
			"archeio mirror verify -stage production sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
			"archeio mirror verify -bucket my-primary@us-east-1 -bucket my-replica@eu-central-1 -sample 5%",
			"archeio mirror verify -bucket my-primary@us-east-1 -source us-docker.pkg.dev/example-project/images \\\n"+
				"    -replace -distribution E1EXAMPLE"),
		Args: cobra.ArbitraryArgs,
	}
	o.planFlags(c)
	o.bandwidthFlag(c)
	stage := o.filteredStageFlags(c)
	f := c.Flags()
	f.Var(&v.sample, "sample", "`SHARE` random share of the blobs to hash, as 5% or 0.05 (default: all)")
	f.BoolVar(&v.replace, "replace", false, "replace blobs that do not match by those of the source")
	f.StringVar(&v.distribution, "distribution", "", "`ID` CloudFront distribution to invalidate replaced blobs in")
	o.jsonFlag(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if err := v.parse(args); err != nil {
			return err
		}
		o.needsSource = v.replace
		if !v.replace {
			if err := cli.NoEffect(c, "without -replace", "source", "distribution", "repositories", "tags", "exclude-tags",
				"platforms", "allow-empty", "referrers", "state", "rate"); err != nil {
				return err
			}
		}
		if len(v.digests) > 0 {
			if err := cli.NoEffect(c, "with a DIGEST", "sample"); err != nil {
				return err
			}
		}
		return o.runStage(c, stage, v.run)
	}
	return c
}
