package main

import (
	"context"
	"io"
	"time"
)

// measureStart compares the time from the fork of the process to its first request
// for an event, and to its first response. The first event needs no mirror, as those
// of the empty function do not. Ours begins to load an index of a million blobs when
// it has handled the event.
func measureStart(ctx context.Context, b *bench) error {
	ours, other, err := b.functions(ctx)
	if err != nil {
		return err
	}
	env, stop, err := serveMirrors(prefixes(b.pick(1_000_000, 10_000)))
	if err != nil {
		return err
	}
	defer stop()
	event := []byte(`{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/pause/manifests/3.9","headers":{"x-forwarded-for":"35.180.1.1"}}`)
	var responses [2][]float64
	var sides []side
	for i, binary := range []string{ours, other} {
		sides = append(sides, func(ctx context.Context) (float64, error) {
			began := time.Now()
			f, err := launch(ctx, binary, env, io.Discard)
			if err != nil {
				return 0, err
			}
			defer f.stop()
			next := time.Since(began)
			_, err = f.api.Invoke(ctx, event)
			responses[i] = append(responses[i], float64(time.Since(began)))
			return float64(next), err
		})
	}
	v, err := b.interleave(ctx, 151, 1, sides...)
	if err != nil {
		return err
	}
	for i := range responses {
		responses[i] = responses[i][len(responses[i])-len(v[i]):] // without the warm-up round
	}
	b.report.compare("start to the first request for an event", "empty function", ns, v[0], v[1], ratioOf(1.10))
	b.report.compare("start to the first response", "empty function", ns, responses[0], responses[1], ratioOf(1.15))
	return b.measureInit(ctx, ours, other)
}
