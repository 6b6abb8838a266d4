package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"archeio/scripts/lab/system"
)

// load is how much is asked of the function.
type load struct {
	requests, clients, processes int
	least, most                  time.Duration
}

// loaded is what came of it.
type loaded struct {
	Requests  int64   `json:"requests"`
	Clients   int     `json:"clients"`
	Processes int     `json:"processes"`
	Kinds     int     `json:"kinds"`
	Wrong     int64   `json:"wrong"`
	Lost      int64   `json:"lost"`
	Seconds   float64 `json:"seconds"`
	PerSecond float64 `json:"perSecond"`
	P50       float64 `json:"p50Milliseconds"`
	P99       float64 `json:"p99Milliseconds"`
	Slowest   float64 `json:"slowestMilliseconds"`
	// Questions is how many HEADs the mirrors got.
	Questions int64          `json:"questions"`
	Statuses  map[string]int `json:"statuses"`
	Reasons   map[string]int `json:"reasons"`
	// Memory is that of each process in kB, once a second.
	Memory []curve `json:"memory"`

	first string // the first that was wrong or lost
	short string // why it ended before its time
}

// stock fills the mirrors with what a load asks for.
func (w *world) stock(ctx context.Context, s *shelves) error {
	put := func(bucket, region string, blob []byte, digest string) error {
		sum, err := hex.DecodeString(strings.TrimPrefix(digest, "sha256:"))
		if err != nil {
			return err
		}
		key := "containers/images/" + digest
		if _, err := w.stack.Client(region).PutObject(ctx, &s3.PutObjectInput{
			Bucket: &bucket, Key: &key, Body: bytes.NewReader(blob), ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum)),
		}); err != nil {
			return fmt.Errorf("putting %q into bucket %q: %w", key, bucket, err)
		}
		return nil
	}
	near, far := system.Regions[0], system.Regions[1]
	for _, x := range []struct {
		kind     string
		digests  []string
		only, at string // empty for all mirrors
	}{
		{"everywhere", s.everywhere, "", ""}, {"indexed", s.indexed, "", ""},
		{"near", s.near, "mirror-" + near, near}, {"far", s.far, "mirror-" + far, far}, {"default", s.byDefault, system.Buckets[1], near},
	} {
		for i, d := range x.digests {
			var err error
			if x.only == "" {
				err = w.stack.Put(ctx, content(x.kind, i))
			} else {
				err = put(x.only, x.at, content(x.kind, i), d)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// loadLab is a lab whose fronts believe every client's word about its address,
// and whose mirrors hold and list what a load asks for.
type loadLab struct {
	*lab
	shelves *shelves
	fronts  map[string]*server
}

func (w *world) loadLab(ctx context.Context, images *images, processes int, env map[string]string) (*loadLab, error) {
	s := newShelves()
	if err := w.stock(ctx, s); err != nil {
		return nil, err
	}
	l, err := w.lab(ctx, images, loadBalancer, processes, env)
	if err != nil {
		return nil, err
	}
	x := &loadLab{l, s, map[string]*server{}}
	index, _, err := makeIndex(s.indexed)
	if err != nil {
		l.stop()
		return nil, err
	}
	data := &atomic.Pointer[[]byte]{}
	data.Store(index)
	shelve(l.check, data, &atomic.Pointer[string]{})
	for _, shape := range []string{loadBalancer, distribution} {
		f, err := listenAs(shape, nil, w.front(shape, l.api.Invoke, netip.Addr{}))
		if err != nil {
			x.close()
			return nil, err
		}
		x.fronts[shape] = f
	}
	return x, nil
}

func (x *loadLab) close() {
	for _, f := range x.fronts {
		f.down()
	}
	x.stop()
}

// questions is how many HEADs the mirrors got.
func (x *loadLab) questions() int64 {
	return x.near.heads.Load() + x.far.heads.Load() + x.check.heads.Load()
}

// run has clients ask until there were enough requests and enough time has
// passed, and compares every answer. progress gets a line every ten seconds.
func (x *loadLab) run(ctx context.Context, o load, mix []asked, progress func(string)) *loaded {
	ctx, cancel := context.WithTimeout(ctx, o.most)
	defer cancel()
	r := &loaded{Clients: o.clients, Processes: len(x.processes), Kinds: len(mix), Statuses: map[string]int{}, Reasons: map[string]int{}, Memory: make([]curve, len(x.processes))}
	var sent, wrong, lost atomic.Int64
	began := time.Now()
	var mu sync.Mutex
	bad := func(count *atomic.Int64, what string) {
		count.Add(1)
		mu.Lock()
		defer mu.Unlock()
		if r.first == "" {
			r.first = what
		}
	}
	var took []time.Duration
	client := func(seed uint64) {
		random := rand.New(rand.NewPCG(8, seed))
		wires := map[string]*wire{}
		for shape, s := range x.fronts {
			wires[shape] = &wire{address: s.address}
			defer wires[shape].close()
		}
		statuses, reasons := map[int]int{}, map[string]int{}
		own := make([]time.Duration, 0, min(o.requests/o.clients+1, 1<<16))
		for ctx.Err() == nil && (sent.Add(1) <= int64(o.requests) || time.Since(began) < o.least) {
			a := &mix[random.IntN(len(mix))]
			start := time.Now()
			got, err := wires[a.front].do(a)
			took := time.Since(start)
			own = append(own, took)
			switch {
			case err != nil:
				bad(&lost, fmt.Sprintf("%s: no answer after %s: %v", a.name, seconds(took), err))
			case !a.right(got):
				bad(&wrong, fmt.Sprintf("%s, after %s: %+v, expected %+v", a.name, seconds(took), got, a.wants))
			}
			statuses[got.status]++
			reasons[got.reason]++
		}
		mu.Lock()
		defer mu.Unlock()
		took = append(took, own...)
		for s, n := range statuses {
			r.Statuses[fmt.Sprint(s)] += n
		}
		for s, n := range reasons {
			r.Reasons[s] += n
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var clients sync.WaitGroup
		for i := range o.clients {
			clients.Go(func() { client(uint64(i)) })
		}
		clients.Wait()
	}()
	look := func() (sum int) {
		for i, p := range x.processes {
			if kb, err := resident(p.Pid()); err == nil {
				r.Memory[i] = append(r.Memory[i], kb)
				sum += kb
			}
		}
		return sum
	}
	every := time.NewTicker(time.Second)
	defer every.Stop()
	look()
	for n, going := 1, true; going; n++ {
		select {
		case <-done:
			going = false
		case <-every.C:
			if sum := look(); n%10 == 0 && progress != nil {
				s := min(sent.Load(), max(int64(o.requests), sent.Load()))
				progress(fmt.Sprintf("load: %d requests in %s, %.0f a second, %d wrong, %d lost, processes have %d MB each",
					s, time.Since(began).Round(time.Second), float64(s)/time.Since(began).Seconds(), wrong.Load(), lost.Load(), sum/len(x.processes)>>10))
			}
		}
	}
	elapsed := time.Since(began)
	look()
	if ctx.Err() != nil {
		r.short = fmt.Sprintf("it was not through after %s", elapsed.Round(time.Second))
	}
	r.Requests, r.Wrong, r.Lost, r.Seconds = int64(len(took)), wrong.Load(), lost.Load(), elapsed.Seconds()
	r.PerSecond = float64(r.Requests) / r.Seconds
	slices.Sort(took)
	ms := func(part float64) float64 {
		if len(took) == 0 {
			return 0
		}
		return float64(took[int(part*float64(len(took)-1))].Microseconds()) / 1000
	}
	r.P50, r.P99, r.Slowest = ms(0.5), ms(0.99), ms(1)
	r.Questions = x.questions()
	return r
}

// answers is the verdict on the answers: none wrong, none lost, and as many as
// were asked for.
func (r *loaded) answers(o load) error {
	switch {
	case r.Wrong+r.Lost > 0:
		return fmt.Errorf("%d answers are wrong and %d are lost; the first: %s", r.Wrong, r.Lost, r.first)
	case r.short != "":
		return fmt.Errorf("%s: %d requests of %d", r.short, r.Requests, o.requests)
	case r.Requests < int64(o.requests) || r.Seconds < o.least.Seconds():
		return fmt.Errorf("%d requests in %.0fs, %d in %s were to be", r.Requests, r.Seconds, o.requests, o.least)
	}
	return nil
}

// memory is the verdict on the memory of the processes.
func (r *loaded) memory() error {
	if len(r.Memory) == 0 {
		return fmt.Errorf("no process was looked at")
	}
	for i, c := range r.Memory {
		if !c.flat() {
			return fmt.Errorf("process %d has %.1f MB at the end, %.1f MB when it was warm, %d MB more may be", i+1, mb(c.at(1)), mb(c.at(warmUp)), growth>>10)
		}
	}
	return nil
}

func mb(kb int) float64 { return float64(kb) / 1024 }

var memoryHead = []string{"PROCESS", "START", "WARM", "1/4", "1/2", "3/4", "END", "MB RESIDENT"}

// curves are the rows of the table of the memory.
func (r *loaded) curves() (rows [][]string) {
	for i, c := range r.Memory {
		row := []string{fmt.Sprint(i + 1), "-"}
		if len(c) > 0 {
			row[1] = fmt.Sprintf("%.1f", mb(c[0])) // before the first request
		}
		for _, part := range []float64{warmUp, 0.25, 0.5, 0.75, 1} {
			row = append(row, fmt.Sprintf("%.1f", mb(c.at(part))))
		}
		rows = append(rows, append(row, sparkline(c, 60)))
	}
	return rows
}

// underLoad is the part load: a great many requests, and then fewer at a
// function that answers several at once, with the race detector.
func (w *world) underLoad(ctx context.Context, o options, images *images, say func(string)) (checks []check, r *loaded, err error) {
	if o.only.MatchString("load/answers") || o.only.MatchString("load/memory") {
		began := time.Now()
		x, err := w.loadLab(ctx, images, o.load.processes, map[string]string{
			"MIRROR_CHECK_TIMEOUT": "1s", "MIRROR_HEALTH_INTERVAL": "10s", "MIRROR_INDEX_REFRESH": "10s", "MIRROR_INDEX_MAX_AGE": "24h",
		})
		if err != nil {
			return nil, nil, err
		}
		defer x.close()
		expected, err := oracle(x.env, x.shelves, false)
		if err != nil {
			return nil, nil, err
		}
		r = x.run(ctx, o.load, x.shelves.mix(ctx, expected), say)
		saw := fmt.Sprintf("%d requests of %d kinds by %d clients to %d processes in %.0fs: %.0f a second, p50 %.1f ms, p99 %.1f ms; %d wrong, %d lost; %d questions to mirrors; %s",
			r.Requests, r.Kinds, r.Clients, r.Processes, r.Seconds, r.PerSecond, r.P50, r.P99, r.Wrong, r.Lost, r.Questions, amounts(r.Statuses))
		checks = append(checks, verdict("load", "answers", "both", saw, began, r.answers(o.load)))
		var warm, end int
		for _, c := range r.Memory {
			warm, end = max(warm, c.at(warmUp)), max(end, c.at(1))
		}
		saw = fmt.Sprintf("largest process: %.1f MB warm, %.1f MB at the end, %d MB more may be", mb(warm), mb(end), growth>>10)
		checks = append(checks, verdict("load", "memory", "both", saw, began, r.memory()))
	}
	if o.only.MatchString("load/concurrent mode") && ctx.Err() == nil {
		say("asking a function that answers several at once, with the race detector")
		began := time.Now()
		saw, err := w.concurrent(ctx, images)
		checks = append(checks, verdict("load", "concurrent mode, -race", "both", saw, began, err))
	}
	return checks, r, nil
}
