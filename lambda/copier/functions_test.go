package copier

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"archeio/scripts/lab/rude"
)

// memoryQueue is a queue in memory that delivers each message five times at most. Delayed
// messages wait for all others.
type memoryQueue struct {
	mu      sync.Mutex
	waiting []delivery
	// inFlight is the number of messages that a worker is processing, as Waiting returns it.
	inFlight int
	sent     int
	dead     []string
}

type delivery struct {
	body     string
	delay    time.Duration
	received int
}

func (q *memoryQueue) Send(_ context.Context, messages ...Message) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range messages {
		body, err := json.Marshal(m)
		if err != nil {
			return err
		}
		q.waiting = append(q.waiting, delivery{body: string(body), delay: m.Delay})
		q.sent++
	}
	return nil
}

func (q *memoryQueue) Waiting(context.Context) (waiting, inFlight int, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting), q.inFlight, nil
}

func (q *memoryQueue) next() (d delivery, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return d, false
	}
	i := max(0, slices.IndexFunc(q.waiting, func(d delivery) bool { return d.delay == 0 }))
	d = q.waiting[i]
	q.waiting = slices.Delete(q.waiting, i, i+1)
	d.received++
	return d, true
}

func (q *memoryQueue) failed(d delivery) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if d.received >= 5 {
		q.dead = append(q.dead, d.body)
	} else {
		q.waiting = append(q.waiting, d)
	}
}

// invocation is the time limit of the deployed functions.
const invocation = 15 * time.Minute

// deployed is a Filler with a queue, buckets and a state of its own.
type deployed struct {
	*Filler
	queue   *memoryQueue
	memory  *memory
	log     *bytes.Buffer
	metrics *bytes.Buffer
}

func deploy(t *testing.T, s *rude.Server, f *Filler) *deployed {
	t.Helper()
	d := &deployed{Filler: f, queue: &memoryQueue{}, memory: newMemory(), log: &bytes.Buffer{}, metrics: &bytes.Buffer{}}
	f.Buckets = []*Bucket{d.memory.bucket("primary", "us-east-1"), d.memory.bucket("replica", "eu-central-1")}
	f.Regions = []string{"us-east-1", "eu-central-1"}
	f.State, f.Queue, f.Referrers = Folder(t.TempDir()), d.queue, true
	f.Log, f.Metrics = slog.New(slog.NewTextHandler(d.log, nil)), d.metrics
	return d
}

// work delivers all messages, one invocation each.
func (d *deployed) work(t *testing.T) {
	t.Helper()
	for {
		m, ok := d.queue.next()
		if !ok {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), invocation)
		if err := d.Work(ctx, m.body); err != nil {
			d.queue.failed(m)
		}
		cancel()
	}
}

// fill runs the planner and the workers, and returns the outcome.
func (d *deployed) fill(t *testing.T) rude.Outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), invocation)
	defer cancel()
	before := len(d.queue.dead)
	r, err := d.Plan(ctx)
	if err != nil {
		d.log.WriteString(err.Error() + "\n")
		return rude.Refused
	}
	d.work(t)
	switch {
	case slices.ContainsFunc(d.queue.dead[before:], func(body string) bool { return strings.Contains(body, `"do":"plan"`) }):
		return rude.Refused // the planner did not get through the listing
	case len(d.queue.dead) > before:
		return rude.Incomplete
	case r.Empty:
		return rude.Empty
	}
	return rude.Full
}

// TestFillHabits fills mirrors from registries with bad habits, as the deployed
// functions do.
func TestFillHabits(t *testing.T) {
	t.Parallel()
	for i, habits := range rudeSets(t) {
		if i%6 != 0 { // the engine is the same
			continue
		}
		t.Run(strings.Join(habits, "+"), func(t *testing.T) {
			t.Parallel()
			content := rudeContent()
			synctest.Test(t, func(t *testing.T) { fillAll(t, content, habits) })
		})
	}
}

func fillAll(t *testing.T, content *rude.Content, habits []string) {
	s, client := rudeSource(t, content, habits)
	want := s.Want(rude.Run{Referrers: true})
	d := deploy(t, s, &Filler{Source: client})
	outcome := d.fill(t)
	if outcome == rude.Incomplete && !want.Allows(outcome) && hasGroup(habits, "passing", "429") {
		d.queue.dead = nil
		outcome = d.fill(t) // one was unlucky
	}
	details := d.log.String()
	if lines := strings.Split(details, "\n"); len(lines) > 8 {
		details = strings.Join(lines[:8], "\n")
	}
	if !want.Allows(outcome) {
		t.Errorf("outcome %v, want %v; dead letters %q\n%s", outcome, want.Outcomes, d.queue.dead, details)
	}
	for _, b := range d.Buckets {
		checkBlobs(t, d.memory.blobs(b), want, outcome, details)
	}
	// What a source lists makes the queue grow no more than what it has.
	if most := 5 * (len(want.Tags) + 20); d.queue.sent > most {
		t.Errorf("%d messages, want at most %d", d.queue.sent, most)
	}
	for _, violation := range s.Violations() {
		t.Errorf("violation: %s", violation)
	}
}

// TestTwoDays runs the deployed functions for 48 hours against a registry that does not
// have all that it names: nothing becomes a dead letter, what is absent is reported once
// and requested once a day, and no alarm would fire.
func TestTwoDays(t *testing.T) {
	t.Parallel()
	content := rudeContent()
	synctest.Test(t, func(t *testing.T) {
		s, client := rudeSource(t, content, []string{"sparse-index", "blob-404", "tag-404"})
		want := s.Want(rude.Run{Referrers: true})
		d := deploy(t, s, &Filler{Source: client})
		const every = 4 * time.Hour
		var first int // requests of the first run
		for at := time.Duration(0); at < 48*time.Hour; at += every {
			if outcome := d.fill(t); outcome != rude.Full {
				t.Fatalf("after %v: %v, dead letters %q\n%s", at, outcome, d.queue.dead, d.log)
			}
			if at == 0 {
				first = s.Total()
				if n := strings.Count(d.log.String(), `msg="not in the source"`); n == 0 {
					t.Error("the first run does not report what is absent")
				}
				d.log.Reset()
			}
			if at%(24*time.Hour) == every {
				d.metrics.Reset()
				ctx, cancel := context.WithTimeout(t.Context(), invocation)
				r, err := d.Status(ctx)
				cancel()
				if err != nil || r.Messages != 0 {
					t.Errorf("status after %v: %+v, error %v", at, r, err)
				}
				if got := d.metrics.String(); strings.Count(got, `"MissingBlobs":0`) != 2 || strings.Contains(got, "NeedsMirrorCopy") {
					t.Errorf("metrics of a status after %v: %s", at, got)
				}
			}
			time.Sleep(every)
		}
		if log := d.log.String(); strings.Contains(log, "not in the source") || strings.Contains(log, "level=ERROR") {
			t.Errorf("later runs report something:\n%s", log)
		}
		for key, n := range s.Requests() {
			// A tag is always requested, a digest that is absent once a day.
			if strings.HasPrefix(key, "manifest ") && strings.Contains(key, "sha256:") && n > 2*3 {
				t.Errorf("%d requests for %s in two days", n, key)
			}
		}
		for _, b := range d.Buckets {
			checkBlobs(t, d.memory.blobs(b), want, rude.Full, "")
		}
		t.Logf("%d requests of the first run, %d of 12 runs", first, s.Total())
	})
}
