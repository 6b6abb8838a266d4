package copier

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/oci"
	"archeio/lambda/registry"
)

// walk visits repositories and collects the blobs of their manifests.
type walk struct {
	o       Options
	breaker *breaker
	// reading has an element for each image that is being read, fetching for each manifest
	// that is being requested: it may be large.
	reading, fetching chan struct{}

	mu       sync.Mutex
	plan     *Plan
	listed   int // repositories that exist
	fruitful int // repositories with images
	known    int // entries of plan.Absent that an earlier run has found too
}

func newWalk(o Options) *walk {
	w := &walk{o: o, breaker: newBreaker(o.Now), reading: make(chan struct{}, o.Images), fetching: make(chan struct{}, o.Parallel), plan: &Plan{blobs: map[Digest]MissingBlob{}}}
	if l, ok := o.Inventory.(*bucketListing); ok {
		w.plan.references = newReferences(l)
	}
	return w
}

// maxBarren is how many levels of repositories without images are visited below each
// other.
const maxBarren = 8

// maxBelow is how many repositories without images are visited because another one
// lists them, less in tests. Listings of more are cut off by registries.
var maxBelow = 20_000

// place is a repository to visit. barren is the number of repositories above it, one
// below the other, that have no images.
type place struct {
	Name   string `json:"name"`
	Barren int    `json:"barren,omitempty"`
}

// below returns the places of the children of a listing that may be mirrored, and
// those that are not repository names.
func (f *Filter) below(l *registry.Listing, barren int) (places []place, invalid []string) {
	for _, child := range slices.Compact(slices.Sorted(slices.Values(l.Children))) {
		switch {
		case !oci.ValidName(child):
			invalid = append(invalid, child)
		case f.within(child):
			places = append(places, place{child, barren})
		}
	}
	return places, invalid
}

// source visits all repositories of the source.
func (w *walk) source(ctx context.Context) error {
	repositories := w.o.Filter.names()
	descend := len(repositories) == 0
	if descend {
		err := w.o.Source.Roots(ctx, "", func(page []string, _ string) error {
			repositories = append(repositories, page...)
			return nil
		})
		if err != nil && !(w.o.AllowEmpty && errors.Is(err, registry.ErrAbsent)) {
			return err
		}
	}
	if err := w.all(ctx, repositories, descend); err != nil {
		return err
	}
	if !descend && w.listed == 0 && len(w.plan.Errors) == 0 && !w.o.AllowEmpty {
		return fmt.Errorf("%s: %w: none of the %d repositories exists: check their names", w.o.Source.Host(), registry.ErrAbsent, len(repositories))
	}
	return nil
}

// all visits repositories and, if told to descend, those below them.
func (w *walk) all(ctx context.Context, repositories []string, descend bool) error {
	var places []place
	for _, name := range repositories {
		if w.o.Filter.within(name) {
			places = append(places, place{name, 0})
		} else {
			w.plan.Filtered.Repositories++
		}
	}
	done, total, below := 0, 0, 0
	seen := map[string]bool{} // a list may have duplicates, or one below another
	for len(places) > 0 {
		places = slices.DeleteFunc(places, func(p place) bool {
			twice := seen[p.Name]
			seen[p.Name] = true
			return twice
		})
		var next []place
		total += len(places)
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(max(w.o.Parallel, w.o.Images/4))
		for _, p := range places {
			group.Go(func() error {
				children := w.repository(ctx, p)
				w.mu.Lock()
				defer w.mu.Unlock()
				if descend {
					next = append(next, children[:min(len(children), max(0, w.limit()-below-len(next)))]...)
				}
				done++
				w.o.Progress(Progress{Phase: "reading repositories", Done: done, Total: total + len(next)})
				return context.Cause(ctx)
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		if below += len(next); below >= w.limit() {
			w.fail(w.o.Source.Host(), "", "", fmt.Errorf("%s lists more than %d repositories below others: not reading more of them: set -repositories", w.o.Source.Host(), below))
			descend = false
		}
		slices.SortFunc(next, func(a, b place) int { return cmp.Compare(a.Name, b.Name) })
		places = next
	}
	return nil
}

// limit returns how many repositories are visited because another one lists them.
func (w *walk) limit() int { return maxBelow + 10*w.fruitful }

func (w *walk) fail(repository, image, digest string, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	item := &ItemError{repository, image, digest, err}
	if errors.Is(err, registry.ErrMalformed) {
		w.plan.malformed = item
	}
	if absence(err) {
		list(&w.plan.Absent, &w.plan.Unlisted.Absent, error(item))
	} else {
		list(&w.plan.Errors, &w.plan.Unlisted.Errors, error(item))
	}
}

// absent records that the source does not have something, in the plan and in the
// cache of manifests.
func (w *walk) absent(key, repository, image, digest string, err error) {
	w.fail(repository, image, digest, err)
	if !w.o.Manifests.PutAbsent(key, absenceText(err), w.o.Now()) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.known++
	}
}

func absenceText(err error) string {
	if errors.Is(err, registry.ErrMalformed) {
		return registry.ErrMalformed.Error()
	}
	return registry.ErrAbsent.Error()
}

// list lists a repository, nil if that failed or there is none. After an error there may
// be a part of it.
func (w *walk) list(ctx context.Context, repository string) *registry.Listing {
	var l *registry.Listing
	err := w.breaker.open("")
	if err == nil {
		l, err = w.o.Source.List(ctx, repository)
		w.breaker.done(ctx, repository, err)
	}
	switch {
	case absence(err):
		w.o.Manifests.KeepRoots(repository, nil)
		w.absent(repository, repository, "", "", err)
		return nil
	case err != nil:
		w.fail(repository, "", "", err)
	}
	if l == nil {
		return nil
	}
	w.o.Manifests.ClearAbsent(repository)
	if err == nil {
		entries, _ := w.o.Filter.entries(l)
		w.o.Manifests.KeepRoots(repository, entries)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.listed++
	return l
}

func (w *walk) repository(ctx context.Context, p place) (children []place) {
	l := w.list(ctx, p.Name)
	if l == nil {
		return nil
	}
	children = w.children(p, l)
	if !w.o.Filter.repository(p.Name) {
		if len(l.Entries) > 0 {
			w.mu.Lock()
			w.plan.Filtered.Repositories++
			w.mu.Unlock()
		}
		return children
	}
	entries, leftOut := w.o.Filter.entries(l)
	w.mu.Lock()
	w.plan.Filtered.Images += leftOut
	if len(l.Entries) > 0 || len(l.Children) == 0 {
		w.plan.Repositories++
	}
	w.mu.Unlock()
	referrers := w.referrers(l)
	w.entries(ctx, p.Name, entries, referrers, digestsOf(entries))
	if referrers && ctx.Err() == nil {
		w.withoutReferrers(p.Name, true)
	}
	return children
}

// referrers reports whether referrers are requested: they are not in the listing, or
// the Filter leaves them out there.
func (w *walk) referrers(l *registry.Listing) bool {
	return w.o.Referrers && (!l.Complete || w.o.Filter.images())
}

// children returns the places below a repository.
func (w *walk) children(p place, l *registry.Listing) []place {
	barren := p.Barren + 1
	if len(l.Entries) > 0 {
		barren = 0
	}
	places, invalid := w.o.Filter.below(l, barren)
	for _, name := range invalid {
		w.fail(p.Name, "", "", fmt.Errorf("%s: the listing of %s has an invalid repository name, %q: %w", w.o.Source.Host(), p.Name, name, registry.ErrMalformed))
	}
	w.mu.Lock()
	w.plan.Filtered.Repositories += len(l.Children) - len(places) - len(invalid)
	if len(l.Entries) > 0 {
		w.fruitful++
	}
	w.mu.Unlock()
	if barren > maxBarren && len(places) > 0 {
		w.fail(p.Name, "", "", fmt.Errorf("%s: %d levels of repositories without images above %s: not reading those below it", w.o.Source.Host(), barren, p.Name))
		return nil
	}
	return places
}

// digestsOf returns the digests of entries, which are visited as such and not as
// children of others.
func digestsOf(entries []registry.Entry) map[string]bool {
	digests := map[string]bool{}
	for _, e := range entries {
		if e.Digest != "" {
			digests[e.Digest] = true
		}
	}
	return digests
}

// entries visits manifests of one repository, their children and referrers, but not
// what is visited elsewhere. It returns the digests that it has visited.
func (w *walk) entries(ctx context.Context, repository string, entries []registry.Entry, referrers bool, elsewhere map[string]bool) *sync.Map {
	var seen sync.Map // digests
	var stopped sync.Once
	group := &errgroup.Group{}
	for _, e := range entries {
		if w.o.early != nil {
			w.o.early.ready(ctx)
		}
		select {
		case <-ctx.Done():
		case w.reading <- struct{}{}:
			group.Go(func() error {
				defer func() { <-w.reading }()
				if err := w.breaker.open(repository); err != nil {
					stopped.Do(func() { w.fail(repository, repository+e.String(), "", fmt.Errorf("%s: %w", w.o.Source.Host(), err)) })
					return nil
				}
				i := &imageWalk{walk: w, repository: repository, entry: e, referrers: referrers, seen: &seen, elsewhere: elsewhere, left: w.o.ImageRequests, again: w.o.ImageRequests / 4}
				i.visit(ctx)
				return nil
			})
		}
		if ctx.Err() != nil {
			break
		}
	}
	_ = group.Wait() // errors are in the plan
	return &seen
}

func (w *walk) leaveOut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan.LeftOut++
}

func (w *walk) collect(repository, image string, c *registry.Contents) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.plan.Manifests++
	w.plan.LeftOut += c.LeftOut
	position := int64(-1) // of the image in the partition
	for _, b := range c.Blobs {
		key, ok := ParseDigest(b.Digest)
		if !ok {
			continue // Parse rejects these
		}
		if _, twice := w.plan.blobs[key]; !twice {
			everywhere, isNew := w.plan.references.add(key, b.Size, repository)
			if everywhere && !w.o.withdrawn(b.Digest) {
				if isNew {
					w.plan.everywhere++
					w.plan.Bytes += b.Size
				}
				continue
			}
		}
		if w.plan.partition != nil {
			if position < 0 {
				position = w.plan.partition.image(repository, image)
			}
			w.plan.partition.add(key, b, position)
			if w.o.early != nil {
				w.o.early.found(key, MissingBlob{Blob: b, Repository: repository, Image: image})
			}
			continue
		}
		addReference(w.plan.blobs, key, b, repository, image)
	}
}

// addReference adds a reference of an image to a blob.
func addReference(blobs map[Digest]MissingBlob, key Digest, b registry.Blob, repository, image string) {
	known, twice := blobs[key]
	if !twice {
		blobs[key] = MissingBlob{Blob: b, Repository: repository, Image: image}
		return
	}
	if known.Size == registry.SizeUnknown {
		known.Size = b.Size
	}
	if known.Data == nil {
		known.Data = b.Data
	}
	if repository != known.Repository && len(known.Others) < maxOthers && !slices.Contains(known.Others, repository) {
		known.Others = append(known.Others, repository)
	}
	blobs[key] = known
}
