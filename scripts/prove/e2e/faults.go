package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"archeio/scripts/prove/cli"
)

const (
	// slack is how much longer than its bound a measured time may be, on a
	// machine that does other things too.
	slack = 700 * time.Millisecond
	// concurrentFaults are injected at the same time: they mostly wait.
	concurrentFaults = 8
	faultTimeout     = 7 * time.Minute
)

// fault is a fault that is injected, with what clients may see of it.
type fault struct {
	name string
	// run returns what clients saw, and an error if that is not as it must be.
	run func(*faultTest, context.Context) (observed string, err error)
}

func (x fault) String() string { return x.name }

// faults are all faults, in the order of the report.
var faults = []fault{
	{"mirror down", mirrorDown.run},
	{"mirror hangs", mirrorHangs.run},
	{"mirror resets", mirrorResets.run},
	{"mirror returns 500", mirrorReturns500.run},
	{"mirror sends an endless body", endlessHeadBody.run},
	{"circuit breaker", (*faultTest).circuitBreaker},
	{"mirror returns 403, cold", (*faultTest).forbiddenCold},
	{"mirror returns 403, warm", (*faultTest).forbiddenWarm},
	{"failover, FAILOVER_BUDGET=0", failoverBudget{budget: "0"}.run},
	{"failover, FAILOVER_BUDGET=5", failoverBudget{budget: "5", atLeast: 5, atMost: 40}.run},
	{"missing blob, index lists it", (*faultTest).missingBlobInIndex},
	{"missing blob, cached as present", (*faultTest).missingBlobInCache},
	{"index corrupt", (*faultTest).corruptIndex},
	{"index, bucket closed", closedBucket.run},
	{"index, bucket emptied", emptiedBucket.run},
	{"index, new region without blobs", newRegion.run},
	{"index, region not covered", notCovered.run},
	{"ranges, invalid tables", (*faultTest).invalidRanges},
	{"clock wrong: index from the future or the past", (*faultTest).wrongClock},
	{"upstream slow", (*faultTest).slowUpstream},
	{"DNS fails", (*faultTest).dnsFails},
	{"DNS hangs", (*faultTest).dnsHangs},
	{"memory limit", (*faultTest).memoryLimit},
	{"memory, index of eight million blobs", (*faultTest).largestIndex},
	{"frozen function, connections reset", frozenFunction{(*link).reset}.run},
	{"frozen function, connections closed", frozenFunction{(*link).end}.run},
	{"frozen function, connections silent", frozenFunction{(*link).silence}.run},
	{"SIGTERM during a request", (*faultTest).terminated},
}

// faultTest injects faults behind one kind of entry point.
type faultTest struct {
	*testSystem
	images *testImages
	kind   string
	slow   bool // also run what takes minutes
}

// testbed starts a testbed with one process and env laid over its environment.
func (f *faultTest) testbed(ctx context.Context, env map[string]string) (*testbed, error) {
	return f.newTestbed(ctx, f.images, f.kind, 1, env)
}

// withFunction is f with another binary of the function.
func (f *faultTest) withFunction(path string) *faultTest {
	system := *f.testSystem
	system.function = path
	return &faultTest{&system, f.images, f.kind, f.slow}
}

// runFaults injects every fault behind both kinds of entry points.
func (s *testSystem) runFaults(ctx context.Context, o *options, images *testImages) []check {
	return injectAll(s, ctx, o, images, faults, concurrentFaults, runFault)
}

// runFault runs a fault behind one kind of entry point.
func runFault(f *faultTest, ctx context.Context, x fault) check {
	began := time.Now()
	observed, err := x.run(f, ctx)
	return newCheck("faults", x.name, f.kind, observed, began, err)
}

// injectAll calls run for every selected fault and both kinds of entry points, for some of
// them at the same time, and returns the results in the order of all.
func injectAll[F interface{ String() string }, R interface{ outcome() cli.Result }](s *testSystem, ctx context.Context, o *options, images *testImages, all []F, atOnce int, run func(*faultTest, context.Context, F) R) []R {
	var selected []F
	for _, x := range all {
		if o.selects("faults", x.String()) {
			selected = append(selected, x)
		}
	}
	results := make([]R, len(selected)*len(kinds))
	slots := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	var done atomic.Int64
	for i := range results {
		x, kind := selected[i/len(kinds)], kinds[i%len(kinds)]
		running.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			bounded, cancel := context.WithTimeout(ctx, faultTimeout)
			defer cancel()
			results[i] = run(&faultTest{s, images, kind, o.slow}, bounded, x)
			if ctx.Err() == nil {
				s.progress.Note("%d of %d: %s, %s: %s", done.Add(1), len(results), x, kind, results[i].outcome())
			}
		})
	}
	running.Wait()
	return results
}
