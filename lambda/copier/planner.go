package copier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/config"
	"archeio/lambda/metrics"
)

const (
	// underWay is how long a run that nothing was heard of is waited for.
	underWay = 30 * time.Minute
	// outdated is the age at which a run is begun anew instead.
	outdated = 24 * time.Hour
)

// job is how far a run of the planner is. It is saved at every step, so that
// another process can go on with it.
type job struct {
	Run     string    `json:"run"`
	Began   time.Time `json:"began"`
	Touched time.Time `json:"touched"`
	// Listings are those of the buckets; Merged tells that the snapshot of all
	// of them is there.
	Listings []listing `json:"listings"`
	Merged   bool      `json:"merged"`
	// After is the last name that was handed out, Sent how many messages.
	After string `json:"after"`
	Sent  int    `json:"sent"`
	// Lacking counts for each bucket what it lacks, of a status.
	Lacking []int `json:"lacking,omitempty"`
	Done    bool  `json:"done"`
}

// listing is how far that of one bucket is.
type listing struct {
	After  string `json:"after"`
	Pieces int    `json:"pieces"`
	Done   bool   `json:"done"`
}

// PlanResult is what a run of the planner came to.
type PlanResult struct {
	Run string `json:"run"`
	// Messages is how many were handed out so far.
	Messages int `json:"messages"`
	// Done tells that all is handed out; else the run goes on as a message.
	Done bool `json:"done"`
	// Waiting is how much work of an earlier run is still to be done; then none
	// was begun, or the queue would only grow.
	Waiting int `json:"waiting,omitempty"`
}

// Plan begins a run that hands out every repository of the source, unless one
// is under way.
func (f *Filler) Plan(ctx context.Context) (*PlanResult, error) { return f.run(ctx, doPlan, "") }

// Status begins a run that compares what is remembered of the source with the
// buckets, asks nobody else, and hands out what is to be repaired.
func (f *Filler) Status(ctx context.Context) (*PlanResult, error) { return f.run(ctx, doStatus, "") }

// run begins a run where none is named, and else goes on with that one. What is
// left when its time is up goes on as a message.
func (f *Filler) run(ctx context.Context, kind, run string) (*PlanResult, error) {
	if len(f.Buckets) > maxBuckets {
		return nil, fmt.Errorf("there are %d buckets, %d are the most", len(f.Buckets), maxBuckets)
	}
	name := kind + ".json"
	var j job
	known, err := f.read(ctx, name, &j)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	if run != "" {
		if !known || j.Run != run || j.Done {
			f.Log.Info("a message of an older run", "kind", kind, "run", run)
			return &PlanResult{Run: run, Done: true}, nil
		}
	} else {
		if known && !j.Done && now.Sub(j.Touched) < underWay {
			f.Log.Info("a run is under way", "kind", kind, "run", j.Run)
			return &PlanResult{Run: j.Run, Messages: j.Sent}, nil
		}
		waiting, err := f.Queue.Waiting(ctx)
		if err != nil {
			return nil, err
		}
		if waiting > 0 {
			f.Log.Info("work of an earlier run is waiting", "kind", kind, "messages", waiting)
			return &PlanResult{Run: j.Run, Messages: j.Sent, Done: j.Done, Waiting: waiting}, nil
		}
		if !known || j.Done || now.Sub(j.Began) > outdated || len(j.Listings) != len(f.Buckets) {
			j = job{Run: kind + "-" + now.Format("20060102T150405.000Z"), Began: now, Listings: make([]listing, len(f.Buckets)), Lacking: make([]int, len(f.Buckets))}
		}
	}
	c := clockOf(ctx)
	ctx, cancel := context.WithDeadlineCause(ctx, c.end, errTimeUp)
	defer cancel()
	p := &planRun{Filler: f, job: &j, kind: kind, name: name, clock: c}
	err = p.advance(ctx)
	if err != nil && (errors.Is(err, errTimeUp) || errors.Is(context.Cause(ctx), errTimeUp)) {
		if err = errors.New("the time of a run is too short for a single step; give it more"); p.moved {
			err = f.Queue.Send(context.WithoutCancel(ctx), Message{Do: kind, Run: j.Run})
		}
	}
	if err != nil {
		// The next one need not wait until this one counts as lost.
		j.Touched = time.Time{}
		_ = f.write(context.WithoutCancel(ctx), name, &j)
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	f.Log.Info("handed out", "kind", kind, "run", j.Run, "messages", j.Sent, "done", j.Done, "took", time.Since(j.Began).Round(time.Millisecond).String())
	return &PlanResult{Run: j.Run, Messages: j.Sent, Done: j.Done}, nil
}

// errTimeUp ends a run whose time is up.
var errTimeUp = errors.New("the time is up")

type planRun struct {
	*Filler
	*job
	kind, name string
	clock      clock

	mu    sync.Mutex
	moved bool // at least one step was taken and saved
}

// later tells that the time is up, but never before the first step.
func (p *planRun) later() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.moved && p.clock.over()
}

func (p *planRun) step() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moved = true
}

func (p *planRun) save(ctx context.Context) error {
	p.Touched = time.Now().UTC()
	return p.write(ctx, p.name, p.job)
}

func (p *planRun) advance(ctx context.Context) error {
	if !p.Merged {
		if err := p.listAll(ctx); err != nil {
			return errors.Join(err, p.save(context.WithoutCancel(ctx)))
		}
		if err := p.merge(ctx); err != nil {
			return err
		}
		p.index(ctx)
		if err := p.save(ctx); err != nil {
			return err
		}
	}
	hand := p.repositories
	if p.kind == doStatus {
		hand = p.repairs
	}
	if err := hand(ctx); err != nil {
		return err
	}
	p.Done = true
	return p.save(ctx)
}

func pieceName(run string, bucket, piece int) string {
	return fmt.Sprintf("%s%s/bucket-%d-%d", config.RunPrefix, run, bucket, piece)
}

// listAll lists the buckets, each as far as the time allows.
func (p *planRun) listAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range p.Buckets {
		if p.Listings[i].Done {
			continue
		}
		group.Go(func() error { return p.listOne(ctx, i) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, l := range p.Listings {
		if !l.Done {
			return errTimeUp
		}
	}
	return nil
}

func (p *planRun) listOne(ctx context.Context, bucket int) error {
	l := &p.Listings[bucket]
	next := *l
	var piece []byte
	for pages := 0; !next.Done && (pages == 0 || !p.clock.over()); pages++ {
		last, err := p.Buckets[bucket].Page(ctx, next.After, func(d Digest, _ int64) { piece = append(piece, d[:]...) })
		if err != nil {
			return err
		}
		next.After, next.Done = last, last == ""
	}
	if err := p.State.Put(ctx, pieceName(p.Run, bucket, next.Pieces), piece); err != nil {
		return err
	}
	next.Pieces++
	*l = next
	p.step()
	return nil
}

// merge makes one snapshot of the listings, one bucket after the other: all of
// them at once would not fit into the cache.
func (p *planRun) merge(ctx context.Context) error {
	var s snapshot
	for bucket, l := range p.Listings {
		var digests []byte
		for piece := range l.Pieces {
			data, err := p.State.Get(ctx, pieceName(p.Run, bucket, piece))
			if err != nil {
				return err
			}
			if data == nil || len(data)%digestSize != 0 {
				return fmt.Errorf("%q of the state is not whole", pieceName(p.Run, bucket, piece))
			}
			digests = append(digests, data...)
		}
		s = s.with(bucket, digests)
	}
	if err := p.State.Put(ctx, snapshotName(p.Run), s); err != nil {
		return err
	}
	p.Merged = true
	return nil
}

// index writes what all mirrors hold into each of them. A run goes on without:
// redirectors ask the mirrors then.
func (p *planRun) index(ctx context.Context) {
	held, err := p.snapshotOf(ctx, p.Run)
	if err == nil {
		routed := uint64(1)<<len(p.Buckets) - 1
		for _, i := range p.Filling {
			routed &^= 1 << i
		}
		prefixes := held.prefixesOf(routed)
		if err = WriteIndex(ctx, p.State, p.Buckets, p.Began, prefixes); err == nil {
			p.Log.Info("the index is written", "blobs", len(prefixes))
		}
	}
	if err != nil {
		p.Log.Error("the index is not written", "error", err.Error())
	}
}

// repositories hands out all of the source, from page to page.
func (p *planRun) repositories(ctx context.Context) error {
	return p.Source.Roots(ctx, p.After, func(page []string, last string) error {
		messages := make([]Message, len(page))
		for i, repository := range page {
			messages[i] = Message{Do: doRepository, Run: p.Run, Repository: repository}
		}
		return p.enqueue(ctx, messages, last)
	})
}

// enqueue sends messages and saves what the next ones begin after, which is
// empty where there are no more.
func (p *planRun) enqueue(ctx context.Context, messages []Message, last string) error {
	if err := p.Queue.Send(ctx, messages...); err != nil {
		return err
	}
	p.Sent += len(messages)
	p.After = last
	p.step()
	if last == "" {
		return nil
	}
	if err := p.save(ctx); err != nil {
		return err
	}
	if p.later() {
		return errTimeUp
	}
	return nil
}

// repairs hands out the repositories of which a bucket lacks something, as far
// as that is remembered, and counts what is lacking.
func (p *planRun) repairs(ctx context.Context) error {
	held, err := p.snapshotOf(ctx, p.Run)
	if err != nil {
		return err
	}
	withdrawn, err := LoadWithdrawn(ctx, p.State)
	if err != nil {
		return err
	}
	names, err := p.State.Names(ctx, cachePrefix)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name <= p.After })
	seen := map[Digest]bool{}
	for chunk := range slices.Chunk(names, 16) {
		lacks := make([]map[Digest]uint64, len(chunk))
		group, inner := errgroup.WithContext(ctx)
		for i, name := range chunk {
			group.Go(func() (err error) {
				lacks[i], err = p.lacks(inner, name, held, withdrawn)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		var messages []Message
		for i, name := range chunk {
			repository, shard, of, ok := parseCacheName(name)
			if ok && len(lacks[i]) > 0 {
				messages = append(messages, Message{Do: doRepository, Run: p.Run, Repository: repository, Shard: shard, Of: of})
			}
			for digest, mask := range lacks[i] {
				for bucket := range p.Buckets {
					if !seen[digest] && mask&(1<<bucket) == 0 {
						p.Lacking[bucket]++
					}
				}
				seen[digest] = true
			}
		}
		if err := p.enqueue(ctx, messages, chunk[len(chunk)-1]); err != nil {
			return err
		}
	}
	return p.report(ctx, held)
}

// lacks answers the blobs that are remembered under a name and that not all
// buckets have, with the mask of those that do.
func (p *planRun) lacks(ctx context.Context, name string, held snapshot, withdrawn Withdrawn) (map[Digest]uint64, error) {
	var m ManifestCache
	if err := m.Load(ctx, p.State, name); err != nil {
		p.Log.Error("what is remembered is damaged", "error", err.Error())
		return nil, nil // a worker begins it anew
	}
	all := uint64(1)<<len(p.Buckets) - 1
	out := map[Digest]uint64{}
	for _, c := range m.all {
		for _, b := range c.Blobs {
			d, _ := ParseDigest(b.Digest)
			if _, gone := withdrawn[b.Digest]; gone {
				continue
			}
			if mask := held.mask(d); mask != all {
				out[d] = mask
			}
		}
	}
	return out, nil
}

// report says how full the mirrors are, and what only mirror copy can copy.
func (p *planRun) report(ctx context.Context, held snapshot) error {
	for i, region := range p.Regions {
		p.count(metrics.Mirror, region, metrics.Datum{Name: metrics.MissingBlobs, Unit: "Count", Value: p.Lacking[i]})
		p.Log.Info("lacking", "mirror", region, "blobs", p.Lacking[i])
	}
	needs, err := NeedsCopy(ctx, p.State)
	if err != nil {
		return err
	}
	left := 0
	for _, digest := range needs {
		if d, _ := ParseDigest(digest); held.mask(d)&1 != 0 {
			if err := p.State.Delete(ctx, needsPrefix+digest); err != nil {
				return err
			}
			continue
		}
		left++
	}
	if left > 0 {
		p.needsCopy(left)
	}
	return nil
}
