package system

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/lambda/config"
	"archeio/scripts/lab/queue"
	"archeio/scripts/lab/runtimeapi"
)

// StateBucket is the bucket for the state of a Filler.
const StateBucket = "state"

// Buckets are the buckets that a Filler fills, the primary first. They are on one
// S3 server.
var Buckets = []string{"mirror-" + Regions[0], defaultBucket}

// Filler is the function that fills the mirrors: one process of the built
// function under the Runtime API, with a queue.
type Filler struct {
	Env   map[string]string
	Queue *queue.Queue
	API   *runtimeapi.API
}

// StartFiller builds and starts a Filler. env overrides variables of its
// environment, and its output goes to log. Stop stops it with the system.
func (s *System) StartFiller(ctx context.Context, env map[string]string, log io.Writer) (*Filler, error) {
	bootstrap, err := functionBinary(ctx, "mirror")
	if err != nil {
		return nil, err
	}
	f, err := s.PrepareFiller(ctx)
	if err != nil {
		return nil, err
	}
	maps.Copy(f.Env, env)
	if f.API, err = runtimeapi.Listen(); err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() { f.API.Close() })
	process, err := f.API.Start(bootstrap, f.Env, log)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, process.Stop)
	return f, nil
}

// PrepareFiller returns a Filler with its queue and its state bucket, but without
// a process; its API is nil.
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
	c := config.Fill{Source: s.Source(), State: config.Bucket{Name: state}, Queue: f.Queue.URL(), Referrers: true}
	for _, bucket := range Buckets {
		c.Buckets = append(c.Buckets, config.Bucket{Name: bucket, Region: Regions[0]})
	}
	f.Env = c.Env()
	maps.Copy(f.Env, s.SDKEnv(Regions[0]))
	f.Env["AWS_ENDPOINT_URL_SQS"] = f.Queue.Endpoint()
	return f, nil
}

// Source returns the source to fill the mirrors from: the upstream's host and the
// repository prefix.
func (s *System) Source() string { return hostOf(s.Upstream) + "/" + Prefix }

// StateFolder returns a folder for the state of archeio mirror, which Stop removes.
func (s *System) StateFolder() string { return filepath.Join(s.dir, "state") }

// SDKEnv returns the environment in which the AWS SDK and its tools use the S3
// server of a region, and nothing of the user's configuration.
func (s *System) SDKEnv(region string) map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL_S3": s.mirrors[region], "AWS_REGION": region,
		"AWS_ACCESS_KEY_ID": AccessKey, "AWS_SECRET_ACCESS_KEY": SecretKey,
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true",
	}
}

// Fill fills all mirrors from the upstream with "archeio mirror copy", as an
// operator does. Its report goes to out and its log to log. There is one run a
// region, because each region has its own S3 server.
func (s *System) Fill(ctx context.Context, out, log io.Writer) error {
	s.step("building archeio, which fills the mirrors (the first time takes a minute or two)")
	archeio, err := operatorBinary(ctx)
	if err != nil {
		return err
	}
	all := buckets()
	for _, region := range Regions {
		s.step("filling the mirrors in " + region)
		// The mirrors of both regions have the same blobs, so the index of one
		// region is the index of all.
		args := []string{"mirror", "copy", "-source", s.Source(), "-state", s.StateFolder(), "-index"}
		for _, bucket := range slices.Sorted(maps.Keys(all)) {
			if all[bucket] == region {
				args = append(args, "-bucket", bucket)
			}
		}
		cmd := exec.CommandContext(ctx, archeio, args...)
		for _, v := range os.Environ() {
			if !strings.HasPrefix(v, "AWS_") {
				cmd.Env = append(cmd.Env, v)
			}
		}
		for name, value := range s.SDKEnv(region) {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		var stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = out, io.MultiWriter(log, &stderr)
		if err := cmd.Run(); err != nil {
			text := strings.TrimSpace(stderr.String())
			return fmt.Errorf("filling the mirrors in %s: %w: %s", region, err, text[strings.LastIndexByte(text, '\n')+1:])
		}
	}
	return nil
}
