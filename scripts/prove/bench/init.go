package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"archeio/lambda/config"
)

// measureInit lists the work before the first event: the initialization of packages,
// as the Go runtime reports it, and what main does.
func (b *bench) measureInit(ctx context.Context, ours, other string) error {
	mine, err := b.packageInits(ctx, ours)
	if err != nil {
		return err
	}
	empty, err := b.packageInits(ctx, other)
	if err != nil {
		return err
	}
	shared := map[string]bool{}
	for _, s := range empty {
		shared[s.What] = true
	}
	var common step
	n := 0
	var own []step
	for _, s := range mine {
		if shared[s.What] {
			n++
			common.Time, common.Bytes, common.Allocations = common.Time+s.Time, common.Bytes+s.Bytes, common.Allocations+s.Allocations
			continue
		}
		s.What = "package " + s.What
		own = append(own, s)
	}
	common.What = fmt.Sprintf("%d packages of the empty function too", n)
	b.report.Start = append(append(b.report.Start, common), own...)

	c, err := config.Load(func(name string) string { return environment[name] })
	if err != nil {
		return err
	}
	b.report.Start = append(b.report.Start,
		b.costOf("main: read the configuration", func() { config.Load(func(name string) string { return environment[name] }) }),
		b.costOf("main: build the handler", func() { newHandler(c, nil) }),
	)
	return nil
}

// costOf returns the cost of a call, after a first one.
func (b *bench) costOf(what string, call func()) step {
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

// packageInits lists the packages that a binary initializes, with the medians of
// several starts. Those that cost nothing are left out.
func (b *bench) packageInits(ctx context.Context, binary string) ([]step, error) {
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

// output keeps the output of a process. It is safe for concurrent use.
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
