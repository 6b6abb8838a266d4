// Command mirror fills the mirrors' buckets with the blobs of a registry:
//
//	go run ./lambda/mirror plan -source us-docker.pkg.dev/project/images -bucket my-mirror
//	go run ./lambda/mirror copy -source us-docker.pkg.dev/project/images -bucket my-mirror -bucket my-other-mirror
//
// The first bucket is the primary; every blob is written there first.
// Credentials, region and endpoint of S3 come from the AWS SDK's standard
// environment, logins to the registry from the Docker configuration.
//
// The exit code is 1 if anything is missing in the end, and 2 if nothing could
// be done at all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/copier"
)

const usage = `Usage: go run ./lambda/mirror plan|copy [flags]

  plan  tells what would be copied, and how much it is
  copy  copies it

Interrupted and started again, copy goes on where it was.

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	complete, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "mirror: stopped; what was copied stays, start it again to go on")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "mirror:", err)
		os.Exit(2)
	case !complete:
		os.Exit(1)
	}
}

// texts is a flag that may be given several times.
type texts []string

func (t *texts) String() string     { return strings.Join(*t, ",") }
func (t *texts) Set(v string) error { *t = append(*t, v); return nil }

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (complete bool, err error) {
	var (
		buckets texts
		source  copier.SourceOptions
		options copier.Options
	)
	flags := flag.NewFlagSet("mirror", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprint(stderr, usage)
		flags.PrintDefaults()
	}
	from := flags.String("source", "", "`REGISTRY[/PREFIX]` to copy from; only repositories below the prefix count")
	flags.Var(&buckets, "bucket", "`name` of a mirror's bucket; repeat it for several, the primary first")
	list := flags.String("repositories", "", "`file` with repositories below the prefix, a line each, instead of all that the registry lists")
	memory := flags.String("memory", "", "`file` that remembers what manifests refer to, so that none is fetched twice")
	flags.Float64Var(&source.Rate, "rate", 0, "requests `per second` to the registry at most; 0 is no limit")
	flags.IntVar(&options.Parallel, "parallel", 8, "how many images and blobs are worked on at once")
	flags.BoolVar(&options.Referrers, "referrers", false, "look for what refers to each manifest too, as signatures do: one request each")
	dryRun := flags.Bool("dry-run", false, "copy: only tell what would be copied, as plan does")
	asJSON := flags.Bool("json", false, "print one JSON object")
	if len(args) == 0 || args[0] != "plan" && args[0] != "copy" {
		flags.Usage()
		if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
			return true, flag.ErrHelp
		}
		return false, errors.New("name a command: plan or copy")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return false, err
	}
	if *from == "" || len(buckets) == 0 || flags.NArg() > 0 {
		return false, errors.New("takes -source and at least one -bucket, and nothing behind the flags; see -h")
	}
	if options.Source, err = copier.NewSource(*from, source); err != nil {
		return false, err
	}
	if options.Buckets, err = open(ctx, buckets); err != nil {
		return false, err
	}
	if options.Repositories, err = named(options.Source, *list); err != nil {
		return false, err
	}
	options.Memory = &copier.Memory{}
	if *memory != "" {
		if err := options.Memory.ReadFile(*memory); err != nil {
			return false, err
		}
	}
	show := newShow(stderr)
	options.Progress = show.progress
	plan, err := copier.Make(ctx, options)
	if *memory != "" {
		// Also of a run that was cut off: the next one goes on from there.
		if err := options.Memory.WriteFile(*memory); err != nil {
			return false, fmt.Errorf("writing what is remembered: %w", err)
		}
	}
	if err != nil {
		return false, err
	}
	var result *copier.Result
	if args[0] == "copy" && !*dryRun {
		if result, err = copier.Copy(ctx, options, plan); err != nil {
			return false, err
		}
	}
	show.clear()
	report := newReport(options.Buckets, plan, result)
	if *asJSON {
		return report.complete(), report.writeJSON(stdout)
	}
	return report.complete(), report.writeText(stdout)
}

// open makes buckets of names, each with a client for its region.
func open(ctx context.Context, names []string) ([]*copier.Bucket, error) {
	c, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the AWS SDK's environment: %w", err)
	}
	var buckets []*copier.Bucket
	for _, name := range names {
		buckets = append(buckets, copier.NewBucket(name, s3.NewFromConfig(c, func(o *s3.Options) {
			// A server of one's own rarely has a name for each bucket.
			o.UsePathStyle = os.Getenv("AWS_ENDPOINT_URL_S3") != "" || os.Getenv("AWS_ENDPOINT_URL") != ""
		})))
	}
	return buckets, nil
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
