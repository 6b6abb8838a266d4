package system

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/build"
	"archeio/lambda/config"
	"archeio/scripts/lab/queue"
	"archeio/scripts/lab/runtimeapi"
)

// StateBucket is where a Filler keeps its state.
const StateBucket = "state"

// Buckets are those of one S3 server, the primary first, which a Filler fills.
var Buckets = []string{"mirror-" + Regions[0], defaultBucket}

// Filler is the functions that fill the mirrors, as one process of the built
// one under the Runtime API, with a queue.
type Filler struct {
	Env   map[string]string
	Queue *queue.Queue
	API   *runtimeapi.API

	process *runtimeapi.Process
}

// StartFiller builds and starts them. env is laid over their environment. It is
// stopped with the stack.
func (s *System) StartFiller(ctx context.Context, env map[string]string, log io.Writer) (*Filler, error) {
	bootstrap, err := build.Bootstrap(ctx, "mirror")
	if err != nil {
		return nil, err
	}
	f, err := s.PrepareFiller(ctx)
	if err != nil {
		return nil, err
	}
	for name, value := range env {
		f.Env[name] = value
	}
	if f.API, err = runtimeapi.Listen(); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() { f.API.Close() })
	if f.process, err = f.API.Start(bootstrap, f.Env, log); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, f.process.Stop)
	return f, nil
}

// PrepareFiller makes the queue and the state bucket of a Filler, without its
// process.
func (s *System) PrepareFiller(ctx context.Context) (f *Filler, err error) {
	f = &Filler{}
	if f.Queue, err = queue.Listen(); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() { f.Queue.Close() })
	state := StateBucket
	if _, err := s.S3(Regions[0]).CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &state}); err != nil {
		return nil, fmt.Errorf("creating bucket %q: %w", state, err)
	}
	c := config.Fill{Source: s.Source(), State: state, Queue: f.Queue.URL(), Referrers: true}
	for _, bucket := range Buckets {
		c.Buckets = append(c.Buckets, config.Bucket{Name: bucket, Region: Regions[0]})
	}
	f.Env = c.Env()
	for name, value := range s.SDKEnv(Regions[0]) {
		f.Env[name] = value
	}
	f.Env["AWS_ENDPOINT_URL_SQS"] = f.Queue.Endpoint()
	return f, nil
}

// Source is the upstream with its prefix, as what fills mirrors names it.
func (s *System) Source() string { return hostOf(s.Upstream) + "/" + Prefix }

// SDKEnv is the environment in which the AWS SDK finds the S3 server of a region.
func (s *System) SDKEnv(region string) map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL_S3": s.mirrors[region], "AWS_REGION": region,
		"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey,
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	}
}

// Fill fills all mirrors from the upstream by mirror copy, as a person does from
// a shell. Each region has an S3 server of its own here, so it takes one run
// each.
func (s *System) Fill(ctx context.Context, out, log io.Writer) error {
	mirror, err := build.Bootstrap(ctx, "mirror")
	if err != nil {
		return err
	}
	for _, region := range Regions {
		// The other region gets the same blobs, so the index of what the mirrors
		// of one hold is that of all.
		args := []string{"copy", "-source", s.Source(), "-index"}
		all := buckets()
		for _, bucket := range slices.Sorted(maps.Keys(all)) {
			if all[bucket] == region {
				args = append(args, "-bucket", bucket)
			}
		}
		cmd := exec.CommandContext(ctx, mirror, args...)
		for _, v := range os.Environ() {
			if !strings.HasPrefix(v, "AWS_") {
				cmd.Env = append(cmd.Env, v)
			}
		}
		for name, value := range s.SDKEnv(region) {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		cmd.Stdout, cmd.Stderr = out, log
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("filling the mirrors in %s: %w; -v shows why", region, err)
		}
	}
	return nil
}
