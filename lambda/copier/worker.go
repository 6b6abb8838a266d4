package copier

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"time"

	"archeio/lambda/config"
	"archeio/lambda/metrics"
)

const (
	// splitAt is how many images a repository has before it is shared out, and
	// about how many a share has.
	splitAt = 2000
	// chunk is how many images are made and copied before that is saved.
	chunk = 32
	// assumedRate is how many bytes a second a copy is taken to make, in
	// judging whether a blob fits into the time that is left.
	assumedRate = 20_000_000
	// maxRequeues is how often a blob goes on as a fresh message.
	maxRequeues = 3
)

// progress is how far the work on a share of a repository is.
type progress struct {
	// After is the key of the last image that was looked at.
	After string `json:"after"`
	// Failed are the images among them that are to be tried again.
	Failed []Entry `json:"failed,omitempty"`
	// Stuck is how many runs in a row got nowhere.
	Stuck int  `json:"stuck,omitempty"`
	Done  bool `json:"done"`
}

// key is what images are ordered by.
func (e Entry) key() string { return e.Digest + e.Tag }

func (f *Filler) repository(ctx context.Context, m Message) error {
	c := clockOf(ctx)
	ctx, cancel := context.WithDeadlineCause(ctx, c.end, errTimeUp)
	defer cancel()
	w := &repositoryRun{Filler: f, message: m, clock: c,
		name: config.RunPrefix + m.Run + "/work/" + workName(m.Repository, m.Shard, m.Of) + ".json"}
	if _, err := f.read(ctx, w.name, &w.progress); err != nil {
		return err
	}
	if w.progress.Done && len(w.progress.Failed) == 0 {
		return nil // received twice
	}
	err := w.all(ctx)
	f.copied(w.result.Copied, w.result.Bytes)
	f.Log.Info("worked on a repository", "repository", m.Repository, "shard", m.Shard, "of", max(m.Of, 1), "done", w.progress.Done,
		"copied", w.result.Copied, "bytes", w.result.Bytes, "fromBucket", w.result.FromBucket, "existed", w.result.Existed, "pending", w.result.Pending, "failed", len(w.progress.Failed))
	if err != nil {
		return fmt.Errorf("repository %q: %w", m.Repository, err)
	}
	return nil
}

func (f *Filler) copied(blobs int, bytes int64) {
	if blobs > 0 {
		f.count("", "", metrics.Datum{Name: metrics.Copied, Unit: "Count", Value: blobs}, metrics.Datum{Name: metrics.CopiedBytes, Unit: "Bytes", Value: bytes})
	}
}

type repositoryRun struct {
	*Filler
	message  Message
	clock    clock
	name     string
	progress progress
	result   Result

	cache     ManifestCache
	cacheName string
}

func (w *repositoryRun) all(ctx context.Context) error {
	m := w.message
	held, err := w.snapshotOf(ctx, m.Run)
	if err != nil {
		return err
	}
	withdrawn, err := LoadWithdrawn(ctx, w.State)
	if err != nil {
		return err
	}
	l, err := w.Source.List(ctx, m.Repository)
	if err != nil {
		return err
	}
	todo, split, err := w.todo(ctx, l)
	if err != nil || split {
		return err
	}
	w.cacheName = cacheName(m.Repository, m.Shard, m.Of)
	if err := w.cache.Load(ctx, w.State, w.cacheName); err != nil {
		w.Log.Error("what is remembered is damaged, it is learnt anew", "error", err.Error())
	}
	o := Options{Source: w.Source, Buckets: w.Buckets, Inventory: held, Withdrawn: withdrawn, Manifests: &w.cache, CheckExisting: true,
		Parallel: w.Parallel, Referrers: w.Referrers && !l.Complete}
	o.fill()
	if w.progress.Done {
		err = w.again(ctx, o, todo)
	} else {
		err = w.onwards(ctx, o, todo)
	}
	if err := w.save(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if n := len(w.progress.Failed); n > 0 && w.progress.Done && err == nil {
		return fmt.Errorf("%d images are to be tried again, the log says why", n)
	}
	return err
}

// onwards goes through what is left, from chunk to chunk. What does not fit into
// the time goes on as a fresh message.
func (w *repositoryRun) onwards(ctx context.Context, o Options, todo []Entry) error {
	for entries := range slices.Chunk(todo, chunk) {
		failed, err := w.chunk(ctx, o, entries)
		if errors.Is(err, errTimeUp) && w.progress.Stuck < maxRequeues {
			w.progress.Stuck++
			return w.Queue.Send(context.WithoutCancel(ctx), w.message)
		}
		if err != nil {
			return err
		}
		if failed {
			w.progress.Failed = append(w.progress.Failed, entries...)
		}
		w.progress.Stuck = 0
		w.progress.After = entries[len(entries)-1].key()
		if err := w.save(ctx); err != nil {
			return err
		}
		if w.clock.over() {
			return w.Queue.Send(context.WithoutCancel(ctx), w.message)
		}
	}
	w.progress.Done = true
	return nil
}

// again copyAttempts what failed once more, as far as the time allows.
func (w *repositoryRun) again(ctx context.Context, o Options, todo []Entry) error {
	w.progress.Failed = nil
	for len(todo) > 0 && !w.clock.over() {
		entries := todo[:min(chunk, len(todo))]
		failed, err := w.chunk(ctx, o, entries)
		if err != nil {
			break
		}
		if failed {
			w.progress.Failed = append(w.progress.Failed, entries...)
		}
		todo = todo[len(entries):]
	}
	w.progress.Failed = append(w.progress.Failed, todo...)
	return nil
}

// todo answers what is left of the share, or shares a large repository out.
func (w *repositoryRun) todo(ctx context.Context, l *Listing) (todo []Entry, split bool, err error) {
	m := w.message
	if w.progress.Done { // again, for what failed
		return slices.DeleteFunc(slices.Clone(w.progress.Failed), func(e Entry) bool { return !slices.Contains(l.Entries, e) }), false, nil
	}
	if m.Of <= 1 && w.progress.After == "" {
		var messages []Message
		for _, child := range l.Children {
			messages = append(messages, Message{Do: doRepository, Run: m.Run, Repository: child})
		}
		split = len(l.Entries) > splitAt
		if split {
			of := len(l.Entries)/splitAt + 1
			for shard := range of {
				messages = append(messages, Message{Do: doRepository, Run: m.Run, Repository: m.Repository, Shard: shard, Of: of})
			}
		}
		if err := w.Queue.Send(ctx, messages...); err != nil {
			return nil, false, err
		}
		if split {
			w.progress.Done = true
			return nil, true, w.save(ctx)
		}
	}
	for _, e := range l.Entries {
		if e.key() > w.progress.After && share(e, m.Of) == m.Shard {
			todo = append(todo, e)
		}
	}
	return todo, false, nil
}

// share is the number of the share that an image is in.
func share(e Entry, of int) int {
	if of <= 1 {
		return 0
	}
	h := fnv.New32a()
	io.WriteString(h, e.key())
	return int(h.Sum32() % uint32(of))
}

func (w *repositoryRun) save(ctx context.Context) error {
	if err := w.cache.Save(ctx, w.State, w.cacheName); err != nil {
		return err
	}
	return w.write(ctx, w.name, w.progress)
}

// chunk copies what some images lack. Blobs that do not fit into the time that
// is left go on as messages of their own.
func (w *repositoryRun) chunk(ctx context.Context, o Options, entries []Entry) (failed bool, err error) {
	walk := newWalk(o)
	walk.entries(ctx, w.message.Repository, entries, o.Referrers)
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	walk.compare()
	plan := walk.plan
	late := map[string]MissingBlob{}
	fits := int64(time.Until(w.clock.stop).Seconds() * assumedRate / 2)
	for i, lacks := range plan.Missing {
		plan.Missing[i] = slices.DeleteFunc(lacks, func(b MissingBlob) bool {
			if b.Size > fits {
				late[b.Digest] = b
			}
			return b.Size > fits
		})
	}
	until, cancel := context.WithDeadline(ctx, w.clock.stop)
	result, _ := Copy(until, o, plan)
	cancel()
	w.result.add(result)
	for _, left := range result.Unfinished {
		for _, b := range left {
			late[b.Digest] = b
		}
	}
	var messages []Message
	for _, b := range late {
		messages = append(messages, Message{Do: doBlob, Run: w.message.Run, Repository: b.Repository, Blob: &b.Blob, Image: b.Image})
	}
	if err := w.Queue.Send(context.WithoutCancel(ctx), messages...); err != nil {
		return false, err
	}
	for _, err := range result.Errors {
		w.Log.Error("failed", "error", err.Error())
	}
	return len(result.Errors) > 0, nil
}

func (r *Result) add(more *Result) {
	r.Copied += more.Copied
	r.Bytes += more.Bytes
	r.FromBucket += more.FromBucket
	r.Existed += more.Existed
	r.Pending += more.Pending
}
