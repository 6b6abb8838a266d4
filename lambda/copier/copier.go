// Package copier fills mirrors: it finds the blobs of a registry that are
// missing from the buckets of the mirrors, and copies them.
//
// A blob appears in a bucket only if its bytes match its digest. Work is not
// repeated: buckets are listed instead of checked blob by blob, and the content
// of manifests is cached. Concurrent runs are safe, and an invalid image does not
// stop the others.
//
// NewPlan and Copy do everything in one run, from a shell. A Filler does the same
// in many short invocations of functions: the planner lists the buckets and
// enqueues repositories, and workers process one repository at a time.
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

	"archeio/lambda/registry"
)

// Options are the settings of NewPlan and Copy.
type Options struct {
	Source *registry.Client
	// Buckets are those of the mirrors. The first is the primary: every blob is
	// written there first.
	Buckets []*Bucket
	// Inventory is what the buckets have; nil lists them.
	Inventory Inventory
	// Repositories are full names; empty for all that the source lists.
	Repositories []string
	// Referrers requests the referrers of each manifest, one request each, unless
	// the listing includes untagged manifests.
	Referrers bool
	// Withdrawn are the blobs not to copy.
	Withdrawn Withdrawn
	// Manifests may be nil; then every manifest is fetched.
	Manifests *ManifestCache
	// CheckExisting sends a HEAD request for each blob before it is copied, for
	// when other processes copy at the same time.
	CheckExisting bool
	// Parallel is the number of images and blobs processed at once; 0 is 8.
	Parallel int
	// Progress is called from time to time, by one goroutine at a time; it may
	// be nil.
	Progress func(Progress)
}

// Inventory is what the buckets have.
type Inventory interface {
	// Has reports whether the bucket at a position has a blob, and its size in
	// bytes, -1 if unknown.
	Has(bucket int, d Digest) (size int64, has bool)
}

// bucketListings are the complete listings of buckets, in their order.
type bucketListings []map[Digest]int64

func (l bucketListings) Has(bucket int, d Digest) (int64, bool) {
	size, ok := l[bucket][d]
	return size, ok
}

// Progress is the progress of a run.
type Progress struct {
	// Phase is a short name of the current work, for example "hashing".
	Phase string
	// Done and Total count its units: repositories, blobs.
	Done, Total int
	// Bytes and TotalBytes are the sizes of blobs.
	Bytes, TotalBytes int64
}

// Plan is what a source has and what is missing from the buckets.
type Plan struct {
	// Repositories, Manifests and Blobs count what the source has; Fetched counts
	// the manifests that were not in the cache. Bytes is the total size of all
	// blobs of known size.
	Repositories, Manifests, Fetched, Blobs int
	Bytes                                   int64
	// LeftOut counts nondistributable layers, and blobs and manifests whose digest
	// is not SHA-256; Withdrawn counts withdrawn blobs.
	LeftOut, Withdrawn int
	// Missing are the missing blobs of each bucket, in the order of the buckets.
	Missing [][]MissingBlob
	// Errors are of single repositories, images and blobs, one line each, most of
	// them an *ItemError.
	Errors []error

	blobs map[Digest]MissingBlob
}

// MissingBlob is a blob that is missing from a bucket.
type MissingBlob struct {
	registry.Blob
	// Repository has the blob, and Image is the full name of an image there that
	// refers to it.
	Repository, Image string
}

// ItemError is an error of one repository, image or blob.
type ItemError struct {
	Repository string
	// Image and Digest are empty if unknown. Digest is that of a blob or manifest.
	Image, Digest string
	Err           error
}

// Error returns the message of Err, which names the item.
func (e *ItemError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *ItemError) Unwrap() error { return e.Err }

// Find returns where the source has a blob.
func (p *Plan) Find(d Digest) (MissingBlob, bool) {
	m, ok := p.blobs[d]
	return m, ok
}

// NewPlan lists the source and finds what is missing from the buckets. It changes
// nothing. It returns an error if the source or a bucket cannot be listed, or
// ctx has ended; errors of single images are in the plan.
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

// list lists all buckets in parallel.
func (o *Options) list(ctx context.Context) (bucketListings, error) {
	held := make(bucketListings, len(o.Buckets))
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

// walk visits repositories and collects the blobs of their manifests.
type walk struct {
	o Options

	mu    sync.Mutex
	plan  *Plan
	first map[Digest]string // by blob, the first manifest that refers to it
}

func newWalk(o Options) *walk {
	return &walk{o: o, plan: &Plan{blobs: map[Digest]MissingBlob{}}, first: map[Digest]string{}}
}

// all visits repositories and those below them.
func (w *walk) all(ctx context.Context, repositories []string) error {
	done, total := 0, 0
	seen := map[string]bool{} // a list may have duplicates, or one below another
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

func (w *walk) fail(repository, image, digest string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan.Errors = append(w.plan.Errors, &ItemError{repository, image, digest, err})
}

func (w *walk) repository(ctx context.Context, repository string) (children []string) {
	l, err := w.o.Source.List(ctx, repository)
	if err != nil {
		w.fail(repository, "", "", err)
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

// entries visits manifests of one repository, their children and referrers.
func (w *walk) entries(ctx context.Context, repository string, entries []registry.Entry, referrers bool) {
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
					w.fail(repository, repository+e.String(), "", err)
					return nil
				}
			}
			w.image(ctx, repository, e, digest, referrers, &seen)
			return nil
		})
	}
	_ = group.Wait() // errors are in the plan
}

func (w *walk) image(ctx context.Context, repository string, e registry.Entry, digest string, referrers bool, seen *sync.Map) {
	name := repository + e.String()
	for queue := []string{digest}; len(queue) > 0 && ctx.Err() == nil; {
		digest, queue = queue[0], queue[1:]
		if _, twice := seen.LoadOrStore(digest, true); twice {
			continue
		}
		if !strings.HasPrefix(digest, "sha256:") { // mirrors hold SHA-256 only
			w.leaveOut()
			continue
		}
		c, err := w.contents(ctx, repository, digest)
		if err != nil {
			w.fail(repository, name, digest, err)
			continue
		}
		queue = append(queue, c.Children...)
		if referrers {
			more, err := w.o.Source.Referrers(ctx, repository, digest)
			if err != nil {
				w.fail(repository, name, digest, err)
			}
			queue = append(queue, more...)
		}
		w.collect(repository, name, digest, c)
	}
}

func (w *walk) leaveOut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan.LeftOut++
}

func (w *walk) contents(ctx context.Context, repository, digest string) (*registry.Contents, error) {
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

func (w *walk) collect(repository, image, digest string, c *registry.Contents) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan.Manifests++
	w.plan.LeftOut += c.LeftOut
	for _, b := range c.Blobs {
		key, ok := ParseDigest(b.Digest)
		if !ok {
			continue // Parse rejects these
		}
		known, twice := w.plan.blobs[key]
		switch {
		case !twice || known.Size == registry.SizeUnknown:
			w.plan.blobs[key] = MissingBlob{b, repository, image}
			w.first[key] = digest
		case b.Size != registry.SizeUnknown && b.Size != known.Size:
			w.plan.Errors = append(w.plan.Errors, &ItemError{repository, image, b.Digest, fmt.Errorf("blob %s: the manifests disagree on its size: %d bytes in %s@%s, %d bytes in %s@%s",
				b.Digest, known.Size, known.Repository, w.first[key], b.Size, repository, digest)})
		}
	}
}

// compare adds to the plan the blobs that are missing from the buckets, and those
// of another size than at the source.
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
			case blob.Size != registry.SizeUnknown && size != registry.SizeUnknown && size != blob.Size:
				p.Errors = append(p.Errors, &ItemError{blob.Repository, blob.Image, blob.Digest, fmt.Errorf("bucket %q: %s has %d bytes, but %d in the manifest of %s: run archeio mirror verify", b.Name, blob.Digest, size, blob.Size, blob.Image)})
			}
		}
	}
	for _, missing := range p.Missing {
		// Small blobs first, so that most images are complete early.
		slices.SortFunc(missing, func(a, b MissingBlob) int {
			return cmp.Or(cmp.Compare(a.Size, b.Size), cmp.Compare(a.Digest, b.Digest))
		})
	}
	sortErrors(p.Errors)
}

func sortErrors(errs []error) {
	slices.SortFunc(errs, func(a, b error) int { return cmp.Compare(a.Error(), b.Error()) })
}

// permanent reports whether a retry would fail again.
func permanent(err error) bool {
	switch status(err) {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusMovedPermanently:
		return true
	}
	switch code(err) {
	case "NoSuchBucket", "AuthorizationHeaderMalformed":
		return true
	}
	return errors.Is(err, registry.ErrUnauthorized)
}
