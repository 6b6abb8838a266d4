package copier

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
	// maxLate is how many blobs of a chunk become messages of their own, whatever
	// their manifests say of their sizes.
	maxLate = 256
	// askAbsentAfter is the time after which the source is asked again for what it did
	// not have: less than a day, so that a daily run asks.
	askAbsentAfter = 20 * time.Hour
	// maxImageTime is the share of one image of an invocation, and at most a third.
	maxImageTime = 3 * time.Minute
)

// fitsInto returns the largest size in bytes of a blob that can be copied before
// a deadline, with a margin of half of the time.
func fitsInto(deadline time.Time) int64 {
	return int64(time.Until(deadline).Seconds() * assumedRate / 2)
}

// progress is the progress of workers in a shard of a repository.
type progress struct {
	// Run is that of the newest message, which continues the work of older ones.
	Run string `json:"run"`
	// Again reports that it began before Run, so what is new may have been missed.
	Again bool `json:"again,omitempty"`
	// After is the key of the last image that was processed.
	After string `json:"after"`
	// Failed are the images among them that must be retried.
	Failed []registry.Entry `json:"failed,omitempty"`
	// Stuck is the number of consecutive invocations without progress.
	Stuck int  `json:"stuck,omitempty"`
	Done  bool `json:"done"`

	// Below are the places below the repository that are not listed yet, Unlisted
	// those that could not be.
	Below    []place `json:"below,omitempty"`
	Unlisted []place `json:"unlisted,omitempty"`
	// Visited counts those that were listed, Fruitful those with images.
	Visited  int `json:"visited,omitempty"`
	Fruitful int `json:"fruitful,omitempty"`
	// TooMany reports that there are more of them than are visited.
	TooMany bool `json:"tooMany,omitempty"`
}

// finished reports whether nothing is left to do.
func (p *progress) finished() bool {
	return p.Done && len(p.Failed)+len(p.Below)+len(p.Unlisted) == 0 && !p.TooMany
}

func (f *Filler) repository(ctx context.Context, m Message) error {
	c := clockOf(ctx)
	ctx, cancel := context.WithDeadlineCause(ctx, c.end, errTimeUp)
	defer cancel()
	w := &repositoryRun{filler: f, message: m, clock: c, name: workPrefix + shardName(m.Repository, m.Shard, m.Of) + ".json"}
	stored, err := f.read(ctx, w.name, &w.progress)
	if err != nil {
		return err
	}
	w.saved = stored && !w.progress.finished()
	switch {
	case !stored || w.progress.finished() && w.progress.Run != m.Run && !newerRun(w.progress.Run, m.Run):
		w.progress = progress{Run: m.Run}
	case newerRun(w.progress.Run, m.Run):
		return nil // a message of a later run continues it
	case w.progress.finished():
		return nil // the message was delivered twice
	case w.progress.Run != m.Run:
		w.progress.Run, w.progress.Again, w.progress.Stuck = m.Run, true, 0
	}
	err = w.all(ctx)
	if err == nil && w.progress.finished() && w.progress.Again {
		w.progress = progress{Run: m.Run}
		if err = w.save(ctx); err == nil {
			err = f.Queue.Send(ctx, m)
		}
	}
	if failed := f.recordSmallest(context.WithoutCancel(ctx), m.Run, w.smallest); failed != nil {
		f.Log.Error("recording the image for the canary failed", "error", failed.Error())
	}
	f.countCopied(w.result.Copied, w.result.Bytes)
	f.Log.Info("repository processed", "repository", m.Repository, "shard", m.Shard, "of", max(m.Of, 1), "done", w.progress.Done,
		"copied", w.result.Copied, "bytes", w.result.Bytes, "fromBucket", w.result.FromBucket, "existed", w.result.Existed, "pending", w.result.Pending, "failed", len(w.progress.Failed), "absent", w.absent, "filtered", w.filtered.Images+w.filtered.Platforms)
	f.countAbsent(w.absent)
	if err != nil {
		return fmt.Errorf("repository %q: %w", m.Repository, err)
	}
	return nil
}

// workPrefix is the prefix in the state of the progress of workers.
const workPrefix = "work/"

// newerRun reports whether a run began after another one.
func newerRun(run, other string) bool {
	began := func(run string) string { _, at, _ := strings.Cut(run, "-"); return at }
	return began(run) > began(other)
}

// repositoryRun is one invocation that works on a shard of a repository.
type repositoryRun struct {
	filler   *Filler
	message  Message
	clock    clock
	name     string // of the progress in the state
	progress progress
	result   Result
	smallest config.CanaryImage
	absent   int // manifests, tags and blobs that the source does not have
	filtered Filtered

	cache     ManifestCache
	cacheName string
	found     found
	changed   bool // the progress is worth saving
	saved     bool // it was saved, by this message or an earlier one
	// listed are the digests that are visited as entries of the listing, in this shard or
	// another one; visited are others that were visited before.
	listed, visited map[string]bool
}

func (w *repositoryRun) all(ctx context.Context) error {
	f, m := w.filler, w.message
	inventory, err := f.loadHoldings(ctx)
	if err != nil {
		return err
	}
	withdrawn, err := LoadWithdrawn(ctx, f.State)
	if err != nil {
		return err
	}
	w.cacheName = cacheName(m.Repository, m.Shard, m.Of)
	if err := w.cache.Load(ctx, f.State, w.cacheName); err != nil {
		f.Log.Error("manifest cache is corrupt, rebuilding it", "repository", m.Repository, "error", err.Error())
	}
	o := Options{Source: f.Source, Buckets: f.Buckets, Inventory: inventory, Withdrawn: withdrawn, State: f.State, Manifests: &w.cache, CheckExisting: true,
		Filter: f.Filter, Parallel: f.Parallel, Referrers: f.Referrers, AbsentFor: askAbsentAfter, ReferrersFor: askAbsentAfter, Found: w.found.add, ImageTime: min(maxImageTime, time.Until(w.clock.stop)/3), Now: f.now}
	o.fill()
	if len(w.progress.Below)+len(w.progress.Unlisted) > 0 || w.progress.TooMany {
		if over, err := w.below(ctx, o); over || err != nil {
			return err
		}
	}
	if w.progress.finished() {
		return nil
	}
	walk := newWalk(o)
	l := walk.list(ctx, m.Repository)
	if l == nil {
		w.note(walk)
		if len(walk.plan.Errors) > 0 {
			return walk.plan.Errors[0]
		}
		w.progress.Done = true
		return w.saveEnd(ctx)
	}
	entries, leftOut := f.Filter.entries(l)
	if !f.Filter.repository(m.Repository) {
		entries = nil
	}
	w.filtered.Images += leftOut
	o.Referrers = walk.referrers(l)
	w.listed, w.visited = digestsOf(entries), map[string]bool{}
	todo, split, err := w.todo(ctx, l, entries)
	if err != nil || split {
		return err
	}
	if w.progress.Done {
		w.retryFailed(ctx, o, todo)
	} else {
		err = w.proceed(ctx, o, todo)
	}
	if err := w.saveEnd(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	if n := len(w.progress.Failed); n > 0 && w.progress.Done && err == nil {
		return fmt.Errorf("images to retry: %d, see \"copying failed\" in the log", n)
	}
	if err == nil && w.progress.Done && !w.progress.finished() {
		_, err = w.below(ctx, o)
	}
	return err
}

// note logs what the source does not have, once, and counts it.
func (w *repositoryRun) note(walk *walk) {
	w.absent += len(walk.plan.Absent)
	w.filtered.add(walk.plan.Filtered)
	w.filler.logWarnings(walk.plan.Warnings)
	if walk.known >= len(walk.plan.Absent) {
		return
	}
	for _, err := range walk.plan.Absent {
		w.filler.logAbsent(w.message.Repository, err)
	}
}

// todo returns the remaining images of the shard. It splits a large repository
// into shards and sends a message for each instead, and notes the repositories below.
func (w *repositoryRun) todo(ctx context.Context, l *registry.Listing, entries []registry.Entry) (todo []registry.Entry, split bool, err error) {
	m := w.message
	if w.progress.Done { // only the failed images are left
		return slices.DeleteFunc(slices.Clone(w.progress.Failed), func(e registry.Entry) bool { return !slices.Contains(entries, e) }), false, nil
	}
	if m.Of <= 1 && w.progress.After == "" {
		if !m.Leaf && w.progress.Visited == 0 {
			barren := 1
			if len(l.Entries) > 0 {
				barren = 0
			}
			w.progress.Below, _ = w.filler.Filter.below(l, barren)
		}
		if len(entries) > splitAt {
			messages := shardMessages(m, len(entries))
			if err := w.filler.Queue.Send(ctx, messages...); err != nil {
				return nil, false, err
			}
			w.progress.Done = true
			if err := w.save(ctx); err != nil || len(w.progress.Below) == 0 {
				return nil, true, err
			}
			return nil, true, w.filler.Queue.Send(ctx, m) // for the repositories below
		}
	}
	for _, e := range entries {
		if e.Key() > w.progress.After && shardOf(e, m.Of) == m.Shard {
			todo = append(todo, e)
		}
	}
	return todo, false, nil
}

func (w *repositoryRun) save(ctx context.Context) error {
	if err := w.saveFindings(ctx); err != nil {
		return err
	}
	w.changed = false
	w.saved = true
	return w.filler.write(ctx, w.name, w.progress)
}

// saveFindings saves what is not only for the next message. Nothing is written if
// nothing has changed.
func (w *repositoryRun) saveFindings(ctx context.Context) error {
	if err := w.filler.saveFound(ctx, w.clock, &w.found); err != nil {
		return err
	}
	return w.cache.Save(ctx, w.filler.State, w.cacheName)
}

// saveEnd saves the progress unless everything was done at once and nothing has changed.
// If the same message is delivered again, that is found out again.
func (w *repositoryRun) saveEnd(ctx context.Context) error {
	if w.progress.Done && len(w.progress.Failed) == 0 && !w.saved && !w.changed {
		return w.saveFindings(ctx)
	}
	return w.save(ctx)
}
