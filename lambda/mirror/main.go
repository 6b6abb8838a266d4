// Command mirror fills the mirrors' buckets with the blobs of a registry, from
// a shell:
//
//	go run ./lambda/mirror plan -source us-docker.pkg.dev/project/images -bucket my-mirror
//	go run ./lambda/mirror copy -source us-docker.pkg.dev/project/images -bucket my-mirror -bucket my-other-mirror@eu-central-1
//
// and as two Lambda functions, a planner that a schedule invokes and workers
// behind a queue. The same code does both.
//
// The first bucket is the primary; every blob is written there first.
// Credentials, region and endpoint of S3 come from the AWS SDK's standard
// environment, logins to the registry from the Docker configuration.
//
// The exit code is 1 if anything is missing or wrong in the end, and 2 if
// nothing could be done at all.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	// Lambda sets it in every function.
	if os.Getenv("AWS_LAMBDA_RUNTIME_API") != "" {
		serve()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second Ctrl-C ends it at once
	complete, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case ctx.Err() != nil:
		fmt.Fprintln(os.Stderr, "mirror: stopped; what was done stays, start it again to go on")
		os.Exit(130)
	case err != nil:
		fmt.Fprintln(os.Stderr, "mirror:", err)
		os.Exit(2)
	case !complete:
		os.Exit(1)
	}
}
