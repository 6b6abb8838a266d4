// Command mirror is the two Lambda functions that fill the mirrors' buckets with
// the blobs of a registry: a planner that a schedule invokes, and workers that
// receive its messages from a queue. The event decides which of the two it is.
//
// Operators use the same engine through archeio mirror.
package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/aws/aws-lambda-go/lambda"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"archeio/lambda/config"
	"archeio/lambda/copier"
	"archeio/lambda/registry"
)

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, "mirror:", err)
		os.Exit(1)
	}
}

// serve returns only if the functions cannot be made.
func serve() error {
	functions, err := load(context.Background())
	if err != nil {
		return err
	}
	debug.SetGCPercent(copier.GCPercent)
	lambda.Start(handler{functions}.handle)
	return nil
}

func load(ctx context.Context) (*copier.Filler, error) {
	c, err := config.LoadFill(os.Getenv)
	if err != nil {
		return nil, err
	}
	sdk, err := awsconfig.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	log := slog.New(slog.NewJSONHandler(os.Stdout, nil))
	notify := func(message string) { log.Warn(message) }
	copier.NotifyOutages(&sdk, notify)
	options := registry.Options{Rate: c.Rate, Notify: notify}
	if _, region, isECR := config.ECR(c.Source); c.Secret != "" {
		logins, unmatched, err := storedLogins(ctx, secretsmanager.NewFromConfig(sdk), c.Secret, c.Source)
		if err != nil {
			return nil, err
		}
		if len(unmatched) > 0 {
			log.Warn("the secret has keys that do not match the source", "source", c.Source, "keys", unmatched)
		}
		options.Keychain = logins
	} else if isECR {
		client := ecr.NewFromConfig(sdk, func(o *ecr.Options) { o.Region = region })
		options.Keychain = registry.IssuedPasswords(issuePassword(client))
	}
	f := &copier.Filler{
		Queue:      &sqsQueue{sqs.NewFromConfig(sdk), c.Queue},
		State:      copier.StateBucket{Name: c.State.Name, Client: copier.NewS3Client(sdk, cmp.Or(c.State.Region, sdk.Region))},
		Filter:     copier.Filter{Tags: c.Tags, ExcludeTags: c.ExcludeTags, Platforms: c.Platforms},
		AllowEmpty: c.AllowEmpty,
		Referrers:  c.Referrers,
		Log:        log,
		Metrics:    os.Stdout,
	}
	if f.Source, err = registry.New(c.Source, options); err != nil {
		return nil, err
	}
	for _, below := range c.Repositories {
		f.Filter.Repositories = append(f.Filter.Repositories, f.Source.Repository(below))
	}
	for i, b := range c.Buckets {
		if b.Filling {
			f.Filling = append(f.Filling, i)
		}
		f.Buckets = append(f.Buckets, copier.NewBucket(b.Name, copier.NewS3Client(sdk, b.Region)))
		f.Regions = append(f.Regions, b.Region)
	}
	return f, nil
}
