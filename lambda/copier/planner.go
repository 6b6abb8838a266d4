package copier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/config"
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
	// Listings has one entry per bucket; Merged reports whether their snapshot
	// has been written.
	Listings []listing `json:"listings"`
	Merged   bool      `json:"merged"`
	// After is where the next names start, Sent the number of messages.
	After string `json:"after"`
	Sent  int    `json:"sent"`
	// Listed is the number of repositories that the source has listed.
	Listed int `json:"listed,omitempty"`
	// Missing is the number of blobs missing from each bucket, for a status run.
	Missing []int `json:"missing,omitempty"`
	Done    bool  `json:"done"`
}

// listing is the progress of listing one bucket.
type listing struct {
	After  string `json:"after"`
	Pieces int    `json:"pieces"`
	Done   bool   `json:"done"`
}

// PlanResult is the state of a planner run at the end of an invocation.
type PlanResult struct {
	Run string `json:"run"`
	// Messages is the number of messages enqueued so far.
	Messages int `json:"messages"`
	// Done reports whether everything is enqueued; if not, the run continues
	// with a message that it has sent to itself.
	Done bool `json:"done"`
	// Waiting is the number of messages of an earlier run that are still in the
	// queue. If there are any, no run is started, because the queue would only
	// grow.
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
	result = &PlanResult{Run: j.Run, Messages: j.Sent, Done: j.Done, Empty: kind == doPlan && j.Done && j.Listed == 0}
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
	waiting, err := f.Queue.Waiting(ctx)
	if err != nil {
		return nil, nil, err
	}
	if waiting > 0 {
		f.Log.Info("the queue still has messages of an earlier run", "kind", kind, "messages", waiting)
		return nil, &PlanResult{Run: j.Run, Messages: j.Sent, Done: j.Done, Waiting: waiting}, nil
	}
	if !known || j.Done || now.Sub(j.Began) > maxRunAge || len(j.Listings) != len(f.Buckets) {
		j = job{Run: kind + "-" + now.Format("20060102T150405.000Z"), Began: now, Listings: make([]listing, len(f.Buckets)), Missing: make([]int, len(f.Buckets))}
	}
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
	if !p.job.Merged {
		if err := p.listAll(ctx); err != nil {
			return errors.Join(err, p.save(context.WithoutCancel(ctx)))
		}
		if err := p.merge(ctx); err != nil {
			return err
		}
		p.writeIndex(ctx)
		if err := p.save(ctx); err != nil {
			return err
		}
	}
	enqueue := p.enqueueRepositories
	if p.kind == doStatus {
		enqueue = p.enqueueRepairs
	}
	if err := enqueue(ctx); err != nil {
		return err
	}
	p.job.Done = true
	return p.save(ctx)
}

func pieceName(run string, bucket, piece int) string {
	return fmt.Sprintf("%s%s/bucket-%d-%d", config.RunPrefix, run, bucket, piece)
}

// listAll lists all buckets in parallel until they are complete or the time is
// up.
func (p *planRun) listAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range p.filler.Buckets {
		if p.job.Listings[i].Done {
			continue
		}
		group.Go(func() error { return p.listOne(ctx, i) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, l := range p.job.Listings {
		if !l.Done {
			return errTimeUp
		}
	}
	return nil
}

func (p *planRun) listOne(ctx context.Context, bucket int) error {
	l := &p.job.Listings[bucket]
	next := *l
	var piece []byte
	for pages := 0; !next.Done && (pages == 0 || !p.clock.over()); pages++ {
		last, err := p.filler.Buckets[bucket].Page(ctx, next.After, func(d Digest, _ int64) { piece = append(piece, d[:]...) })
		if err != nil {
			return err
		}
		next.After, next.Done = last, last == ""
	}
	if err := p.filler.State.Put(ctx, pieceName(p.job.Run, bucket, next.Pieces), piece); err != nil {
		return err
	}
	next.Pieces++
	*l = next
	p.step()
	return nil
}

// merge writes one snapshot of all listings. It reads one bucket at a time,
// because all of them at once would not fit into memory.
func (p *planRun) merge(ctx context.Context) error {
	var s snapshot
	for bucket, l := range p.job.Listings {
		var digests []byte
		for piece := range l.Pieces {
			name := pieceName(p.job.Run, bucket, piece)
			data, err := p.filler.State.Get(ctx, name)
			if err != nil {
				return err
			}
			if data == nil || len(data)%digestSize != 0 {
				return fmt.Errorf("reading state %q: it is missing or truncated", name)
			}
			digests = append(digests, data...)
		}
		s = s.with(bucket, digests)
	}
	if err := p.filler.State.Put(ctx, snapshotName(p.job.Run), s); err != nil {
		return err
	}
	p.job.Merged = true
	return nil
}

// writeIndex writes the index of the blobs that all mirrors have into each of
// them. An error does not end the run: redirectors then fall back to HEAD
// checks.
func (p *planRun) writeIndex(ctx context.Context) {
	f := p.filler
	inventory, err := f.snapshotOf(ctx, p.job.Run)
	if err == nil {
		routed := uint64(1)<<len(f.Buckets) - 1
		for _, i := range f.Filling {
			routed &^= 1 << i
		}
		// The buckets are those of the stage, which may have fewer mirrors now.
		o := IndexOptions{Buckets: f.Buckets, Uncovered: f.Filling, AllowFewer: true}
		var n int
		if n, err = WriteIndex(ctx, f.State, o, p.job.Began, inventory.heldBy(routed)); err == nil {
			f.Log.Info("blob index written", "blobs", n)
		}
	}
	if err != nil {
		f.Log.Error("writing the blob index failed", "error", err.Error())
	}
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
		p.job.Listed += len(names)
		return p.enqueue(ctx, messages, last)
	})
	if err != nil && f.AllowEmpty && errors.Is(err, registry.ErrAbsent) && p.job.Listed == 0 {
		return nil
	}
	return err
}

// namesPerStep is the number of named repositories that are enqueued at once.
const namesPerStep = 1000

// enqueueNames enqueues the repositories that the Filter names.
func (p *planRun) enqueueNames(ctx context.Context, names []string) error {
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	p.job.Listed = len(names)
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

// repairChunk is the number of manifest caches that are read in parallel.
const repairChunk = 16

// enqueueRepairs enqueues the cached repositories with blobs that are missing
// from a bucket, and counts these blobs.
func (p *planRun) enqueueRepairs(ctx context.Context) error {
	f := p.filler
	inventory, err := f.snapshotOf(ctx, p.job.Run)
	if err != nil {
		return err
	}
	withdrawn, err := LoadWithdrawn(ctx, f.State)
	if err != nil {
		return err
	}
	names, err := f.State.Names(ctx, cachePrefix)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name <= p.job.After })
	counted := map[Digest]bool{}
	for chunk := range slices.Chunk(names, repairChunk) {
		missing, err := f.missingOf(ctx, chunk, inventory, withdrawn)
		if err != nil {
			return err
		}
		for _, masks := range missing {
			p.countMissing(masks, counted)
		}
		if err := p.enqueue(ctx, repairMessages(p.job.Run, chunk, missing), chunk[len(chunk)-1]); err != nil {
			return err
		}
	}
	return p.report(ctx, inventory)
}

// missingOf returns missingFrom of several caches, in their order.
func (f *Filler) missingOf(ctx context.Context, names []string, inventory snapshot, withdrawn Withdrawn) ([]map[Digest]uint64, error) {
	missing := make([]map[Digest]uint64, len(names))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		group.Go(func() (err error) {
			missing[i], err = f.missingFrom(ctx, name, inventory, withdrawn)
			return err
		})
	}
	return missing, group.Wait()
}

// missingFrom returns the blobs of a manifest cache that at least one bucket
// does not have, each with the mask of the buckets that have it.
func (f *Filler) missingFrom(ctx context.Context, name string, inventory snapshot, withdrawn Withdrawn) (map[Digest]uint64, error) {
	var cache ManifestCache
	if err := cache.Load(ctx, f.State, name); err != nil {
		f.Log.Error("manifest cache is corrupt, skipping it", "error", err.Error())
		return nil, nil // a worker rebuilds it
	}
	repository, _, _, _ := parseCacheName(name)
	all := uint64(1)<<len(f.Buckets) - 1
	missing := map[Digest]uint64{}
	var candidates []Digest
	for _, c := range cache.all {
		for _, b := range c.Blobs {
			d, _ := ParseDigest(b.Digest)
			if _, gone := withdrawn[b.Digest]; gone {
				continue
			}
			if mask := inventory.mask(d); mask != all {
				missing[d] = mask
				candidates = append(candidates, d)
			}
		}
	}
	for _, d := range candidates {
		if _, _, gone := cache.Absent(repository + "@" + d.String()); gone {
			delete(missing, d)
		}
	}
	return missing, nil
}

// countMissing counts each digest once per bucket that does not have it.
func (p *planRun) countMissing(masks map[Digest]uint64, counted map[Digest]bool) {
	for digest, mask := range masks {
		if counted[digest] {
			continue
		}
		counted[digest] = true
		for bucket := range p.job.Missing {
			if mask&(1<<bucket) == 0 {
				p.job.Missing[bucket]++
			}
		}
	}
}

// repairMessages returns a message for each cache with missing blobs.
func repairMessages(run string, names []string, missing []map[Digest]uint64) []Message {
	var messages []Message
	for i, name := range names {
		repository, shard, of, ok := parseCacheName(name)
		if ok && len(missing[i]) > 0 {
			messages = append(messages, Message{Do: doRepository, Run: run, Repository: repository, Leaf: true, Shard: shard, Of: of})
		}
	}
	return messages
}

// report reports the number of blobs that each mirror is missing, and of those
// that only a copy from the shell can fill.
func (p *planRun) report(ctx context.Context, inventory snapshot) error {
	f := p.filler
	for i, region := range f.Regions {
		f.count(metrics.Mirror, region, metrics.Datum{Name: metrics.MissingBlobs, Unit: "Count", Value: p.job.Missing[i]})
		f.Log.Info("missing blobs", "mirror", region, "blobs", p.job.Missing[i])
	}
	needs, err := NeedsCopy(ctx, f.State)
	if err != nil {
		return err
	}
	left := 0
	for _, digest := range needs {
		if d, _ := ParseDigest(digest); inventory.mask(d)&1 != 0 {
			if err := f.State.Delete(ctx, needsPrefix+digest); err != nil {
				return err
			}
			continue
		}
		left++
	}
	if left > 0 {
		f.countNeedsCopy(left)
	}
	return nil
}
