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

// turn is how many invocations follow each other: few, because the machine's other
// load changes within milliseconds.
const turn = 64

// measureWarm compares invocations of running functions through the Runtime API.
// For ours, every blob is cached, or in the index. Two more rows explain the
// difference: the longer response, and the work. The rest is the Runtime API: two HTTP
// requests, which take most of the time. The faster a machine makes these, the larger
// is the ratio.
func measureWarm(ctx context.Context, b *bench) error {
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
	env, stop, err := serveMirrors(entries)
	if err != nil {
		return err
	}
	defer stop()
	work, response, err := handlerOnly(ctx, events)
	if err != nil {
		return err
	}
	sides := []side{work}
	for _, f := range []struct {
		binary  string
		env     map[string]string
		indexed bool
	}{{binary, withoutIndex(env), false}, {binary, env, true}, {other, map[string]string{"RESPONSE": string(response)}, false}, {other, nil, false}} {
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
		if err := running.invokeAll(ctx, events); err != nil {
			return err
		}
		part := parts(events, turn)
		sides = append(sides, func(ctx context.Context) (float64, error) { return running.medianLatency(ctx, part()) })
	}
	v, err := b.interleave(ctx, 93, 3, sides...)
	if err != nil {
		return err
	}
	const what, against = "invocation p50", "empty function"
	b.report.compare(what+", blob cached", against, ns, v[1], v[4], ratioOf(1.10))
	b.report.compare(what+", blob in the index", against, ns, v[2], v[4], ratioOf(1.10))
	b.report.compare(what+", only a response as long", against, ns, v[3], v[4], budget{})
	b.report.compare("the handler alone, cold CPU caches", against, ns, v[0], v[4], budget{})
	return nil
}

// handlerOnly returns a side that handles events without the Runtime API, each after
// a pause: what happens between two invocations evicts the CPU caches, and the work
// takes four times as long as without pauses. It returns one of the responses too.
func handlerOnly(ctx context.Context, events [][]byte) (side, []byte, error) {
	c, err := config.Load(func(name string) string { return environment[name] })
	if err != nil {
		return nil, nil, err
	}
	recorder := metrics.NewRecorder(io.Discard, time.Now)
	g := gateway.New(c.ClientAddressHeader, newHandler(c, recorder).Handle, recorder.Flush)
	var response []byte
	for _, event := range events {
		if response, err = g.Invoke(ctx, event); err != nil {
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
	}, response, nil
}
