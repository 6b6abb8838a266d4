package main

import (
	"context"
	"io"
	"time"

	"archeio/lambda/index"
)

// turn is how many invocations follow each other: few, because what else the
// machine does comes and goes within milliseconds.
const turn = 64

// warm compares invocations of running functions, through the Runtime API.
// Ours knows the mirror of every blob from memory, or from the index.
func warm(ctx context.Context, b *bench) error {
	binary, other, err := b.functions(ctx)
	if err != nil {
		return err
	}
	events := payloads(b.pick(4096, turn))
	entries := prefixes(b.pick(1_000_000, 10_000))
	for i := range events {
		p, _ := index.Prefix(blobOf(i))
		entries = append(entries, p)
	}
	env, stop, err := mirrors(entries)
	if err != nil {
		return err
	}
	defer stop()
	var sides []side
	for _, f := range []struct {
		binary  string
		env     map[string]string
		indexed bool
	}{{binary, withoutIndex(env), false}, {binary, env, true}, {other, env, false}} {
		running, err := launch(ctx, f.binary, f.env, io.Discard)
		if err != nil {
			return err
		}
		defer running.stop()
		if f.indexed {
			if err := running.awaitIndex(ctx); err != nil {
				return err
			}
		}
		if err := running.all(ctx, events); err != nil {
			return err
		}
		next := 0
		sides = append(sides, func(ctx context.Context) (float64, error) {
			part := events[next : next+turn]
			next = (next + turn) % len(events)
			began := time.Now()
			err := running.all(ctx, part)
			return float64(time.Since(began)) / float64(turn), err
		})
	}
	v, err := b.interleave(ctx, 51, 8, sides...)
	if err != nil {
		return err
	}
	b.report.compare("invocation through the Runtime API, from memory", "empty function", ns, v[0], v[2], ratioOf(1.05))
	b.report.compare("invocation through the Runtime API, from the index", "empty function", ns, v[1], v[2], ratioOf(1.05))
	return nil
}
