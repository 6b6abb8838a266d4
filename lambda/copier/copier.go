// Package copier fills mirrors: it finds out which blobs a registry has and
// which of them a mirror's bucket lacks, and copies those.
//
// A blob appears in a bucket only if its bytes hash to its digest. What a run
// did is not done again: a bucket is listed, not asked blob by blob, and what a
// manifest refers to is remembered. Two runs at once do no harm, and one bad
// image does not stop the others.
package copier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

// Options say what is copied, and how.
type Options struct {
	Source *Source
	// Buckets are the mirrors'. The first is the primary: every blob is
	// written there first.
	Buckets []*Bucket
	// Repositories are whole names; empty for all that the source lists.
	Repositories []string
	// Referrers looks for what refers to each manifest: one request each.
	Referrers bool
	// Memory may be nil.
	Memory *Memory
	// Parallel is how many images and blobs are worked on at once; 0 is 8.
	Parallel int
	// Progress is told now and then, from one goroutine at a time; it may be
	// nil.
	Progress func(Progress)
}

// Progress is how far a run is.
type Progress struct {
	// Doing is what is being done, in a word or two.
	Doing string
	// Done and Total count what it is done to: repositories, blobs.
	Done, Total int
	// Bytes and TotalBytes are those of blobs.
	Bytes, TotalBytes int64
}

// Plan is what a source has and what the buckets lack.
type Plan struct {
	// Repositories, Manifests and Blobs count what the source has; Fetched
	// is how many manifests were not remembered. Bytes is the size of all
	// blobs whose size is known.
	Repositories, Manifests, Fetched, Blobs int
	Bytes                                   int64
	// LeftOut counts layers that may not be redistributed, and blobs of
	// other algorithms.
	LeftOut int
	// Lacks is for each bucket what it lacks, in the order of the buckets.
	Lacks [][]Missing
	// Errors are what could not be found out: a line each.
	Errors []error
}

// Missing is a blob that a bucket lacks.
type Missing struct {
	Blob
	// Repository has it, and Image is a manifest there that refers to it.
	Repository, Image string
}

// Make finds out what a source has and what the buckets lack. It changes
// nothing. Its error is that nothing can be done at all; what is wrong with
// single images stands in the plan.
func Make(ctx context.Context, o Options) (*Plan, error) {
	o.fill()
	repositories := o.Repositories
	if len(repositories) == 0 {
		var err error
		if repositories, err = o.Source.Repositories(ctx); err != nil {
			return nil, err
		}
	}
	held, err := o.list(ctx)
	if err != nil {
		return nil, err
	}
	w := &walk{o: o, plan: &Plan{Repositories: len(repositories)}, blobs: map[Digest]Missing{}}
	if err := w.all(ctx, repositories); err != nil {
		return nil, err
	}
	w.compare(held)
	return w.plan, nil
}

func (o *Options) fill() {
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	if o.Memory == nil {
		o.Memory = &Memory{}
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
}

// list answers what each bucket has.
func (o *Options) list(ctx context.Context) ([]map[Digest]int64, error) {
	held := make([]map[Digest]int64, len(o.Buckets))
	o.Progress(Progress{Doing: "listing buckets", Total: len(o.Buckets)})
	group, ctx := errgroup.WithContext(ctx)
	for i, b := range o.Buckets {
		group.Go(func() (err error) {
			held[i], err = b.List(ctx)
			return err
		})
	}
	return held, group.Wait()
}

// walk goes through repositories and collects what their manifests refer to.
type walk struct {
	o    Options
	done atomic.Int64

	mu    sync.Mutex
	plan  *Plan
	blobs map[Digest]Missing
}

func (w *walk) all(ctx context.Context, repositories []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(w.o.Parallel)
	for _, repository := range repositories {
		group.Go(func() error {
			w.repository(ctx, repository)
			w.mu.Lock()
			defer w.mu.Unlock()
			w.o.Progress(Progress{Doing: "reading repositories", Done: int(w.done.Add(1)), Total: len(repositories)})
			return context.Cause(ctx)
		})
	}
	return group.Wait()
}

func (w *walk) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan.Errors = append(w.plan.Errors, err)
}

func (w *walk) repository(ctx context.Context, repository string) {
	queue, err := w.o.Source.Manifests(ctx, repository)
	var single ImageErrors
	switch {
	case errors.As(err, &single):
		for _, err := range single {
			w.fail(err)
		}
	case err != nil:
		w.fail(err)
		return
	}
	seen := map[string]bool{}
	for len(queue) > 0 && ctx.Err() == nil {
		digest := queue[0]
		queue = queue[1:]
		if seen[digest] {
			continue
		}
		seen[digest] = true
		c, err := w.contents(ctx, repository, digest)
		if err != nil {
			w.fail(err)
			continue
		}
		queue = append(queue, c.Children...)
		if w.o.Referrers {
			more, err := w.o.Source.Referrers(ctx, repository, digest)
			if err != nil {
				w.fail(err)
			}
			queue = append(queue, more...)
		}
		w.collect(repository, digest, c)
	}
}

func (w *walk) contents(ctx context.Context, repository, digest string) (*Contents, error) {
	if c := w.o.Memory.Get(digest); c != nil {
		return c, nil
	}
	c, err := w.o.Source.Manifest(ctx, repository, digest)
	if err != nil {
		return nil, err
	}
	w.o.Memory.Put(digest, c)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan.Fetched++
	return c, nil
}

func (w *walk) collect(repository, digest string, c *Contents) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan.Manifests++
	w.plan.LeftOut += c.LeftOut
	for _, b := range c.Blobs {
		key, ok := ParseDigest(b.Digest)
		if !ok {
			continue // Parse lets no other in
		}
		known, twice := w.blobs[key]
		switch {
		case !twice || known.Size == unknown:
			w.blobs[key] = Missing{b, repository, digest}
		case b.Size != unknown && b.Size != known.Size:
			w.plan.Errors = append(w.plan.Errors, fmt.Errorf("blob %s: %s@%s gives it the size %d, %s@%s the size %d; one of them lies",
				b.Digest, known.Repository, known.Image, known.Size, repository, digest, b.Size))
		}
	}
}

// compare fills in what the buckets lack: also what they have with another
// size than the source says.
func (w *walk) compare(held []map[Digest]int64) {
	w.plan.Blobs = len(w.blobs)
	w.plan.Lacks = make([][]Missing, len(held))
	for key, blob := range w.blobs {
		w.plan.Bytes += max(blob.Size, 0)
		for i := range held {
			size, ok := held[i][key]
			switch {
			case !ok:
				w.plan.Lacks[i] = append(w.plan.Lacks[i], blob)
			case blob.Size != unknown && size != blob.Size:
				w.plan.Errors = append(w.plan.Errors, fmt.Errorf("bucket %q: %s has %d bytes, %s@%s says %d", w.o.Buckets[i].Name, blob.Digest, size, blob.Repository, blob.Image, blob.Size))
			}
		}
	}
	for _, lacks := range w.plan.Lacks {
		// Small ones first: most images are whole soon.
		slices.SortFunc(lacks, func(a, b Missing) int {
			return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Digest, b.Digest))
		})
	}
	slices.SortFunc(w.plan.Errors, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
}
