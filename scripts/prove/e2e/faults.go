package main

import (
	"context"
	"sync"
	"time"
)

// slack is what measuring itself takes, on a machine that does other things.
const slack = 700 * time.Millisecond

// trial is one fault. Its saw tells what clients saw, its error what they must
// not see.
type trial struct {
	name string
	try  func(ctx context.Context) (saw string, err error)
}

// atOnce is how many trials go on side by side: they mostly wait.
const atOnce = 8

// atFront is the world as it is behind one shape of front.
type atFront struct {
	*world
	images *images
	shape  string
	// full waits for what takes minutes as well.
	full bool
}

func (f *atFront) lab(ctx context.Context, processes int, env map[string]string) (*lab, error) {
	return f.world.lab(ctx, f.images, f.shape, processes, env)
}

// faults has one part after the other fail, behind both fronts.
func (w *world) faults(ctx context.Context, o options, images *images) []check {
	type at struct {
		trial
		front string
	}
	var chosen []at
	shapes := []string{loadBalancer, distribution}
	var all [][]trial
	for _, shape := range shapes {
		f := &atFront{w, images, shape, o.full}
		all = append(all, f.trials())
	}
	for i, t := range all[0] { // a fault's rows stand together
		if !o.only.MatchString("faults/" + t.name) {
			continue
		}
		for k, shape := range shapes {
			chosen = append(chosen, at{all[k][i], shape})
		}
	}
	checks := make([]check, len(chosen))
	turn := make(chan struct{}, atOnce)
	var going sync.WaitGroup
	for i, t := range chosen {
		going.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			bounded, cancel := context.WithTimeout(ctx, 7*time.Minute)
			defer cancel()
			began := time.Now()
			saw, err := t.try(bounded)
			checks[i] = verdict("faults", t.name, t.front, saw, began, err)
		})
	}
	going.Wait()
	return checks
}

func (f *atFront) trials() (trials []trial) {
	for _, b := range mirrorFaults() {
		trials = append(trials, trial{b.name, func(ctx context.Context) (string, error) { return f.mirrorFault(ctx, b) }})
	}
	return append(trials,
		trial{"circuit breaker", f.breaker},
		trial{"mirror answers 403, cold", f.forbidden},
		trial{"mirror answers 403, warm", f.forbiddenWarm},
		trial{"failover, FAILOVER_BUDGET=0", func(ctx context.Context) (string, error) { return f.failover(ctx, "0", 0, 0) }},
		trial{"failover, FAILOVER_BUDGET=5", func(ctx context.Context) (string, error) { return f.failover(ctx, "5", 5, 40) }},
		trial{"blob lost, index says present", f.lostBehindIndex},
		trial{"blob lost, cache says present", f.lostBehindCache},
		trial{"index damaged", f.damagedIndex},
		trial{"clock wrong: index of the future or the past", f.wrongClock},
		trial{"upstream slow", f.slowUpstream},
		trial{"DNS fails", f.noName},
		trial{"DNS hangs", f.hangingName},
		trial{"memory short", f.shortMemory},
		trial{"SIGTERM in mid-request", f.terminated},
	)
}
