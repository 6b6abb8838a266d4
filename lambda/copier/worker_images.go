package copier

import (
	"context"
	"errors"
	"maps"
	"slices"

	"archeio/lambda/registry"
)

// proceed processes the remaining images chunk by chunk. When the time is up it
// sends a new message for the rest.
func (w *repositoryRun) proceed(ctx context.Context, o Options, todo []registry.Entry) error {
	for entries := range slices.Chunk(todo, chunk) {
		failed, err := w.chunk(ctx, o, entries)
		if errors.Is(err, errTimeUp) && w.progress.Stuck < maxRequeues {
			w.progress.Stuck++
			w.changed = true
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
		over := w.clock.over()
		if w.changed || over {
			if err := w.save(ctx); err != nil {
				return err
			}
		}
		if over {
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

// chunk copies the missing blobs of some images. Blobs that do not fit into the
// remaining time are enqueued as messages of their own; if there are too many of them
// for that, the error is errTimeUp.
func (w *repositoryRun) chunk(ctx context.Context, o Options, entries []registry.Entry) (failed bool, err error) {
	walk := newWalk(o)
	skip := maps.Clone(w.listed)
	maps.Copy(skip, w.visited)
	seen := walk.entries(ctx, w.message.Repository, entries, o.Referrers, skip)
	if err := context.Cause(ctx); err != nil {
		return false, err
	}
	if err := walk.compare(ctx); err != nil {
		return false, err
	}
	w.note(walk)
	plan := walk.plan
	w.smallest = smallestOf(w.smallest, plan.blobs)
	w.changed = w.changed || plan.Fetched > 0 || slices.ContainsFunc(plan.Missing, func(m []MissingBlob) bool { return len(m) > 0 })
	late := map[string]MissingBlob{}
	fits := fitsInto(w.clock.stop)
	for i, missing := range plan.Missing {
		plan.Missing[i] = slices.DeleteFunc(missing, func(b MissingBlob) bool {
			isLate := b.Size > fits && b.Data == nil && (len(late) < maxLate || late[b.Digest].Digest != "")
			if isLate {
				late[b.Digest] = b
			}
			return isLate
		})
	}
	until, cancel := context.WithDeadline(ctx, w.clock.stop)
	result, _ := Copy(until, o, plan)
	cancel()
	w.result.add(result)
	w.noteCopy(plan, result)
	tooMany := false
	for _, unfinished := range result.Unfinished {
		for _, b := range unfinished {
			if tooMany = tooMany || len(late) >= maxLate; !tooMany {
				late[b.Digest] = b
			}
		}
	}
	var messages []Message
	for _, b := range late {
		blob := b.Blob
		blob.Data = nil // not in the queue
		messages = append(messages, Message{Do: doBlob, Run: w.message.Run, Repository: b.Repository, Blob: &blob, Image: b.Image})
	}
	for _, err := range result.Errors {
		w.filler.logFailure(w.message.Repository, err)
	}
	if err := w.filler.Queue.Send(context.WithoutCancel(ctx), messages...); err != nil {
		return false, err
	}
	if tooMany {
		if result.Copied > 0 {
			w.progress.Stuck = -1 // what was copied is progress
		}
		return false, errTimeUp
	}
	if len(result.Errors) > 0 {
		w.changed = true
		return true, nil
	}
	seen.Range(func(digest, _ any) bool { w.visited[digest.(string)] = true; return true })
	return false, nil
}

// noteCopy logs and counts what a copy has found that the plan did not know.
func (w *repositoryRun) noteCopy(plan *Plan, result *Result) {
	w.absent += len(result.Absent) - len(plan.Absent)
	if result.NewlyAbsent > 0 {
		for _, err := range result.Absent {
			if !slices.Contains(plan.Absent, err) {
				w.filler.logAbsent(w.message.Repository, err)
			}
		}
	}
	for _, text := range result.Warnings {
		if !slices.Contains(plan.Warnings, text) {
			w.filler.logWarnings([]string{text})
		}
	}
}
