package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/copier"
)

const usage = `Usage: go run ./lambda/mirror COMMAND [flags]

  plan      tell what would be copied: how much, and of which images
  copy      copy it
  status    tell what each mirror has and lacks of the source
  verify    hash what is in the buckets again; -replace puts right what is wrong
  withdraw  remove a blob everywhere, and never copy it again: withdraw DIGEST

Interrupted and started again, copy goes on where it was.

`

// command is a command line that was read.
type command struct {
	name    string
	options copier.Options
	state   copier.State // nil for none
	digest  string       // of withdraw

	source         string
	sourceOptions  copier.SourceOptions
	buckets        texts
	repositories   string
	statePlace     string
	distribution   string
	sample         share
	replace        bool
	dryRun, asJSON bool
	index          bool
	listOnly       bool

	aws            aws.Config
	stdout, stderr io.Writer
	show           *show
}

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string     { return strings.Join(*t, ",") }
func (t *texts) Set(v string) error { *t = append(*t, v); return nil }

// amount is a flag with a number of bytes, as 500k or 20M.
type amount float64

func (a *amount) String() string { return "" }
func (a *amount) Set(v string) error {
	digits := strings.TrimRight(v, "kMG")
	factor, known := map[string]float64{"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[v[len(digits):]]
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !(n > 0) || !known { // NaN is a number to ParseFloat
		return errors.New("takes bytes per second, as 500k, 20M or 1G")
	}
	*a = amount(n * factor)
	return nil
}

// share is a flag with a share, as 5% or 0.05.
type share float64

func (s *share) String() string { return "" }
func (s *share) Set(v string) error {
	digits, percent := strings.CutSuffix(v, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if percent {
		n /= 100
	}
	if err != nil || !(n > 0 && n <= 1) {
		return errors.New("takes a share, as 5% or 0.05")
	}
	*s = share(n)
	return nil
}

var commands = map[string]func(*command, context.Context) (complete bool, err error){
	"plan": (*command).plan, "copy": (*command).copy, "status": (*command).status,
	"verify": (*command).verify, "withdraw": (*command).withdraw,
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (complete bool, err error) {
	c := &command{stdout: stdout, stderr: stderr, show: newShow(stderr)}
	flags := c.flags()
	switch {
	case len(args) > 0 && commands[args[0]] != nil:
		c.name, args = args[0], args[1:]
	case len(args) > 0 && !slices.Contains([]string{"-h", "-help", "--help"}, args[0]):
		return false, fmt.Errorf("%q is no command; name one first: plan, copy, status, verify or withdraw; see -h", args[0])
	}
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) || err == nil && c.name == "" {
		fmt.Fprint(stderr, usage)
		flags.SetOutput(stderr)
		flags.PrintDefaults()
		return false, cmp.Or(err, errors.New("name a command: plan, copy, status, verify or withdraw"))
	} else if err != nil {
		return false, fmt.Errorf("%w; see -h", err)
	}
	if err := c.check(flags); err != nil {
		return false, err
	}
	if err := c.open(ctx); err != nil {
		return false, err
	}
	defer c.show.clear() // also before an error
	return commands[c.name](c, ctx)
}

func (c *command) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("mirror", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // an error is one line, and run says it
	flags.StringVar(&c.source, "source", "", "`REGISTRY[/PREFIX]` to copy from; only repositories below the prefix count")
	flags.Var(&c.buckets, "bucket", "`name[@region]` of a mirror's bucket; repeat it for several, the primary first")
	flags.StringVar(&c.repositories, "repositories", "", "`file` with repositories below the prefix, a line each, instead of all that the registry lists")
	flags.StringVar(&c.statePlace, "state", "", "`folder` or s3://BUCKET that keeps what manifests refer to, so that none is fetched twice, and what was withdrawn")
	flags.Float64Var(&c.sourceOptions.Rate, "rate", 0, "requests `per second` to the registry at most; 0 is no limit")
	flags.Var((*amount)(&c.sourceOptions.Bandwidth), "bandwidth", "`bytes` per second that are read at most, as 20M (default no limit)")
	flags.IntVar(&c.options.Parallel, "parallel", 8, "how many images and blobs are worked on at once")
	flags.BoolVar(&c.options.Referrers, "referrers", true, "look for what refers to each manifest, as signatures do: one request each, where the listing does not show it")
	flags.BoolVar(&c.dryRun, "dry-run", false, "copy: only tell what would be copied, as plan does")
	flags.Var(&c.sample, "sample", "verify: `share` of the blobs that is hashed, picked at random, as 5% (default all)")
	flags.BoolVar(&c.replace, "replace", false, "verify: replace what is wrong by what the source has")
	flags.StringVar(&c.distribution, "distribution", "", "withdraw: `ID` of the CloudFront distribution that is to forget the blob")
	flags.BoolVar(&c.index, "index", false, "copy: write the index of what all mirrors hold; the buckets must be all mirrors of the stage")
	flags.BoolVar(&c.listOnly, "list-only", false, "withdraw: only list the digest and take it out of the index; run it again after MIRROR_INDEX_MAX_AGE to remove the blob in order")
	flags.BoolVar(&c.asJSON, "json", false, "print one JSON object")
	return flags
}

// flagsOf are the flags that change what one command does. With another one they
// are refused: who withdraws with -dry-run does not want it done.
var flagsOf = map[string]string{"dry-run": "copy", "sample": "verify", "replace": "verify", "distribution": "withdraw", "index": "copy", "list-only": "withdraw"}

func (c *command) check(flags *flag.FlagSet) (err error) {
	args := flags.Args()
	flags.Visit(func(f *flag.Flag) {
		if of := flagsOf[f.Name]; of != "" && of != c.name {
			err = fmt.Errorf("-%s is a flag of %s, not of %s; see -h", f.Name, of, c.name)
		}
	})
	if err != nil {
		return err
	}
	needsSource := c.name != "withdraw" && (c.name != "verify" || c.replace)
	switch {
	case c.name == "withdraw" && len(args) == 1:
		c.digest = args[0]
	case c.name == "withdraw":
		return errors.New("withdraw takes one digest behind the flags; see -h")
	case len(args) > 0:
		return fmt.Errorf("there is %q behind the flags, %s takes nothing there; see -h", args[0], c.name)
	}
	switch {
	case len(c.buckets) == 0:
		return fmt.Errorf("%s takes at least one -bucket; see -h", c.name)
	case needsSource && c.source == "":
		return fmt.Errorf("%s takes -source; see -h", c.name)
	case c.name == "withdraw" && c.statePlace == "":
		return errors.New("withdraw takes -state, where the digest is listed so that it is not copied again; see -h")
	case c.options.Parallel < 1:
		return errors.New("-parallel takes a number from 1 on")
	case !(c.sourceOptions.Rate >= 0):
		return errors.New("-rate takes a number of requests per second; 0 is no limit")
	}
	return nil
}

// open makes what the flags name. Nothing is asked yet but what is kept.
func (c *command) open(ctx context.Context) (err error) {
	if c.aws, err = config.LoadDefaultConfig(ctx); err != nil {
		return fmt.Errorf("reading the AWS SDK's environment: %w", err)
	}
	for _, b := range c.buckets {
		name, client, err := c.bucket("-bucket", b, b)
		if err != nil {
			return err
		}
		c.options.Buckets = append(c.options.Buckets, copier.NewBucket(name, client))
	}
	if c.source != "" {
		if c.options.Source, err = copier.NewSource(c.source, c.sourceOptions); err != nil {
			return err
		}
		if c.options.Repositories, err = named(c.options.Source, c.repositories); err != nil {
			return err
		}
	}
	c.options.Progress = c.show.progress
	c.options.Memory = &copier.Memory{}
	if c.statePlace == "" {
		return nil
	}
	c.state = copier.Folder(c.statePlace)
	if place, isBucket := strings.CutPrefix(c.statePlace, "s3://"); isBucket {
		name, client, err := c.bucket("-state", c.statePlace, strings.TrimSuffix(place, "/"))
		if err != nil {
			return err
		}
		c.state = copier.StateBucket{Name: name, Client: client}
	}
	if c.options.Source != nil {
		if err := c.options.Memory.Load(ctx, c.state, copier.ShellMemory); err != nil {
			return err
		}
		if err := c.options.Memory.LoadOthers(ctx, c.state, copier.ShellMemory); err != nil {
			return err
		}
	}
	c.options.Withdrawn, err = copier.LoadWithdrawn(ctx, c.state)
	return err
}

// bucket reads NAME[@REGION], which is all or the end of a flag's value.
func (c *command) bucket(flag, value, place string) (name string, client *s3.Client, err error) {
	name, region, _ := strings.Cut(place, "@")
	if name == "" || strings.ContainsAny(place, "/:") {
		return "", nil, fmt.Errorf("%s %q: takes a bucket's NAME or NAME@REGION, and nothing behind it", flag, value)
	}
	if region = cmp.Or(region, c.aws.Region); region == "" {
		return "", nil, fmt.Errorf("%s %q: its region is not known; name it as %s@eu-central-1, or set AWS_REGION", flag, value, name)
	}
	return name, s3Client(c.aws, region), nil
}

// s3Client makes a client for a region.
func s3Client(c aws.Config, region string) *s3.Client {
	return s3.NewFromConfig(c, func(o *s3.Options) {
		o.Region = region
		// A server of one's own rarely has a name for each bucket.
		o.UsePathStyle = os.Getenv("AWS_ENDPOINT_URL_S3") != "" || os.Getenv("AWS_ENDPOINT_URL") != ""
	})
}

// named reads a file of repositories; none without a file.
func named(source *copier.Source, file string) ([]string, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the repositories: %w", err)
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			all = append(all, source.Repository(line))
		}
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("reading the repositories: %q names none", file)
	}
	return all, nil
}

// make makes the plan, and keeps what was learnt of it, also of one that was cut
// off: the next one goes on from there.
func (c *command) make(ctx context.Context) (*copier.Plan, error) {
	if c.state != nil {
		stop := c.keep(ctx)
		defer stop()
	}
	plan, err := copier.Make(ctx, c.options)
	if c.state != nil {
		if err := c.options.Memory.Save(context.WithoutCancel(ctx), c.state, copier.ShellMemory); err != nil {
			return nil, err
		}
	}
	return plan, err
}

// keep keeps what was learnt once a minute: a first run takes hours, and it may be
// killed. What it cannot keep, the end will tell.
func (c *command) keep(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		minute := time.NewTicker(time.Minute)
		defer minute.Stop()
		for {
			select {
			case <-minute.C:
				_ = c.options.Memory.Save(ctx, c.state, copier.ShellMemory)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); group.Wait() }
}

func (c *command) plan(ctx context.Context) (complete bool, err error) {
	plan, err := c.make(ctx)
	if err != nil {
		return false, err
	}
	return c.print(newReport(c.options.Buckets, plan, nil))
}

func (c *command) copy(ctx context.Context) (complete bool, err error) {
	if c.dryRun {
		return c.plan(ctx)
	}
	plan, err := c.make(ctx)
	if err != nil {
		return false, err
	}
	result, err := copier.Copy(ctx, c.options, plan)
	if err != nil {
		return false, err
	}
	if c.state != nil {
		if err := copier.ForgetNeeds(ctx, c.state, c.options.Buckets[0]); err != nil {
			return false, err
		}
	}
	report := newReport(c.options.Buckets, plan, result)
	if c.index {
		if report.Indexed, err = copier.ListIndex(ctx, c.state, c.options.Buckets); err != nil {
			report.Errors = append(report.Errors, err.Error())
		}
	}
	return c.print(report)
}

func (c *command) status(ctx context.Context) (complete bool, err error) {
	plan, err := c.make(ctx)
	if err != nil {
		return false, err
	}
	var needs []string
	if c.state != nil {
		if needs, err = copier.Needs(ctx, c.state); err != nil {
			return false, err
		}
	}
	return c.print(newStatus(c.options.Buckets, plan, needs))
}

func (c *command) verify(ctx context.Context) (complete bool, err error) {
	o := copier.VerifyOptions{Buckets: c.options.Buckets, Sample: float64(c.sample), Bandwidth: c.sourceOptions.Bandwidth,
		Parallel: c.options.Parallel, Progress: c.options.Progress}
	if c.replace {
		if o.Plan, err = c.make(ctx); err != nil {
			return false, err
		}
		o.Source = c.options.Source
	}
	v, err := copier.Verify(ctx, o)
	if err != nil {
		return false, err
	}
	return c.print(newVerification(v))
}

func (c *command) print(r report) (complete bool, err error) {
	c.show.clear()
	if c.asJSON {
		return r.complete(), writeJSON(c.stdout, r)
	}
	return r.complete(), r.writeText(c.stdout)
}
