// Package copier fills mirrors: it finds out which blobs a registry has and
// which of them a mirror's bucket lacks, and copies those.
//
// A blob appears in a bucket only if its bytes hash to its digest. What a run
// did is not done again: a bucket is listed, not asked blob by blob, and what a
// manifest refers to is remembered. Two runs at once do no harm, and one bad
// image does not stop the others.
//
// NewPlan and Copy do all of it in one run, from a shell. Planner and Worker do
// the same in many short ones, as functions: the planner lists the buckets and
// hands out repositories, workers make and copy a repository at a time.
package copier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
)

// Options say what is copied, and how.
type Options struct {
	Source *Source
	// Buckets are the mirrors'. The first is the primary: every blob is
	// written there first.
	Buckets []*Bucket
	// Inventory are what the buckets have; nil lists them.
	Inventory Inventory
	// Repositories are whole names; empty for all that the source lists.
	Repositories []string
	// Referrers looks for what refers to each manifest, one request each, where
	// the listing does not have untagged manifests.
	Referrers bool
	// Withdrawn is not copied.
	Withdrawn Withdrawn
	// ManifestCache may be nil.
	Manifests *ManifestCache
	// CheckExisting has a bucket asked for each blob before it is copied there, where
	// others copy at the same time.
	CheckExisting bool
	// Parallel is how many images and blobs are worked on at once; 0 is 8.
	Parallel int
	// Progress is told now and then, from one goroutine at a time; it may be
	// nil.
	Progress func(Progress)
}

// Inventory tell what buckets have.
type Inventory interface {
	// Has answers whether the bucket at that place has a blob, and its size in
	// bytes, -1 where that is not known.
	Has(bucket int, d Digest) (size int64, has bool)
}

// listed is a listing of each bucket.
type listed []map[Digest]int64

func (l listed) Has(bucket int, d Digest) (int64, bool) {
	size, ok := l[bucket][d]
	return size, ok
}

// Progress is how far a run is.
type Progress struct {
	// Phase is what is being done, in a word or two.
	Phase string
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
	// LeftOut counts layers that may not be redistributed, and blobs and
	// manifests of other algorithms; Withdrawn those that were withdrawn.
	LeftOut, Withdrawn int
	// Missing is for each bucket what it lacks, in the order of the buckets.
	Missing [][]MissingBlob
	// Errors are what could not be found out: a line each.
	Errors []error

	blobs map[Digest]MissingBlob
}

// MissingBlob is a blob that a bucket lacks.
type MissingBlob struct {
	Blob
	// Repository has it, and Image is the whole name of an image there that
	// refers to it.
	Repository, Image string
}

// Find answers where the source has a blob.
func (p *Plan) Find(d Digest) (MissingBlob, bool) {
	m, ok := p.blobs[d]
	return m, ok
}

// NewPlan finds out what a source has and what the buckets lack. It changes
// nothing. Its error is that nothing can be done at all; what is wrong with
// single images stands in the plan.
func NewPlan(ctx context.Context, o Options) (*Plan, error) {
	o.fill()
	if o.Inventory == nil {
		held, err := o.list(ctx)
		if err != nil {
			return nil, err
		}
		o.Inventory = held
	}
	w := newWalk(o)
	repositories := o.Repositories
	if len(repositories) == 0 {
		err := o.Source.Roots(ctx, "", func(page []string, _ string) error {
			repositories = append(repositories, page...)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if err := w.all(ctx, repositories); err != nil {
		return nil, err
	}
	w.compare()
	return w.plan, nil
}

func (o *Options) fill() {
	if o.Parallel <= 0 {
		o.Parallel = 8
	}
	if o.Manifests == nil {
		o.Manifests = &ManifestCache{}
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
}

// list answers what each bucket has.
func (o *Options) list(ctx context.Context) (listed, error) {
	held := make(listed, len(o.Buckets))
	o.Progress(Progress{Phase: "listing buckets", Total: len(o.Buckets)})
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
	o Options

	mu    sync.Mutex
	plan  *Plan
	first map[Digest]string // by blob, the manifest that named it first
}

func newWalk(o Options) *walk {
	return &walk{o: o, plan: &Plan{blobs: map[Digest]MissingBlob{}}, first: map[Digest]string{}}
}

// all goes through repositories and those below them.
func (w *walk) all(ctx context.Context, repositories []string) error {
	done, total := 0, 0
	seen := map[string]bool{} // a list may name one twice, or one below another
	for len(repositories) > 0 {
		repositories = slices.DeleteFunc(slices.Clone(repositories), func(repository string) bool {
			twice := seen[repository]
			seen[repository] = true
			return twice
		})
		var below []string
		total += len(repositories)
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(w.o.Parallel)
		for _, repository := range repositories {
			group.Go(func() error {
				children := w.repository(ctx, repository)
				w.mu.Lock()
				defer w.mu.Unlock()
				below = append(below, children...)
				done++
				w.o.Progress(Progress{Phase: "reading repositories", Done: done, Total: total + len(below)})
				return context.Cause(ctx)
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		slices.Sort(below)
		repositories = below
	}
	return nil
}

func (w *walk) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan.Errors = append(w.plan.Errors, err)
}

func (w *walk) repository(ctx context.Context, repository string) (children []string) {
	l, err := w.o.Source.List(ctx, repository)
	if err != nil {
		w.fail(err)
		return nil
	}
	if len(l.Entries) > 0 || len(l.Children) == 0 {
		w.mu.Lock()
		w.plan.Repositories++
		w.mu.Unlock()
	}
	w.entries(ctx, repository, l.Entries, w.o.Referrers && !l.Complete)
	return l.Children
}

// entries goes through manifests of one repository, and all that they lead to.
func (w *walk) entries(ctx context.Context, repository string, entries []Entry, referrers bool) {
	var seen sync.Map // digests
	group := &errgroup.Group{}
	group.SetLimit(w.o.Parallel)
	for _, e := range entries {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			digest := e.Digest
			if digest == "" {
				var err error
				if digest, err = w.o.Source.Resolve(ctx, repository, e.Tag); err != nil {
					w.fail(err)
					return nil
				}
			}
			w.image(ctx, repository, e, digest, referrers, &seen)
			return nil
		})
	}
	_ = group.Wait() // they fail one by one
}

func (w *walk) image(ctx context.Context, repository string, e Entry, digest string, referrers bool, seen *sync.Map) {
	for queue := []string{digest}; len(queue) > 0 && ctx.Err() == nil; {
		digest, queue = queue[0], queue[1:]
		if _, twice := seen.LoadOrStore(digest, true); twice {
			continue
		}
		if !strings.HasPrefix(digest, "sha256:") { // clients of it will want others too
			w.leaveOut()
			continue
		}
		c, err := w.contents(ctx, repository, digest)
		if err != nil {
			w.fail(err)
			continue
		}
		queue = append(queue, c.Children...)
		if referrers {
			more, err := w.o.Source.Referrers(ctx, repository, digest)
			if err != nil {
				w.fail(err)
			}
			queue = append(queue, more...)
		}
		w.collect(repository, repository+e.String(), digest, c)
	}
}

func (w *walk) leaveOut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan.LeftOut++
}

func (w *walk) contents(ctx context.Context, repository, digest string) (*Contents, error) {
	if c := w.o.Manifests.Get(digest); c != nil {
		return c, nil
	}
	c, err := w.o.Source.Manifest(ctx, repository, digest)
	if err != nil {
		return nil, err
	}
	w.o.Manifests.Put(digest, c)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan.Fetched++
	return c, nil
}

func (w *walk) collect(repository, image, digest string, c *Contents) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan.Manifests++
	w.plan.LeftOut += c.LeftOut
	for _, b := range c.Blobs {
		key, ok := ParseDigest(b.Digest)
		if !ok {
			continue // Parse lets no other in
		}
		known, twice := w.plan.blobs[key]
		switch {
		case !twice || known.Size == unknown:
			w.plan.blobs[key] = MissingBlob{b, repository, image}
			w.first[key] = digest
		case b.Size != unknown && b.Size != known.Size:
			w.plan.Errors = append(w.plan.Errors, fmt.Errorf("blob %s: %s@%s gives it the size %d, %s@%s the size %d; one of them lies",
				b.Digest, known.Repository, w.first[key], known.Size, repository, digest, b.Size))
		}
	}
}

// compare fills in what the buckets lack, and what they have with another size
// than the source says.
func (w *walk) compare() {
	p := w.plan
	p.Blobs = len(p.blobs)
	p.Missing = make([][]MissingBlob, len(w.o.Buckets))
	for key, blob := range p.blobs {
		p.Bytes += max(blob.Size, 0)
		if _, withdrawn := w.o.Withdrawn[blob.Digest]; withdrawn {
			p.Withdrawn++
			continue
		}
		for i, b := range w.o.Buckets {
			size, ok := w.o.Inventory.Has(i, key)
			switch {
			case !ok:
				p.Missing[i] = append(p.Missing[i], blob)
			case blob.Size != unknown && size != unknown && size != blob.Size:
				p.Errors = append(p.Errors, fmt.Errorf("bucket %q: %s has %d bytes, %s says %d; verify tells which is right", b.Name, blob.Digest, size, blob.Image, blob.Size))
			}
		}
	}
	for _, lacks := range p.Missing {
		// Small ones first: most images are whole soon.
		slices.SortFunc(lacks, func(a, b MissingBlob) int {
			return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Digest, b.Digest))
		})
	}
	sortErrors(p.Errors)
}

func sortErrors(errs []error) {
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
}

// permanent tells what will be no better the next time.
func permanent(err error) bool {
	switch status(err) {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMovedPermanently:
		return true
	}
	switch code(err) {
	case "NoSuchBucket", "AuthorizationHeaderMalformed":
		return true
	}
	return errors.Is(err, errLogin)
}
