package mirror

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/spf13/cobra"

	"archeio/lambda/copier"
	"archeio/lambda/registry"
	"archeio/lambda/spelling"
	"archeio/ranges"
	"archeio/ranges/regions"
	"archeio/scripts/archeio/cli"
)

// options are the values of flags that several commands have, and what a command
// requires.
type options struct {
	buckets                      []string
	source, repositories         string
	patterns                     []string // of repositories, of a stage
	tags, excludeTags, platforms []string
	state                        string
	noState                      bool // -state is set and empty
	rate                         float64
	bandwidth                    bandwidth
	parallel                     int
	referrers, allowEmpty        bool
	asJSON                       bool

	needsSource, needsState, noBuckets bool
	// stageFilter applies the filter of a stage too.
	stageFilter bool
	// otherState is what happens to the mirrors of a stage with another state than that of
	// the stage, empty for nothing. It is a warning, or an error with needsStageState.
	otherState      string
	needsStageState bool
}

func (o *options) bucketFlag(c *cobra.Command) {
	c.Flags().StringArrayVar(&o.buckets, "bucket", nil, "`NAME[@REGION]` bucket of a mirror; repeat it for each mirror, the primary first")
}

func (o *options) stateFlag(c *cobra.Command) {
	usage := "`STATE` folder or s3://BUCKET[@REGION] for the manifest cache, unfinished uploads and the list of withdrawn blobs"
	if o.needsSource {
		usage += " (default: a folder for the source in the user's cache folder)"
	}
	c.Flags().StringVar(&o.state, "state", "", usage)
}

func (o *options) bandwidthFlag(c *cobra.Command) {
	c.Flags().Var(&o.bandwidth, "bandwidth", "`BYTES` maximum number of blob bytes to read per second, for example 20M (default: no limit)")
}

func (o *options) jsonFlag(c *cobra.Command) {
	c.Flags().BoolVar(&o.asJSON, "json", false, "print JSON")
}

// planFlags adds the flags of a command that reads the source.
func (o *options) planFlags(c *cobra.Command) {
	o.needsSource = true
	f := c.Flags()
	f.StringVar(&o.source, "source", "", "`REGISTRY[/PREFIX]` registry to copy from; only repositories below the prefix are read")
	o.bucketFlag(c)
	f.StringVar(&o.repositories, "repositories", "", "`FILE` file with names or patterns of repositories below the prefix, one per line (default: all that the registry lists)")
	f.StringArrayVar(&o.tags, "tags", nil, "`PATTERN` tags to mirror, as v1.*; repeat it for more (default: all)")
	f.StringArrayVar(&o.excludeTags, "exclude-tags", nil, "`PATTERN` tags not to mirror; repeat it for more")
	f.StringArrayVar(&o.platforms, "platforms", nil, "`PATTERN` platforms to mirror, as linux/amd64 or linux/*; repeat it for more (default: all)")
	f.BoolVar(&o.allowEmpty, "allow-empty", false, "accept a source that does not exist yet")
	o.stateFlag(c)
	f.Float64Var(&o.rate, "rate", 0, "`N` maximum number of requests per second to the registry (default: no limit)")
	f.IntVar(&o.parallel, "parallel", 8, "`N` blobs to work on at the same time, and eight times as many images")
	f.BoolVar(&o.referrers, "referrers", true, "look for referrers, such as signatures: one request for each manifest, unless the registry lists them")
}

// check validates the flags of the command c.
func (o *options) check(c *cobra.Command) error {
	switch {
	case len(o.buckets) == 0 && !o.noBuckets:
		return cli.Usagef("missing -bucket NAME[@REGION]")
	case o.needsSource && o.source == "":
		return cli.Usagef("missing -source REGISTRY[/PREFIX]")
	case o.needsState && o.state == "":
		return cli.Usagef("missing -state STATE, where withdrawn digests are listed")
	case c.Flags().Lookup("parallel") != nil && o.parallel < 1:
		return cli.Usagef("-parallel %d: want a number from 1 on", o.parallel)
	case !(o.rate >= 0): // also rejects NaN
		return cli.Usagef("-rate %g: want a number of requests per second, or 0 for no limit", o.rate)
	}
	return nil
}

// run opens what the flags name, does what a command does with it, and prints the
// result.
func (o *options) run(c *cobra.Command, do func(context.Context, *mirrors) (output, error)) error {
	if err := o.check(c); err != nil {
		return err
	}
	o.noState = c.Flags().Changed("state") && o.state == ""
	ctx := c.Context()
	p := newProgress(c.ErrOrStderr(), c.CommandPath())
	defer p.clear()
	m, err := o.open(ctx, p)
	if err != nil {
		return err
	}
	out, err := do(ctx, m)
	p.clear()
	if err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(c.ErrOrStderr(), "what was done stays; run it again to continue")
		}
		return err
	}
	switch large, ok := out.(jsonOutput); {
	case o.asJSON && ok:
		err = large.writeJSON(c.OutOrStdout())
	case o.asJSON:
		err = cli.JSON(c.OutOrStdout(), out)
	default:
		err = out.writeText(c.OutOrStdout())
	}
	if err == nil && !out.complete() {
		err = cli.ErrProblem
	}
	return err
}

// assume prints the first fill of a source that is not read.
func (o *options) assume(c *cobra.Command, f *fillOptions) error {
	if len(o.buckets) == 0 {
		return cli.Usagef("missing -bucket NAME[@REGION]")
	}
	if err := cli.NoEffect(c, "with -images", "stage", "source", "repositories", "tags", "exclude-tags", "platforms", "allow-empty", "state", "rate", "parallel"); err != nil {
		return err
	}
	var missing []missingIn
	for _, b := range o.buckets {
		_, region, _ := strings.Cut(b, "@")
		missing = append(missing, missingIn{region: region, blobs: f.blobs, bytes: int64(f.bytes)})
	}
	r := newFillReport(f, f.images, o.referrers, missing)
	if o.asJSON {
		return cli.JSON(c.OutOrStdout(), r)
	}
	return r.writeText(c.OutOrStdout())
}

// open makes what the flags name, and reads the state.
func (o *options) open(ctx context.Context, p *progress) (*mirrors, error) {
	debug.SetGCPercent(copier.GCPercent)
	m := &mirrors{progress: p}
	m.options.Parallel, m.options.Images, m.options.Referrers = o.parallel, copier.ShellImages*o.parallel, o.referrers
	m.options.WithoutReferrersFor = copier.ShellWithoutReferrersFor
	m.options.Progress, m.options.Warn = p.show, p.note
	m.bandwidth = float64(o.bandwidth)
	var err error
	if m.aws, err = cli.LoadAWS(ctx, ""); err != nil {
		return nil, err
	}
	keepConnections(&m.aws)
	copier.NotifyOutages(&m.aws, p.note)
	m.aws.HTTPClient = &retryCounter{m.aws.HTTPClient, p.retried}
	for _, b := range o.buckets {
		name, client, err := m.bucket("-bucket", b, b)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(m.options.Buckets, func(other *copier.Bucket) bool { return other.Name == name }) {
			return nil, cli.Usagef("-bucket %q: duplicate bucket", b)
		}
		m.options.Buckets = append(m.options.Buckets, copier.NewBucket(name, client))
		m.regions = append(m.regions, client.Options().Region)
	}
	if o.source != "" {
		if m.options.Source, err = registry.New(o.source, registry.Options{Rate: o.rate, Bandwidth: m.bandwidth, Notify: p.note, Retried: p.retried}); err != nil {
			return nil, cli.Usage(err)
		}
		m.options.AllowEmpty = o.allowEmpty
		if m.options.Filter, err = o.filter(m.options.Source); err != nil {
			return nil, cli.Usage(err)
		}
	}
	if err := o.openState(m); err != nil {
		return nil, err
	}
	if m.options.Source != nil {
		m.options.TempDir = m.tempDir()
		m.options.Manifests = copier.NewShellCache(m.options.TempDir)
	}
	if err := cli.CheckCredentials(ctx, m.aws); err != nil {
		return nil, err
	}
	if m.state == nil {
		return m, nil
	}
	if m.options.Source != nil {
		if err := m.options.Manifests.LoadShell(ctx, m.state, p.note); err != nil {
			return nil, err
		}
	}
	m.options.State, m.options.KeepUploads = m.state, true
	m.options.Withdrawn, err = copier.LoadWithdrawn(ctx, m.state)
	return m, err
}

// openState makes the state that -state names, or the default one if there is a source.
func (o *options) openState(m *mirrors) error {
	place, isBucket := strings.CutPrefix(o.state, "s3://")
	switch {
	case isBucket:
		name, client, err := m.bucket("-state", o.state, strings.TrimSuffix(place, "/"))
		if err != nil {
			return err
		}
		m.state = copier.StateBucket{Name: name, Client: client}
	case o.state != "":
		m.state = copier.Folder(o.state)
	case m.options.Source != nil && !o.noState:
		folder, err := defaultState(m.options.Source)
		if err != nil {
			// The user has not asked for a state, and the command does without it.
			m.progress.note(fmt.Sprintf("nothing is cached for the next run: %v: set -state", err))
			return nil
		}
		m.state = copier.Folder(folder)
	}
	return nil
}

// bucket parses NAME[@REGION], which is all or the end of the value of a flag.
func (m *mirrors) bucket(flag, value, place string) (name string, client *s3.Client, err error) {
	name, region, _ := strings.Cut(place, "@")
	if name == "" || strings.ContainsAny(place, "/:") {
		return "", nil, cli.Usagef("%s %q: want the NAME or NAME@REGION of a bucket", flag, value)
	}
	if region == "" {
		region = m.aws.Region
	}
	if region == "" {
		return "", nil, cli.Usagef("%s %q: unknown region: write it as %s@eu-central-1, or set AWS_REGION", flag, value, name)
	}
	client = copier.NewS3Client(m.aws, region)
	// Another S3 than that of AWS may have any region.
	if _, known := regions.Find(string(ranges.AWS), region); !known && client.Options().BaseEndpoint == nil {
		var names []string
		for r := range regions.All(string(ranges.AWS)) {
			names = append(names, r.Name)
		}
		return "", nil, cli.Usagef("%s %q: unknown region %q%s", flag, value, region, spelling.DidYouMean(region, slices.Values(names)))
	}
	return name, client, nil
}

// filter returns what the flags limit the source to.
func (o *options) filter(source *registry.Client) (f copier.Filter, err error) {
	f = copier.Filter{Tags: o.tags, ExcludeTags: o.excludeTags, Platforms: o.platforms}
	if f.Repositories, err = o.listed(source); err == nil {
		err = f.Check()
	}
	return f, err
}

// listed returns the repositories in the file of -repositories, nil without one.
func (o *options) listed(source *registry.Client) ([]string, error) {
	if o.repositories == "" {
		var all []string
		for _, pattern := range o.patterns {
			all = append(all, source.Repository(pattern))
		}
		return all, nil
	}
	text, err := os.ReadFile(o.repositories)
	if err != nil {
		return nil, fmt.Errorf("reading -repositories: %w", err)
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			all = append(all, source.Repository(line))
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("reading -repositories: %q has no repository", o.repositories)
	}
	return all, nil
}
