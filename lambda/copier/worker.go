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
	"archeio/lambda/registry"
)

const (
	// splitAt is the number of images from which a repository is split into
	// shards, and about the number of images in each shard.
	splitAt = 2000
	// chunk is the number of images after which progress is saved.
	chunk = 32
	// assumedRate is the copying rate in bytes per second that decides whether a
	// blob fits into the remaining time.
	assumedRate = 20_000_000
	// maxRequeues is how often a blob is sent again as a new message.
	maxRequeues = 3
)

// fitsInto returns the largest size in bytes of a blob that can be copied before
// a deadline, with a margin of half of the time.
func fitsInto(deadline time.Time) int64 {
	return int64(time.Until(deadline).Seconds() * assumedRate / 2)
}

// progress is the progress of a worker in a shard of a repository.
type progress struct {
	// After is the key of the last image that was processed.
	After string `json:"after"`
	// Failed are the images among them that must be retried.
	Failed []registry.Entry `json:"failed,omitempty"`
	// Stuck is the number of consecutive invocations without progress.
	Stuck int  `json:"stuck,omitempty"`
	Done  bool `json:"done"`
}

func (f *Filler) repository(ctx context.Context, m Message) error {
	c := clockOf(ctx)
	ctx, cancel := context.WithDeadlineCause(ctx, c.end, errTimeUp)
	defer cancel()
	w := &repositoryRun{filler: f, message: m, clock: c,
		name: config.RunPrefix + m.Run + "/work/" + shardName(m.Repository, m.Shard, m.Of) + ".json"}
	if _, err := f.read(ctx, w.name, &w.progress); err != nil {
		return err
	}
	if w.progress.Done && len(w.progress.Failed) == 0 {
		return nil // the message was delivered twice
	}
	err := w.all(ctx)
	f.countCopied(w.result.Copied, w.result.Bytes)
	f.Log.Info("repository processed", "repository", m.Repository, "shard", m.Shard, "of", max(m.Of, 1), "done", w.progress.Done,
		"copied", w.result.Copied, "bytes", w.result.Bytes, "fromBucket", w.result.FromBucket, "existed", w.result.Existed, "pending", w.result.Pending, "failed", len(w.progress.Failed))
	if err != nil {
		return fmt.Errorf("repository %q: %w", m.Repository, err)
	}
	return nil
}

// repositoryRun is one invocation that works on a shard of a repository.
type repositoryRun struct {
	filler   *Filler
	message  Message
	clock    clock
	name     string // of the progress in the state
	progress progress
	result   Result

	cache     ManifestCache
	cacheName string
}

func (w *repositoryRun) all(ctx context.Context) error {
	f, m := w.filler, w.message
	inventory, err := f.snapshotOf(ctx, m.Run)
	if err != nil {
		return err
	}
	withdrawn, err := LoadWithdrawn(ctx, f.State)
	if err != nil {
		return err
	}
	l, err := f.Source.List(ctx, m.Repository)
	if err != nil {
		return err
	}
	todo, split, err := w.todo(ctx, l)
	if err != nil || split {
		return err
	}
	w.cacheName = cacheName(m.Repository, m.Shard, m.Of)
	if err := w.cache.Load(ctx, f.State, w.cacheName); err != nil {
		f.Log.Error("manifest cache is corrupt, rebuilding it", "repository", m.Repository, "error", err.Error())
	}
	o := Options{Source: f.Source, Buckets: f.Buckets, Inventory: inventory, Withdrawn: withdrawn, Manifests: &w.cache, CheckExisting: true,
		Parallel: f.Parallel, Referrers: f.Referrers && !l.Complete}
	o.fill()
	if w.progress.Done {
		w.retryFailed(ctx, o, todo)
	} else {
		err = w.proceed(ctx, o, todo)
	}
	if err := w.save(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if n := len(w.progress.Failed); n > 0 && w.progress.Done && err == nil {
		return fmt.Errorf("images to retry: %d, see \"copying failed\" in the log", n)
	}
	return err
}

// proceed processes the remaining images chunk by chunk. When the time is up it
// sends a new message for the rest.
func (w *repositoryRun) proceed(ctx context.Context, o Options, todo []registry.Entry) error {
	for entries := range slices.Chunk(todo, chunk) {
		failed, err := w.chunk(ctx, o, entries)
		if errors.Is(err, errTimeUp) && w.progress.Stuck < maxRequeues {
			w.progress.Stuck++
			return w.filler.Queue.Send(context.WithoutCancel(ctx), w.message)
		}
		if err != nil {
			return err
		}
		if failed {
			w.progress.Failed = append(w.progress.Failed, entries...)
		}
		w.progress.Stuck = 0
		w.progress.After = entries[len(entries)-1].Key()
		if err := w.save(ctx); err != nil {
			return err
		}
		if w.clock.over() {
			return w.filler.Queue.Send(context.WithoutCancel(ctx), w.message)
		}
	}
	w.progress.Done = true
	return nil
}

// retryFailed tries the failed images once more until the time is up.
func (w *repositoryRun) retryFailed(ctx context.Context, o Options, todo []registry.Entry) {
	w.progress.Failed = nil
	for len(todo) > 0 && !w.clock.over() {
		entries := todo[:min(chunk, len(todo))]
		failed, err := w.chunk(ctx, o, entries)
		if err != nil {
			w.filler.Log.Error("retrying failed images stopped", "repository", w.message.Repository, "images", len(todo), "error", err.Error())
			break
		}
		if failed {
			w.progress.Failed = append(w.progress.Failed, entries...)
		}
		todo = todo[len(entries):]
	}
	w.progress.Failed = append(w.progress.Failed, todo...)
}

// todo returns the remaining images of the shard. It splits a large repository
// into shards and sends a message for each instead.
func (w *repositoryRun) todo(ctx context.Context, l *registry.Listing) (todo []registry.Entry, split bool, err error) {
	m := w.message
	if w.progress.Done { // only the failed images are left
		return slices.DeleteFunc(slices.Clone(w.progress.Failed), func(e registry.Entry) bool { return !slices.Contains(l.Entries, e) }), false, nil
	}
	if m.Of <= 1 && w.progress.After == "" {
		messages := shardMessages(m, l)
		split = len(l.Entries) > splitAt
		if err := w.filler.Queue.Send(ctx, messages...); err != nil {
			return nil, false, err
		}
		if split {
			w.progress.Done = true
			return nil, true, w.save(ctx)
		}
	}
	for _, e := range l.Entries {
		if e.Key() > w.progress.After && shardOf(e, m.Of) == m.Shard {
			todo = append(todo, e)
		}
	}
	return todo, false, nil
}

// shardMessages returns a message for each repository below one, and for each
// shard of the repository itself if it must be split.
func shardMessages(m Message, l *registry.Listing) []Message {
	var messages []Message
	for _, child := range l.Children {
		messages = append(messages, Message{Do: doRepository, Run: m.Run, Repository: child})
	}
	if len(l.Entries) <= splitAt {
		return messages
	}
	of := len(l.Entries)/splitAt + 1
	for shard := range of {
		messages = append(messages, Message{Do: doRepository, Run: m.Run, Repository: m.Repository, Shard: shard, Of: of})
	}
	return messages
}

// shardOf returns the number of the shard that an image belongs to.
func shardOf(e registry.Entry, of int) int {
	if of <= 1 {
		return 0
	}
	h := fnv.New32a()
	io.WriteString(h, e.Key())
	return int(h.Sum32() % uint32(of))
}

func (w *repositoryRun) save(ctx context.Context) error {
	if err := w.cache.Save(ctx, w.filler.State, w.cacheName); err != nil {
		return err
	}
	return w.filler.write(ctx, w.name, w.progress)
}

// chunk copies the missing blobs of some images. Blobs that do not fit into the
// remaining time are enqueued as messages of their own.
func (w *repositoryRun) chunk(ctx context.Context, o Options, entries []registry.Entry) (failed bool, err error) {
	walk := newWalk(o)
	walk.entries(ctx, w.message.Repository, entries, o.Referrers)
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	walk.compare()
	plan := walk.plan
	late := map[string]MissingBlob{}
	fits := fitsInto(w.clock.stop)
	for i, missing := range plan.Missing {
		plan.Missing[i] = slices.DeleteFunc(missing, func(b MissingBlob) bool {
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
	for _, unfinished := range result.Unfinished {
		for _, b := range unfinished {
			late[b.Digest] = b
		}
	}
	var messages []Message
	for _, b := range late {
		messages = append(messages, Message{Do: doBlob, Run: w.message.Run, Repository: b.Repository, Blob: &b.Blob, Image: b.Image})
	}
	for _, err := range result.Errors {
		w.filler.logFailure(w.message.Repository, err)
	}
	if err := w.filler.Queue.Send(context.WithoutCancel(ctx), messages...); err != nil {
		return false, err
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
