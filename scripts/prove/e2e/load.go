package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// loadOptions are the size of a load.
type loadOptions struct {
	requests, clients, processes int
	atLeast, atMost              time.Duration
}

// loadTestbed is a testbed whose entry points take the address of each client
// from the request, and whose mirrors have the blobs of the load.
type loadTestbed struct {
	*testbed
	sets        *blobSets
	entryPoints map[string]*server // by kind
}

func (s *testSystem) newLoadTestbed(ctx context.Context, images *testImages, processes int, env map[string]string) (_ *loadTestbed, err error) {
	sets := newBlobSets()
	if err := sets.store(ctx, s.local); err != nil {
		return nil, err
	}
	index, _, err := buildIndex(sets.indexed)
	if err != nil {
		return nil, err
	}
	base, err := s.newTestbed(ctx, images, loadBalancer, processes, env)
	if err != nil {
		return nil, err
	}
	t := &loadTestbed{base, sets, map[string]*server{}}
	var served atomic.Pointer[[]byte]
	served.Store(index)
	t.bucket.injectIndex(&served, &atomic.Pointer[string]{})
	for _, kind := range kinds {
		if t.entryPoints[kind], err = t.listen(s.entryPointHandler(kind, t.api.Invoke, netip.Addr{})); err != nil {
			t.stop()
			return nil, err
		}
	}
	return t, nil
}

// load is a load while it runs.
type load struct {
	*loadTestbed
	options loadOptions
	mix     []loadRequest
	began   time.Time

	sent, wrong, failed atomic.Int64

	mu        sync.Mutex
	first     string // the first wrong response or failed request
	latencies []time.Duration
	statuses  map[string]int
	reasons   map[string]int
}

// run sends requests until there were enough of them and enough time has passed,
// and checks every response. progress is called every ten seconds; it may be
// nil.
func (t *loadTestbed) run(ctx context.Context, o loadOptions, mix []loadRequest, progress func(format string, args ...any)) *loadResult {
	ctx, cancel := context.WithTimeout(ctx, o.atMost)
	defer cancel()
	l := &load{loadTestbed: t, options: o, mix: mix, began: time.Now(), statuses: map[string]int{}, reasons: map[string]int{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var clients sync.WaitGroup
		for i := range o.clients {
			clients.Go(func() { l.runClient(ctx, uint64(i)) })
		}
		clients.Wait()
	}()
	memory := l.watchMemory(done, progress)
	r := l.result()
	r.Memory = memory
	if ctx.Err() != nil {
		r.timeout = fmt.Sprintf("did not finish within %s", time.Since(l.began).Round(time.Second))
	}
	return r
}

// runClient is one client of the load: it sends random requests of the mix, over
// one connection to each entry point.
func (l *load) runClient(ctx context.Context, seed uint64) {
	random := rand.New(rand.NewPCG(8, seed))
	conns := map[string]*conn{}
	for kind, s := range l.entryPoints {
		conns[kind] = &conn{address: s.address}
		defer conns[kind].close()
	}
	statuses, reasons := map[int]int{}, map[string]int{}
	latencies := make([]time.Duration, 0, min(l.options.requests/l.options.clients+1, 1<<16))
	for ctx.Err() == nil && (l.sent.Add(1) <= int64(l.options.requests) || time.Since(l.began) < l.options.atLeast) {
		r := &l.mix[random.IntN(len(l.mix))]
		start := time.Now()
		got, err := conns[r.entryPoint].do(r)
		took := time.Since(start)
		latencies = append(latencies, took)
		switch {
		case err != nil:
			l.count(&l.failed, fmt.Sprintf("%s: no response after %s: %v", r.name, seconds(took), err))
		case !r.accepts(got):
			l.count(&l.wrong, fmt.Sprintf("%s, after %s: got %+v, want %+v", r.name, seconds(took), got, r.accepted))
		}
		statuses[got.status]++
		reasons[got.reason]++
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latencies = append(l.latencies, latencies...)
	for status, n := range statuses {
		l.statuses[fmt.Sprint(status)] += n
	}
	for reason, n := range reasons {
		l.reasons[reason] += n
	}
}

func (l *load) count(counter *atomic.Int64, what string) {
	counter.Add(1)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.first == "" {
		l.first = what
	}
}

// watchMemory returns the memory of each process, once a second until done.
func (l *load) watchMemory(done <-chan struct{}, progress func(string, ...any)) []memoryCurve {
	curves := make([]memoryCurve, len(l.processes))
	read := func() (sum int) {
		for i, p := range l.processes {
			if kb, err := residentMemory(p.Pid()); err == nil {
				curves[i] = append(curves[i], kb)
				sum += kb
			}
		}
		return sum
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	read()
	for n := 1; ; n++ {
		select {
		case <-done:
			read()
			return curves
		case <-tick.C:
			sum := read()
			if n%10 == 0 && progress != nil {
				elapsed := time.Since(l.began)
				progress("%d requests in %s, %.0f per second, %d wrong, %d failed, %d MB per process",
					l.sent.Load(), elapsed.Round(time.Second), float64(l.sent.Load())/elapsed.Seconds(), l.wrong.Load(), l.failed.Load(), sum/len(curves)>>10)
			}
		}
	}
}
