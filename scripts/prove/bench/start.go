package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"archeio/lambda/config"
)

// start compares the time from the fork of the process to its first call of
// next, and to its first answer. The first event is one that needs no mirror:
// the empty function asks none either. There is an index of a million blobs,
// which ours begins to load when the answer is made.
func start(ctx context.Context, b *bench) error {
	ours, other, err := b.functions(ctx)
	if err != nil {
		return err
	}
	env, stop, err := mirrors(prefixes(b.pick(1_000_000, 10_000)))
	if err != nil {
		return err
	}
	defer stop()
	event := []byte(`{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/pause/manifests/3.9","headers":{"x-forwarded-for":"35.180.1.1"}}`)
	var answers [2][]float64
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
			answers[i] = append(answers[i], float64(time.Since(began)))
			return float64(next), err
		})
	}
	v, err := b.interleave(ctx, 151, 1, sides...)
	if err != nil {
		return err
	}
	for i := range answers {
		answers[i] = answers[i][len(answers[i])-len(v[i]):] // the first round does not count
	}
	b.report.compare("start to the first next", "empty function", ns, v[0], v[1], ratioOf(1.10))
	b.report.compare("start to the first answer", "empty function", ns, answers[0], answers[1], ratioOf(1.15))
	return b.atStart(ctx, ours, other)
}

// atStart lists what is done before the first event: the initialization of
// packages, as the Go runtime tells it, and what main does.
func (b *bench) atStart(ctx context.Context, ours, other string) error {
	mine, err := b.inits(ctx, ours)
	if err != nil {
		return err
	}
	empty, err := b.inits(ctx, other)
	if err != nil {
		return err
	}
	shared := map[string]bool{}
	for _, s := range empty {
		shared[s.What] = true
	}
	common := step{What: "packages that the empty function has too"}
	n := 0
	var own []step
	for _, s := range mine {
		switch {
		case shared[s.What]:
			n++
			common.Time, common.Bytes, common.Allocations = common.Time+s.Time, common.Bytes+s.Bytes, common.Allocations+s.Allocations
		default:
			s.What = "package " + s.What
			own = append(own, s)
		}
	}
	common.What = fmt.Sprintf("%d %s", n, common.What)
	b.report.Start = append(append(b.report.Start, common), own...)

	c, err := config.Load(func(name string) string { return environment[name] })
	if err != nil {
		return err
	}
	b.report.Start = append(b.report.Start,
		b.once("main reads the configuration", func() { config.Load(func(name string) string { return environment[name] }) }),
		b.once("main builds the handler", func() { newHandler(c, nil) }),
	)
	return nil
}

// once is what one call costs, where it was made before.
func (b *bench) once(what string, call func()) step {
	if b.short {
		call()
		return step{What: what, Allocations: int(testing.AllocsPerRun(1, call))}
	}
	r := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			call()
		}
	})
	return step{what, float64(r.NsPerOp()), int(r.AllocedBytesPerOp()), int(r.AllocsPerOp())}
}

// inits lists the packages that a binary initializes, with the medians of
// several starts. Those that cost nothing are left out.
func (b *bench) inits(ctx context.Context, binary string) ([]step, error) {
	env := map[string]string{"GODEBUG": "inittrace=1"}
	for name, value := range environment {
		env[name] = value
	}
	times := map[string][]float64{}
	var steps []step
	for round := range b.pick(15, 1) {
		var out output
		f, err := launch(ctx, binary, env, &out)
		if err != nil {
			return nil, err
		}
		f.stop()
		for line := range strings.Lines(out.text()) {
			var s step
			var at, took float64
			if n, _ := fmt.Sscanf(line, "init %s @%f ms, %f ms clock, %d bytes, %d allocs", &s.What, &at, &took, &s.Bytes, &s.Allocations); n != 5 {
				continue
			}
			times[s.What] = append(times[s.What], took*1e6)
			if round == 0 {
				steps = append(steps, s)
			}
		}
	}
	var costly []step
	for _, s := range steps {
		if s.Time = median(times[s.What]); s.Time > 0 || s.Allocations > 0 {
			costly = append(costly, s)
		}
	}
	return costly, nil
}

// output keeps what a process writes; both of its streams may at once.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) text() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
