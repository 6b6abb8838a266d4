package main

import (
	"context"
	"io"
	"time"
)

// turn is how many invocations follow each other: few, because what else the
// machine does comes and goes within milliseconds.
const turn = 64

// warm compares invocations of running functions, through the Runtime API.
// Ours knows the mirror of every blob from memory.
func warm(ctx context.Context, b *bench) error {
	binary, other, err := b.functions(ctx)
	if err != nil {
		return err
	}
	env, stop, err := mirrors()
	if err != nil {
		return err
	}
	defer stop()
	events := payloads(b.pick(4096, turn))
	var sides []side
	for _, binary := range []string{binary, other} {
		f, err := launch(ctx, binary, env, io.Discard)
		if err != nil {
			return err
		}
		defer f.stop()
		if err := f.all(ctx, events); err != nil {
			return err
		}
		next := 0
		sides = append(sides, func(ctx context.Context) (float64, error) {
			part := events[next : next+turn]
			next = (next + turn) % len(events)
			began := time.Now()
			err := f.all(ctx, part)
			return float64(time.Since(began)) / float64(turn), err
		})
	}
	v, err := b.interleave(ctx, 51, 8, sides...)
	if err != nil {
		return err
	}
	b.report.compare("invocation through the Runtime API", "empty function", ns, v[0], v[1], ratioOf(1.05))
	return nil
}
