// Command scale runs the engine that fills the mirrors at the size of a large public
// registry: a source and mirrors of millions of blobs that are calculated when they
// are asked for, and the planner, its status run and a worker in processes of their
// own. It prints their memory, requests, seconds and dollars, and compares the
// requests with those that archeio capacity models.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"time"

	"archeio/scripts/prove/cli"
)

const help = `Usage: go run ./scripts/prove/scale [flags]

Fills the mirrors of a registry that exists only in calculations: lists them with a
first plan, reads all manifests with a worker, then runs status, hours without
changes, and the worker again. Nothing is missing, so no blob is copied. In the end
archeio mirror status -missing runs without a cache, and with one more mirror that is
empty, and the planner and a worker go on for hours in which each part of what they hold
changes, because blobs are withdrawn. With -fill, archeio mirror copy copies small blobs
to empty mirrors and runs again, and archeio mirror prune finds what deleted repositories
had and deletes some of it.

It fails if a process needs more than -max-memory, or if the requests of the hours
without changes differ from archeio capacity's.
`

func main() {
	if os.Getenv(childEnv) != "" {
		if err := child(os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, "scale:", err)
			os.Exit(1)
		}
		return
	}
	cli.Main("scale", run)
}

// options are the size of the registry and the limits of the run.
type options struct {
	mirrors, blobs, manifests, repositories, hours int
	fill, maxMemory                                int
	compare                                        bool
	timeout                                        time.Duration
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var o options
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	flags.IntVar(&o.mirrors, "mirrors", 2, "`N` mirror buckets, at least one")
	flags.IntVar(&o.blobs, "blobs", 100_000, "`N` blobs in each of them, 0 for -fill only")
	flags.IntVar(&o.manifests, "manifests", 3000, "`N` manifests of the source")
	flags.IntVar(&o.repositories, "repositories", 100, "`N` repositories of the source")
	flags.IntVar(&o.hours, "hours", 11, "`N` hourly plans without changes; replicas are listed in turns of 11 hours")
	flags.IntVar(&o.fill, "fill", 0, "`N` blobs that archeio mirror copy copies to as many empty mirrors, and prunes; 0 for none")
	flags.IntVar(&o.maxMemory, "max-memory", 0, "`MB` of resident memory that a process may need at most, 0 for no limit")
	flags.BoolVar(&o.compare, "compare", true, "fail if the requests differ from those that archeio capacity models")
	flags.DurationVar(&o.timeout, "timeout", 15*time.Minute, "`DURATION` of an invocation at most")
	if err := cli.Parse(flags, args, help, stdout); err != nil {
		return err
	}
	if o.fill < 0 || o.fill > 0 && o.fill < minFill || o.fill == 0 && o.blobs == 0 {
		return cli.Usagef("invalid size: want at least %d blobs with -fill", minFill)
	}
	if o.mirrors < 1 || o.hours < 1 || o.blobs != 0 && (o.manifests < groupSize || o.blobs < o.manifests || o.repositories < 1 || o.repositories > o.manifests/groupSize) {
		return cli.Usagef("invalid size: want at least one mirror and one hour, three manifests, as many blobs, and at most a third as many repositories")
	}
	return o.prove(ctx, stdout, cli.NewProgress(stderr))
}
