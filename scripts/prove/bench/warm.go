package main

import (
	"context"
	"io"
	"time"

	"archeio/lambda/config"
	"archeio/lambda/gateway"
	"archeio/lambda/index"
	"archeio/lambda/metrics"
)

// turn is how many invocations follow each other: few, because what else the
// machine does comes and goes within milliseconds.
const turn = 64

// warm compares invocations of running functions, through the Runtime API.
// Ours knows the mirror of every blob from memory, or from the index. What is
// over those of the empty function has two rows of its own: the longer answer,
// and the work.
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
	work, answer, err := alone(ctx, events)
	if err != nil {
		return err
	}
	sides := []side{work}
	for _, f := range []struct {
		binary  string
		env     map[string]string
		indexed bool
	}{{binary, withoutIndex(env), false}, {binary, env, true}, {other, map[string]string{"ANSWER": string(answer)}, false}, {other, nil, false}} {
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
	v, err := b.interleave(ctx, 31, 8, sides...)
	if err != nil {
		return err
	}
	const what = "invocation through the Runtime API"
	b.report.compare(what+", from memory", "empty function", ns, v[1], v[4], ratioOf(1.05))
	b.report.compare(what+", from the index", "empty function", ns, v[2], v[4], ratioOf(1.05))
	b.report.compare(what+", nothing but as long an answer", "empty function", ns, v[3], v[4], budget{})
	b.report.compare("the work of one, after a pause", "empty function", ns, v[0], v[4], budget{})
	return nil
}

// alone is the work of events by themselves, each after a pause: what lies
// between two invocations leaves nothing of the one before in the processor, and
// the work takes four times as long as in a row. It answers one of the answers
// too.
func alone(ctx context.Context, events [][]byte) (side, []byte, error) {
	c, err := config.Load(func(name string) string { return environment[name] })
	if err != nil {
		return nil, nil, err
	}
	recorder := metrics.NewRecorder(io.Discard, time.Now)
	g := gateway.New(c.ClientAddressHeader, newHandler(c, recorder).Handle, recorder.Flush)
	var answer []byte
	for _, event := range events {
		if answer, err = g.Invoke(ctx, event); err != nil {
			return nil, nil, err
		}
	}
	next := 0
	return func(ctx context.Context) (float64, error) {
		var took time.Duration
		for range turn {
			time.Sleep(100 * time.Microsecond)
			began := time.Now()
			_, err := g.Invoke(ctx, events[next])
			took += time.Since(began)
			if err != nil {
				return 0, err
			}
			next = (next + 1) % len(events)
		}
		return float64(took) / turn, nil
	}, answer, nil
}
