package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"archeio/lambda/config"
)

// filling is a run of archeio mirror on mirrors that are empty at first.
type filling struct {
	*proof
	*generator
	source *source
	s3     *storage
	task   task
	state  string // a folder
	// unreferenced are the blobs of repositories that do not exist any more.
	unreferenced map[int]bool
}

// maxDeleted is how many blobs prune deletes at most: it sends two requests for each to each
// mirror.
const maxDeleted = 500

// deletedShare is one in how many repositories is deleted before prune.
const deletedShare = 2

// fillEmpty runs copy twice, then deletes repositories and runs prune.
func (p *proof) fillEmpty(ctx context.Context) error {
	p.progress.Step("calculating %d blobs with contents", p.fill)
	g := newContents(p.fill)
	f := &filling{proof: p, generator: g, source: &source{generator: g}, s3: &storage{generator: g}, unreferenced: map[int]bool{}}
	var stop func()
	var err error
	if f.task, stop, err = p.serveRegistry(f.source, f.s3); err != nil {
		return err
	}
	defer stop()
	if f.state, err = os.MkdirTemp("", "archeio-scale-"); err != nil {
		return err
	}
	defer os.RemoveAll(f.state)

	err = f.run(ctx, "shell: copy, first", "copy")
	if err = errors.Join(err, f.copied(g.blobs)); err != nil {
		return err
	}
	p.progress.Note("%.0f blobs a second", float64(g.blobs)/p.last().Seconds)
	err = f.run(ctx, "shell: copy, again", "copy", "-index")
	if err = errors.Join(err, f.copied(0)); err != nil {
		return err
	}
	f.source.deleted.Store(int64(max(1, g.repositories/deletedShare)))
	for i := range g.blobs {
		if g.repositoryOf(i) >= f.source.remaining() {
			f.unreferenced[i] = true
		}
	}
	err = f.run(ctx, "shell: prune, dry run", "prune")
	if err = errors.Join(err, f.pruned(0, 0)); err != nil {
		return err
	}
	// The times in the record are set back instead of waiting.
	if _, err := f.edit(func(b *unusedBlob) { b.Since -= 60 * 24 * 3600 }); err != nil {
		return err
	}
	err = f.run(ctx, "shell: prune, out of the index", "prune", "-delete")
	if err = errors.Join(err, f.pruned(len(f.unreferenced), 0)); err != nil {
		return err
	}
	due := 0
	_, err = f.edit(func(b *unusedBlob) {
		if due < maxDeleted {
			b.Out -= 4 * 24 * 3600
			due++
		}
	})
	if err != nil {
		return err
	}
	err = f.run(ctx, "shell: prune, delete", "prune", "-delete")
	return errors.Join(err, f.pruned(len(f.unreferenced)-due, due))
}

func (f *filling) run(ctx context.Context, name, command string, flags ...string) error {
	t := f.task
	t.Do, t.Args = "shell", f.task.shellArgs(f.state, command, flags...)
	return f.do(ctx, name, t)
}

// copied returns an error unless the last phase has copied a number of blobs, each once
// from the source, and all mirrors have all blobs.
func (f *filling) copied(blobs int) error {
	if got := f.last().requests[sourceBlob].requests; got != int64(blobs) {
		return fmt.Errorf("%d blobs were read from the source, want %d", got, blobs)
	}
	for i := range f.mirrors {
		if got := f.s3.held(mirrorName(i)); got != f.blobs {
			return fmt.Errorf("%s has %d blobs, want %d", mirrorName(i), got, f.blobs)
		}
	}
	return nil
}

// pruned returns an error unless the record of prune has the unreferenced blobs but those
// that were deleted from all mirrors, out of them out of the index, and unless the mirrors
// have all others.
func (f *filling) pruned(out, deleted int) error {
	var outside, other int
	record, err := f.edit(func(b *unusedBlob) {
		if b.Out != 0 {
			outside++
		}
	})
	if err != nil {
		return err
	}
	recorded := map[int]bool{}
	for digest := range record {
		i, known := f.find(config.BlobPrefix + digest)
		if !known || !f.unreferenced[i] {
			other++
		}
		recorded[i] = true
	}
	if want := len(f.unreferenced) - deleted; len(record) != want || other > 0 || outside != out {
		return fmt.Errorf("%d unreferenced blobs are recorded, %d others, %d out of the index, want %d, none, %d", len(record), other, outside, want, out)
	}
	for m := range f.mirrors {
		name := mirrorName(m)
		if got, want := f.s3.held(name), f.blobs-deleted; got != want {
			return fmt.Errorf("%s has %d blobs, want %d", name, got, want)
		}
		lost := 0
		f.s3.mu.Lock()
		for i := range f.blobs {
			if !f.s3.holds(name, i) && (recorded[i] || !f.unreferenced[i]) {
				lost++
			}
		}
		f.s3.mu.Unlock()
		if lost > 0 {
			return fmt.Errorf("%s is missing %d blobs that were not to be deleted", name, lost)
		}
	}
	return nil
}
