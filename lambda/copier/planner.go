package copier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"archeio/lambda/metrics"
	"archeio/lambda/registry"
)

const (
	// runTimeout is how long a run without a saved step counts as in progress.
	runTimeout = 30 * time.Minute
	// maxRunAge is the age from which an unfinished run is replaced by a new
	// one.
	maxRunAge = 24 * time.Hour
)

// job is the progress of a planner run. It is saved after every step, so that
// another process can continue it.
type job struct {
	Run     string    `json:"run"`
	Began   time.Time `json:"began"`
	Touched time.Time `json:"touched"`
	// Inventory is what the buckets have, nil before they are listed. Part is the next
	// part to list, Due are those of which the replicas are listed too, Found the names
	// of what workers have found before, Obsolete those of what is deleted after the
	// listing. Listed reports whether all is done.
	Inventory *inventory `json:"inventory,omitempty"`
	Part      int        `json:"part,omitempty"`
	Due       []bool     `json:"due,omitempty"`
	Found     []string   `json:"found,omitempty"`
	Obsolete  []string   `json:"obsolete,omitempty"`
	Listed    bool       `json:"listed"`
	// After is where the next names start, Sent the number of messages.
	After string `json:"after"`
	Sent  int    `json:"sent"`
	// Repositories is the number of those that the source has listed.
	Repositories int `json:"repositories,omitempty"`
	// Round is the last run that has enqueued all repositories, RoundBegan its time, and
	// RoundBuckets its buckets.
	Round        string    `json:"round,omitempty"`
	RoundBegan   time.Time `json:"roundBegan,omitzero"`
	RoundBuckets []string  `json:"roundBuckets,omitempty"`
	// Unreceived is when the oldest round began of which not all messages were received.
	Unreceived time.Time `json:"unreceived,omitzero"`
	// FilledBuckets are the RoundBuckets of the last such run after which all work was done:
	// their first fill is over.
	FilledBuckets []string `json:"filledBuckets,omitempty"`
	// Waiting is the number of messages in the queue when the run began.
	Waiting int `json:"waiting,omitempty"`
	// Missing is the number of blobs missing from each bucket, for a status run.
	Missing []int `json:"missing,omitempty"`
	// Unnamed are the blobs that only a copy from the shell can fill when a status run
	// began, of which no manifest that was read refers to one that is missing.
	Unnamed []string `json:"unnamed,omitempty"`
	Done    bool     `json:"done"`
}

// filled reports whether the first fill of all of some buckets is over. Their order, and
// which one is the primary, does not matter.
func (j *job) filled(buckets []string) bool {
	return !slices.ContainsFunc(buckets, func(name string) bool { return !slices.Contains(j.FilledBuckets, name) })
}

// ownBuckets returns those of some buckets that the Filler has.
func (f *Filler) ownBuckets(names []string) []string {
	own := f.bucketNames()
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(own, name) })
}

// PlanResult is the state of a planner run at the end of an invocation.
type PlanResult struct {
	Run string `json:"run"`
	// Messages is the number of messages enqueued so far.
	Messages int `json:"messages"`
	// Done reports whether everything is enqueued; if not, the run continues
	// with a message that it has sent to itself.
	Done bool `json:"done"`
	// Waiting is the number of messages of earlier runs that were still in the queue, if
	// therefore nothing was enqueued.
	Waiting int `json:"waiting,omitempty"`
	// Empty reports that the source has no repositories.
	Empty bool `json:"empty,omitempty"`
}

// Plan starts a run that enqueues every repository of the source, unless a run
// is in progress.
func (f *Filler) Plan(ctx context.Context) (*PlanResult, error) { return f.run(ctx, doPlan, "") }

// Status starts a run that compares the manifest cache with the buckets and
// enqueues the repositories with missing blobs. It sends no requests to the
// source.
func (f *Filler) Status(ctx context.Context) (*PlanResult, error) { return f.run(ctx, doStatus, "") }

// run continues the named run, or starts one if the name is empty. If its time
// is up before the end, it sends a message to continue it.
func (f *Filler) run(ctx context.Context, kind, run string) (*PlanResult, error) {
	if len(f.Buckets) > maxBuckets {
		return nil, fmt.Errorf("%d buckets configured: want at most %d", len(f.Buckets), maxBuckets)
	}
	j, result, err := f.openJob(ctx, kind, run)
	if result != nil || err != nil {
		return result, err
	}
	c := clockOf(ctx)
	ctx, cancel := context.WithDeadlineCause(ctx, c.end, errTimeUp)
	defer cancel()
	p := &planRun{filler: f, job: j, kind: kind, clock: c}
	err = p.advance(ctx)
	if err != nil && (errors.Is(err, errTimeUp) || errors.Is(context.Cause(ctx), errTimeUp)) {
		if err = errors.New("the timeout is too short for a single step: raise the timeout of the function"); p.progressed {
			err = f.Queue.Send(context.WithoutCancel(ctx), Message{Do: kind, Run: j.Run})
		}
	}
	if err != nil {
		// The next run can start at once instead of after runTimeout.
		j.Touched = time.Time{}
		_ = f.write(context.WithoutCancel(ctx), jobName(kind), j)
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	f.Log.Info("plan run: messages sent", "kind", kind, "run", j.Run, "messages", j.Sent, "done", j.Done, "took", f.now().Sub(j.Began).Round(time.Millisecond).String())
	result = &PlanResult{Run: j.Run, Messages: j.Sent, Done: j.Done}
	if p.skipped {
		result.Waiting = j.Waiting
		return result, nil
	}
	result.Empty = kind == doPlan && j.Done && j.Repositories == 0
	if result.Empty {
		f.Log.Warn("the source has no repositories: there is nothing to mirror", "source", f.Source.Host())
	}
	return result, nil
}

func jobName(kind string) string { return kind + ".json" }

// openJob returns the job to work on, or a result if there is nothing to do.
func (f *Filler) openJob(ctx context.Context, kind, run string) (*job, *PlanResult, error) {
	var j job
	known, err := f.read(ctx, jobName(kind), &j)
	if err != nil {
		return nil, nil, err
	}
	if run != "" {
		if !known || j.Run != run || j.Done {
			f.Log.Info("ignoring a message of an older run", "kind", kind, "run", run)
			return nil, &PlanResult{Run: run, Done: true}, nil
		}
		return &j, nil, nil
	}
	now := f.now().UTC()
	if known && !j.Done && now.Sub(j.Touched) < runTimeout {
		f.Log.Info("a run is in progress", "kind", kind, "run", j.Run)
		return nil, &PlanResult{Run: j.Run, Messages: j.Sent}, nil
	}
	waiting, inFlight, err := f.Queue.Waiting(ctx)
	if err != nil {
		return nil, nil, err
	}
	if !known || j.Done || now.Sub(j.Began) > maxRunAge || len(j.Missing) != len(f.Buckets) || j.Inventory != nil && !slices.Equal(j.Inventory.Buckets, f.bucketNames()) {
		j = job{Run: kind + "-" + now.Format("20060102T150405.000Z"), Began: now, Missing: make([]int, len(f.Buckets)),
			Round: j.Round, RoundBegan: j.RoundBegan, Unreceived: j.Unreceived,
			// What is removed and added again is filled again.
			RoundBuckets: f.ownBuckets(j.RoundBuckets), FilledBuckets: f.ownBuckets(j.FilledBuckets)}
		if j.Round != "" && waiting+inFlight == 0 {
			j.FilledBuckets = j.RoundBuckets
		}
	}
	j.Waiting = waiting
	return &j, nil, nil
}

// errTimeUp ends a run that has used up its time.
var errTimeUp = errors.New("the time is up")

// planRun is one invocation that works on a job.
type planRun struct {
	filler *Filler
	job    *job
	kind   string
	clock  clock

	mu         sync.Mutex
	progressed bool // at least one step was done and saved
	skipped    bool // nothing was enqueued, because of what is still in the queue
}

// timeUp reports whether the time is up, but never before the first step.
func (p *planRun) timeUp() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.progressed && p.clock.over()
}

func (p *planRun) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progressed = true
}

func (p *planRun) save(ctx context.Context) error {
	p.job.Touched = p.filler.now().UTC()
	return p.filler.write(ctx, jobName(p.kind), p.job)
}

func (p *planRun) advance(ctx context.Context) error {
	if !p.job.Listed {
		if err := p.list(ctx); err != nil {
			return errors.Join(err, p.save(context.WithoutCancel(ctx)))
		}
		p.writeIndex(ctx)
		p.removeWithdrawn(ctx)
		if err := p.save(ctx); err != nil {
			return err
		}
	}
	enqueue := p.enqueueRound
	if p.kind == doStatus {
		enqueue = p.enqueueRepairs
	}
	if err := enqueue(ctx); err != nil {
		return err
	}
	p.job.Done = true
	return p.save(ctx)
}

// roundName is the name in the state of the last run of which all messages were received
// at least once.
const roundName = "round"

// enqueueRound enqueues all repositories, and after them a message that shows that they
// were received. While those of the last round wait, there is no other one, because the
// queue would only grow; after a day there is, because messages are lost if the queue
// keeps them for too long.
func (p *planRun) enqueueRound(ctx context.Context) error {
	f, j := p.filler, p.job
	if j.Sent == 0 && j.After == "" {
		received, err := f.State.Get(ctx, roundName)
		if err != nil {
			return err
		}
		if j.Waiting == 0 || string(received) == j.Round {
			j.Unreceived = time.Time{}
		} else if j.Unreceived.IsZero() {
			j.Unreceived = j.RoundBegan
		}
		now := f.now()
		switch {
		case !j.filled(f.bucketNames()):
			f.count("", "", metrics.Datum{Name: metrics.FirstFill, Unit: "Count", Value: 1})
		case !j.Unreceived.IsZero():
			f.count("", "", metrics.Datum{Name: metrics.WorkDelay, Unit: "Seconds", Value: int(now.Sub(j.Unreceived).Seconds())})
		}
		if !j.Unreceived.IsZero() && now.Sub(j.RoundBegan) < maxRunAge {
			f.Log.Info("the queue still has messages of an earlier run, enqueueing none", "messages", j.Waiting)
			p.skipped = true
			return nil
		}
	}
	if err := p.enqueueRepositories(ctx); err != nil {
		return err
	}
	j.Round, j.RoundBegan, j.RoundBuckets = j.Run, j.Began, f.bucketNames()
	if j.Sent == 0 {
		return nil
	}
	return f.Queue.Send(ctx, Message{Do: doRound, Run: j.Run})
}

// enqueueRepositories enqueues all repositories of the source, page by page.
func (p *planRun) enqueueRepositories(ctx context.Context) error {
	f := p.filler
	if err := f.Filter.Check(); err != nil {
		return err
	}
	if names := f.Filter.names(); len(names) > 0 {
		return p.enqueueNames(ctx, names)
	}
	err := f.Source.Roots(ctx, p.job.After, func(page []string, last string) error {
		var messages []Message
		names := slices.Compact(slices.Sorted(slices.Values(page)))
		for _, repository := range names {
			if f.Filter.within(repository) {
				// A catalog has all repositories, the listing of the prefix those below it.
				leaf := len(names) > 1 || repository != strings.TrimSuffix(f.Source.Repository(""), "/")
				messages = append(messages, Message{Do: doRepository, Run: p.job.Run, Repository: repository, Leaf: leaf})
			}
		}
		p.job.Repositories += len(names)
		return p.enqueue(ctx, messages, last)
	})
	if err != nil && f.AllowEmpty && errors.Is(err, registry.ErrAbsent) && p.job.Repositories == 0 {
		return nil
	}
	return err
}

// namesPerStep is the number of named repositories that are enqueued at once.
const namesPerStep = 1000

// enqueueNames enqueues the repositories that the Filter names.
func (p *planRun) enqueueNames(ctx context.Context, names []string) error {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	p.job.Repositories = len(names)
	for step := range slices.Chunk(slices.DeleteFunc(names, func(name string) bool { return name <= p.job.After }), namesPerStep) {
		messages := make([]Message, len(step))
		for i, repository := range step {
			messages[i] = Message{Do: doRepository, Run: p.job.Run, Repository: repository, Leaf: true}
		}
		if err := p.enqueue(ctx, messages, step[len(step)-1]); err != nil {
			return err
		}
	}
	return nil
}

// enqueue sends messages and saves last, where the next ones start; it is empty if
// there are no more.
func (p *planRun) enqueue(ctx context.Context, messages []Message, last string) error {
	if err := p.filler.Queue.Send(ctx, messages...); err != nil {
		return err
	}
	p.job.Sent += len(messages)
	p.job.After = last
	p.step()
	if last == "" {
		return nil
	}
	if err := p.save(ctx); err != nil {
		return err
	}
	if p.timeUp() {
		return errTimeUp
	}
	return nil
}
