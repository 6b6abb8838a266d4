package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"archeio/lambda/index"
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
const atOnce = 6

func (w *world) faults(ctx context.Context, o options, images *images) []check {
	var chosen []trial
	for _, t := range w.trials(o, images) {
		if o.only.MatchString("faults/" + t.name) {
			chosen = append(chosen, t)
		}
	}
	checks := make([]check, len(chosen))
	turn := make(chan struct{}, atOnce)
	var all sync.WaitGroup
	for i, t := range chosen {
		all.Go(func() {
			turn <- struct{}{}
			defer func() { <-turn }()
			bounded, cancel := context.WithTimeout(ctx, 7*time.Minute)
			defer cancel()
			began := time.Now()
			saw, err := t.try(bounded)
			checks[i] = verdict("faults", t.name, loadBalancer, saw, began, err)
		})
	}
	all.Wait()
	return checks
}

// broken are the ways in which a mirror fails.
type broken struct {
	name  string
	apply func(*server)
	// reasons that a cold function may then give; back is how long at most
	// until the mirror is used again.
	reason string
	back   time.Duration
	// harmless: clients see nothing of it, and the mirror goes on serving.
	harmless bool
}

func answer(status int) func(*server) {
	return func(s *server) {
		s.fail(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) })
	}
}

// breakerTime is how long a breaker stays open.
const breakerTime = 30 * time.Second

func mirrorFaults() []broken {
	return []broken{
		{name: "mirror down", apply: (*server).down, reason: "default-mirror", back: breakerTime},
		{name: "mirror hangs", apply: func(s *server) {
			s.fail(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		}, reason: "default-mirror", back: breakerTime},
		{name: "mirror resets", apply: func(s *server) {
			s.fail(func(w http.ResponseWriter, r *http.Request) { reset(w) })
		}, reason: "default-mirror", back: breakerTime},
		{name: "mirror answers 500", apply: answer(500), reason: "default-mirror", back: breakerTime},
		{name: "endless body to the check", apply: func(s *server) {
			s.fail(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					endless(w)
					return
				}
				s.handler.ServeHTTP(w, r)
			})
		}, reason: "aws-region", harmless: true},
	}
}

// endless answers 200 and then sends without an end, until nobody listens, 64
// MiB at most.
func endless(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	out := bufio.NewWriter(c)
	fmt.Fprint(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := "1000\r\n" + strings.Repeat("x", 0x1000) + "\r\n"
	for range 64 << 20 / 0x1000 {
		if _, err := out.WriteString(chunk); err != nil {
			return
		}
	}
}

// mirrorFault has a mirror fail before a function has asked it anything, and
// then behind a warm cache, and measures until clients see nothing of it, and
// until the mirror is used again after its end.
func (w *world) mirrorFault(ctx context.Context, images *images, b broken) (string, error) {
	cold, err := w.lab(ctx, images, 1, nil)
	if err != nil {
		return "", err
	}
	b.apply(cold.near)
	first := sum(cold.watch(ctx, 0+time.Millisecond, time.Minute, times(20)))
	cold.stop()
	if first.bad > 0 {
		return "", fmt.Errorf("cold, %d of 20 failed: %v", first.bad, first.err)
	}
	if first.reasons[b.reason] != 20 {
		return "", fmt.Errorf("cold, the reasons are %s, not %s", amounts(first.reasons), b.reason)
	}
	saw := fmt.Sprintf("cold: no error, slowest answer %dms", first.slowest.Milliseconds())
	if limit := labCheck + slack; first.slowest > limit {
		return saw, fmt.Errorf("an answer took %s, %s at most", first.slowest, limit)
	}

	l, err := w.lab(ctx, images, 1, nil)
	if err != nil {
		return saw, err
	}
	defer l.stop()
	if warm := sum(l.watch(ctx, time.Millisecond, time.Minute, times(3*len(l.blobs)))); warm.bad > 0 || warm.reasons["aws-region"] != warm.good {
		return saw, fmt.Errorf("before the fault, %d failed (%v), the reasons are %s", warm.bad, warm.err, amounts(warm.reasons))
	}
	began := time.Now()
	b.apply(l.near)
	limit := labInterval + labCheck
	quiet := limit + slack + time.Second
	seen := sum(l.watch(ctx, 25*time.Millisecond, quiet+time.Second, func(s []sample) bool {
		return time.Since(began) > quiet
	}))
	errorsFor := time.Duration(0)
	if seen.bad > 0 {
		errorsFor = seen.lastBad.Sub(began)
	}
	saw += fmt.Sprintf("; warm: %d errors in the first %s (bound %s), then %s", seen.bad, seconds(errorsFor), seconds(limit), amounts(without(seen.reasons, "aws-region", !b.harmless)))
	if errorsFor > limit+slack {
		return saw, fmt.Errorf("clients saw errors for %s: %v", errorsFor, seen.err)
	}
	if b.harmless {
		if seen.bad > 0 {
			return saw, fmt.Errorf("%d failed: %v", seen.bad, seen.err)
		}
		return saw, nil
	}
	began = time.Now()
	l.near.fail(nil)
	if b.name == "mirror down" {
		if err := l.near.up(); err != nil {
			return saw, err
		}
	}
	samples := l.watch(ctx, 100*time.Millisecond, b.back+10*time.Second, func(s []sample) bool {
		return s[len(s)-1].reason == "aws-region"
	})
	end := sum(samples)
	if end.bad > 0 || end.reasons["aws-region"] == 0 {
		return saw, fmt.Errorf("after its end, %d failed (%v), the reasons are %s", end.bad, end.err, amounts(end.reasons))
	}
	back := samples[len(samples)-1].at.Sub(began)
	saw += fmt.Sprintf("; used again after %s", seconds(back))
	if back > b.back+slack+time.Second {
		return saw, fmt.Errorf("the mirror was used again only after %s", back)
	}
	return saw, nil
}

func without(m map[string]int, name string, drop bool) map[string]int {
	if drop {
		delete(m, name)
	}
	return m
}

func (w *world) trials(o options, images *images) (trials []trial) {
	for _, b := range mirrorFaults() {
		trials = append(trials, trial{b.name, func(ctx context.Context) (string, error) { return w.mirrorFault(ctx, images, b) }})
	}
	return append(trials,
		trial{"circuit breaker", func(ctx context.Context) (string, error) { return w.breaker(ctx, images) }},
		trial{"mirror answers 403", func(ctx context.Context) (string, error) { return w.forbidden(ctx, images) }},
		trial{"failover, FAILOVER_BUDGET=0", func(ctx context.Context) (string, error) { return w.failover(ctx, images, "0", 0, 0) }},
		trial{"failover, FAILOVER_BUDGET=5", func(ctx context.Context) (string, error) { return w.failover(ctx, images, "5", 5, 40) }},
		trial{"blob lost, index says present", func(ctx context.Context) (string, error) { return w.lostBehindIndex(ctx, images) }},
		trial{"blob lost, cache says present", func(ctx context.Context) (string, error) { return w.lostBehindCache(ctx, images, o.full) }},
		trial{"index damaged", func(ctx context.Context) (string, error) { return w.damagedIndex(ctx, images) }},
		trial{"upstream slow", func(ctx context.Context) (string, error) { return w.slowUpstream(ctx, images) }},
		trial{"DNS fails", func(ctx context.Context) (string, error) { return w.noName(ctx, images) }},
		trial{"SIGTERM in mid-request", func(ctx context.Context) (string, error) { return w.terminated(ctx, images) }},
	)
}

// breaker counts the questions to a mirror that answers 500.
func (w *world) breaker(ctx context.Context, images *images) (string, error) {
	l, err := w.lab(ctx, images, 1, nil)
	if err != nil {
		return "", err
	}
	defer l.stop()
	answer(500)(l.near)
	bad := 0
	phase := func(heads int64, limit time.Duration) error {
		s := sum(l.watch(ctx, 50*time.Millisecond, limit, func([]sample) bool { return l.near.heads.Load() >= heads }))
		bad += s.bad
		if l.near.heads.Load() != heads {
			return fmt.Errorf("%d questions, not %d, within %s", l.near.heads.Load(), heads, limit)
		}
		return nil
	}
	if err := phase(5, 10*time.Second); err != nil {
		return "", err
	}
	opened := time.Now()
	if err := phase(6, breakerTime+5*time.Second); err != nil {
		return "", err
	}
	half := time.Since(opened)
	// It failed, so the breaker stays open.
	if s := sum(l.watch(ctx, 20*time.Millisecond, time.Minute, times(50))); s.bad > 0 || l.near.heads.Load() != 6 {
		return "", fmt.Errorf("after the trial that failed, %d questions and %d errors", l.near.heads.Load()-6, s.bad)
	}
	again := time.Now()
	l.near.fail(nil)
	if err := phase(7, breakerTime+5*time.Second); err != nil {
		return "", err
	}
	closed := time.Since(again)
	s := sum(l.watch(ctx, 10*time.Millisecond, time.Minute, times(20)))
	saw := fmt.Sprintf("opens after 5 questions; one trial after %s, which fails; the next one closes it, %s later; then %s; %d errors", seconds(half), seconds(closed), amounts(s.reasons), bad+s.bad)
	if bad+s.bad > 0 || s.reasons["aws-region"] != 20 || half < breakerTime-slack {
		return saw, fmt.Errorf("not what a breaker of %s does", breakerTime)
	}
	return saw, nil
}

// forbidden: S3 says so of what is not there, so it is no fault to a function
// that asks.
func (w *world) forbidden(ctx context.Context, images *images) (string, error) {
	l, err := w.lab(ctx, images, 1, nil)
	if err != nil {
		return "", err
	}
	defer l.stop()
	answer(403)(l.near)
	s := sum(l.watch(ctx, time.Millisecond, time.Minute, times(30)))
	saw := fmt.Sprintf("cold: %d errors, slowest answer %dms, %s; warm: see blob lost", s.bad, s.slowest.Milliseconds(), amounts(s.reasons))
	if s.bad > 0 || s.reasons["default-mirror"] != 30 {
		return saw, fmt.Errorf("%d failed: %v", s.bad, s.err)
	}
	return saw, nil
}

// failover: the mirror of the region fails, and then the default mirror too.
func (w *world) failover(ctx context.Context, images *images, budget string, least, most int) (string, error) {
	l, err := w.lab(ctx, images, 1, map[string]string{"FAILOVER_BUDGET": budget})
	if err != nil {
		return "", err
	}
	defer l.stop()
	answer(500)(l.near)
	began := time.Now()
	one := sum(l.watch(ctx, 20*time.Millisecond, time.Minute, times(150)))
	took := time.Since(began)
	l.check.down()
	two := sum(l.watch(ctx, 20*time.Millisecond, time.Minute, times(100)))
	n := one.reasons["failover-region"]
	saw := fmt.Sprintf("150 requests in %s: %s; default mirror down too: %s; %d errors", seconds(took), amounts(one.reasons), amounts(two.reasons), one.bad+two.bad)
	if allowed := int(took.Seconds()*float64(least)) + 2*least; n < least || n > min(most, allowed) {
		return saw, fmt.Errorf("%d requests went to the next mirror, %d to %d may", n, least, min(most, allowed))
	}
	// What the function remembers of the default mirror holds for the interval.
	if one.bad > 0 || two.bad > 0 || two.reasons["mirror-unavailable"] == 0 {
		return saw, fmt.Errorf("%d failed: %v %v", one.bad+two.bad, one.err, two.err)
	}
	return saw, nil
}

// shelve has a server hand out an index, and lose one blob.
func shelve(s *server, data *atomic.Pointer[[]byte], lost *atomic.Pointer[string]) {
	s.fail(func(w http.ResponseWriter, r *http.Request) {
		if d := lost.Load(); d != nil && strings.HasSuffix(r.URL.Path, *d) {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		if b := data.Load(); b != nil && strings.HasSuffix(r.URL.Path, "/"+index.Name) {
			w.Write(*b)
			return
		}
		s.handler.ServeHTTP(w, r)
	})
}

func makeIndex(digests []string) (*[]byte, time.Time, error) {
	var prefixes []uint64
	for _, d := range digests {
		if p, ok := index.Prefix(d); ok {
			prefixes = append(prefixes, p)
		}
	}
	now := time.Now()
	b, err := index.Make(now, prefixes)
	return &b, now, err
}

// indexed is a lab whose mirrors hand out an index.
func (w *world) indexed(ctx context.Context, images *images, refresh, age time.Duration) (l *lab, data *atomic.Pointer[[]byte], lost *atomic.Pointer[string], err error) {
	l, err = w.lab(ctx, images, 1, map[string]string{"MIRROR_INDEX_REFRESH": refresh.String(), "MIRROR_INDEX_MAX_AGE": age.String()})
	if err != nil {
		return nil, nil, nil, err
	}
	data, lost = &atomic.Pointer[[]byte]{}, &atomic.Pointer[string]{}
	for _, s := range []*server{l.near, l.far, l.check} {
		shelve(s, data, lost)
	}
	return l, data, lost, nil
}

// lostBehindIndex: nobody has asked for the blob, so only the index speaks of it.
func (w *world) lostBehindIndex(ctx context.Context, images *images) (string, error) {
	const refresh, age = time.Second, 6 * time.Second
	l, data, lost, err := w.indexed(ctx, images, refresh, age)
	if err != nil {
		return "", err
	}
	defer l.stop()
	all := l.blobs
	gone := all[len(all)-1]
	b, listed, err := makeIndex(all)
	if err != nil {
		return "", err
	}
	data.Store(b)
	l.blobs = all[:1]
	// The index is there when the blobs that nobody asked for need no question.
	l.watch(ctx, 20*time.Millisecond, 3*time.Second, func([]sample) bool { return time.Since(listed) > refresh+500*time.Millisecond })
	lost.Store(&gone)
	l.blobs = []string{gone}
	old := sum(l.watch(ctx, 50*time.Millisecond, age+5*time.Second, func(s []sample) bool { return s[len(s)-1].err == nil && time.Since(listed) > age }))
	stale := time.Duration(0)
	if old.bad > 0 {
		stale = old.lastBad.Sub(listed)
	}
	saw := fmt.Sprintf("MIRROR_INDEX_MAX_AGE=%s: 404 until the index is %s old, then %s", age, seconds(stale), amounts(old.reasons))
	if old.bad == 0 {
		return saw, fmt.Errorf("the index was not used")
	}
	if old.good == 0 || stale > age+slack {
		return saw, fmt.Errorf("the index was believed for %s", stale)
	}
	// A fresh index without the blob ends it sooner.
	lost.Store(nil)
	l2, data, lost, err := w.indexed(ctx, images, refresh, time.Hour)
	if err != nil {
		return saw, err
	}
	defer l2.stop()
	if b, listed, err = makeIndex(all); err != nil {
		return saw, err
	}
	data.Store(b)
	l2.blobs = all[:1]
	l2.watch(ctx, 20*time.Millisecond, 3*time.Second, func([]sample) bool { return time.Since(listed) > refresh+500*time.Millisecond })
	lost.Store(&gone)
	if b, _, err = makeIndex(all[:len(all)-1]); err != nil {
		return saw, err
	}
	began := time.Now()
	data.Store(b)
	l2.blobs = []string{gone, all[0]}
	soon := sum(l2.watch(ctx, 50*time.Millisecond, 10*time.Second, func(s []sample) bool { return time.Since(began) > 4*time.Second }))
	stale = 0
	if soon.bad > 0 {
		stale = soon.lastBad.Sub(began)
	}
	saw += fmt.Sprintf("; a new index without it ends that in %s (refresh %s)", seconds(stale), refresh)
	if stale > 2*refresh+slack {
		return saw, fmt.Errorf("the old index was believed for %s", stale)
	}
	return saw, nil
}

// lostBehindCache takes as long as it is remembered that a mirror has a blob.
func (w *world) lostBehindCache(ctx context.Context, images *images, full bool) (string, error) {
	if !full {
		return "", fmt.Errorf("%w: it takes the 5 minutes that present is remembered; -full", errSkipped)
	}
	l, err := w.lab(ctx, images, 1, nil)
	if err != nil {
		return "", err
	}
	defer l.stop()
	l.blobs = l.blobs[:1]
	l.watch(ctx, time.Millisecond, time.Minute, times(3))
	asked := time.Now()
	answer(404)(l.near)
	s := sum(l.watch(ctx, 100*time.Millisecond, 6*time.Minute, func(s []sample) bool { return s[len(s)-1].err == nil }))
	stale := s.lastBad.Sub(asked)
	saw := fmt.Sprintf("404 for %s (bound 300s), then %s", seconds(stale), amounts(s.reasons))
	if s.good == 0 || s.bad == 0 || stale > 5*time.Minute+slack {
		return saw, fmt.Errorf("believed for %s", stale)
	}
	return saw, nil
}

// damagedIndex: a broken index is none, and a good one counts as soon as it is
// there.
func (w *world) damagedIndex(ctx context.Context, images *images) (string, error) {
	const refresh = time.Second
	l, data, _, err := w.indexed(ctx, images, refresh, time.Hour)
	if err != nil {
		return "", err
	}
	defer l.stop()
	whole, _, err := makeIndex(l.blobs)
	if err != nil {
		return "", err
	}
	torn := append([]byte{}, *whole...)
	torn[len(torn)-1] ^= 1
	data.Store(&torn)
	s := sum(l.watch(ctx, 20*time.Millisecond, time.Minute, times(100)))
	asked := l.near.heads.Load()
	saw := fmt.Sprintf("%d errors in 100, %s, %d questions to the mirror", s.bad, amounts(s.reasons), asked)
	if s.bad > 0 || s.reasons["aws-region"] != 100 || int(asked) < len(l.blobs) {
		return saw, fmt.Errorf("%d failed: %v", s.bad, s.err)
	}
	return saw, nil
}

func (w *world) slowUpstream(ctx context.Context, images *images) (string, error) {
	const delay = 2 * time.Second
	l, err := w.lab(ctx, images, 1, nil)
	if err != nil {
		return "", err
	}
	defer l.stop()
	l.upstream.fail(func(w http.ResponseWriter, r *http.Request) {
		late := time.NewTimer(delay)
		defer late.Stop()
		select {
		case <-late.C:
			l.upstream.handler.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
	began := time.Now()
	a, err := fetch(ctx, l.transport, http.MethodGet, l.front.base+"/v2/"+singleRepo+"/manifests/"+tag, map[string]string{"Accept": "application/vnd.oci.image.manifest.v1+json"})
	took := time.Since(began)
	if err != nil {
		return "", err
	}
	s := sum(l.watch(ctx, time.Millisecond, time.Minute, times(30)))
	saw := fmt.Sprintf("upstream answers after %s: a manifest takes %s; blobs from mirrors: %d errors, slowest answer %dms", delay, seconds(took), s.bad, s.slowest.Milliseconds())
	if a.last.StatusCode != http.StatusOK || s.bad > 0 || s.slowest > slack {
		return saw, fmt.Errorf("%s, %v", a.last.Status, s.err)
	}
	return saw, hashes(a.body, images.single.digest.String())
}

// noName has a mirror whose name does not resolve. No resolver is asked for a
// name under .onion (RFC 7686).
func (w *world) noName(ctx context.Context, images *images) (string, error) {
	l, err := w.lab(ctx, images, 1, map[string]string{"MIRROR_URL_OVERRIDES": "us-east-1=https://mirror.onion"})
	if err != nil {
		return "", err
	}
	defer l.stop()
	s := sum(l.watch(ctx, time.Millisecond, time.Minute, times(50)))
	saw := fmt.Sprintf("%d errors, slowest answer %dms, %s", s.bad, s.slowest.Milliseconds(), amounts(s.reasons))
	if s.bad > 0 || s.reasons["default-mirror"] != 50 || s.slowest > labCheck+slack {
		return saw, fmt.Errorf("%d failed: %v", s.bad, s.err)
	}
	return saw, nil
}

// terminated ends one of two processes while it works. The service sends
// SIGTERM to one that is idle; here it is one that waits for a mirror.
func (w *world) terminated(ctx context.Context, images *images) (string, error) {
	l, err := w.lab(ctx, images, 2, map[string]string{"MIRROR_CHECK_TIMEOUT": "1s"})
	if err != nil {
		return "", err
	}
	defer l.stop()
	waiting := make(chan struct{}, 64)
	l.near.fail(func(w http.ResponseWriter, r *http.Request) {
		waiting <- struct{}{}
		<-r.Context().Done()
	})
	const n = 2
	results := make(chan sample, n)
	for i := range n {
		go func() { results <- l.get(ctx, l.blobs[i]) }()
	}
	for range n {
		select {
		case <-waiting:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
	}
	if err := syscall.Kill(l.processes[0].Pid(), syscall.SIGTERM); err != nil {
		return "", err
	}
	l.near.fail(nil)
	after := sum(l.watch(ctx, time.Millisecond, time.Minute, times(50)))
	lost := 0
	for range n {
		if r := <-results; r.err != nil {
			lost++
		}
	}
	saw := fmt.Sprintf("%d of %d requests in flight lost (the one in the process that ended), %d errors in the next 50 by the other one", lost, n, after.bad)
	if lost > 1 || after.bad > 0 {
		return saw, fmt.Errorf("%d failed: %v", lost+after.bad, after.err)
	}
	return saw, nil
}
