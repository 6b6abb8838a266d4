package main

import (
	"context"
	"io"
	"time"
)

// measureAdapter compares invocations of the function with those of an HTTP server
// that runs as a function behind an adapter, with a handler like that of archeio, the
// server of registry.k8s.io. All blobs are cached. Most of the CPU time is spent on the
// Runtime API, as the empty function's is.
func measureAdapter(ctx context.Context, b *bench) error {
	ours, err := b.redirector(ctx)
	if err != nil {
		return err
	}
	peer, err := b.compile(ctx, peerProgram)
	if err != nil {
		return err
	}
	env, stop, err := serveMirrors(nil)
	if err != nil {
		return err
	}
	defer stop()
	env = withoutIndex(env)
	env["PEER"] = "adapter"
	events := payloads(b.pick(4096, 128))
	var functions []*function
	var latencies, cpu []side
	for _, binary := range []string{ours, peer} {
		f, err := launch(ctx, binary, env, io.Discard)
		if err != nil {
			return err
		}
		defer f.stop()
		functions = append(functions, f)
		part := parts(events, turn)
		latencies = append(latencies, func(ctx context.Context) (float64, error) { return f.medianLatency(ctx, part()) })
		cpu = append(cpu, cpuOf(f.process.Pid(), func(ctx context.Context) (int, error) { return turn, f.invokeAll(ctx, part()) }))
	}
	for _, event := range events {
		if err := sameLocation(ctx, event, functions[0].api, functions[1].api); err != nil {
			return err
		}
	}
	const what, against = "invocation", "handler like registry.k8s.io's behind an adapter"
	if b.hasCPUTime() {
		v, err := b.interleave(ctx, 93, 3, cpu...)
		if err != nil {
			return err
		}
		b.report.compare(what+" CPU time", against, ns, v[0], v[1], ratioOf(0.6))
	}
	v, err := b.interleave(ctx, 93, 3, latencies...)
	if err != nil {
		return err
	}
	b.report.compare(what+" p50", against, ns, v[0], v[1], budget{})
	return nil
}

// parts returns a function that returns n of the payloads, at each call the next.
func parts(payloads [][]byte, n int) func() [][]byte {
	next := 0
	return func() [][]byte {
		part := payloads[next : next+n]
		next = (next + n) % len(payloads)
		return part
	}
}

// medianLatency sends events one after the other and returns the median of the times.
func (f *function) medianLatency(ctx context.Context, payloads [][]byte) (float64, error) {
	var all []float64
	for _, p := range payloads {
		began := time.Now()
		if _, err := f.api.Invoke(ctx, p); err != nil {
			return 0, err
		}
		all = append(all, float64(time.Since(began)))
	}
	return median(all), nil
}
