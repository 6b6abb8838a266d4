package copier

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"archeio/lambda/registry"
)

// maxQueued limits the manifests of one image that wait to be requested, to bound
// memory.
const maxQueued = 50_000

// errShare ends the work on an image that has used up its share of the run.
var errShare = errors.New("the image has used up its share of this run")

// imageWalk visits one image: its manifest, children and referrers. It has a share of
// the requests and of the time of a run, so that it cannot stop the others.
type imageWalk struct {
	*walk
	repository string
	entry      registry.Entry
	referrers  bool
	// seen are the digests that this repository has, of all images.
	seen *sync.Map
	// elsewhere are those that are not visited as children or referrers.
	elsewhere map[string]bool

	left  int // requests without a result
	again int // requests for what the source did not have before
	queue []string
}

func (i *imageWalk) name() string { return i.repository + i.entry.String() }

// resolve returns the digest of the image, empty if the source does not return it.
func (i *imageWalk) resolve(ctx context.Context) string {
	if i.entry.Digest != "" {
		return i.entry.Digest
	}
	ctx, cancel := context.WithTimeoutCause(ctx, i.o.ImageTime, errShare)
	defer cancel()
	digest, err := i.o.Source.Resolve(ctx, i.repository, i.entry.Tag)
	i.breaker.done(ctx, i.repository, err)
	if err != nil {
		if absence(err) {
			i.o.Manifests.PutRoot(i.name(), "")
		}
		i.failed(ctx, i.name(), "", err)
		return ""
	}
	i.o.Manifests.ClearAbsent(i.name())
	return digest
}

func (i *imageWalk) visit(run context.Context) {
	digest := i.resolve(run)
	if digest == "" {
		return
	}
	i.o.Manifests.PutRoot(i.name(), digest)
	if i.entry.Digest == "" && i.elsewhere[digest] {
		return
	}
	// No request that counts as a pull is sent without usable buckets. Their listing may take
	// longer than the time of the image.
	if i.awaitListing() != nil {
		return
	}
	ctx, cancel := context.WithTimeoutCause(run, i.o.ImageTime, errShare)
	defer cancel()
	queued := map[string]bool{digest: true}
	for i.queue = []string{digest}; len(i.queue) > 0; {
		if run.Err() != nil {
			return
		}
		if err := i.breaker.open(i.repository); err != nil {
			i.fail(i.repository, i.name(), "", fmt.Errorf("%s: %s: %w", i.o.Source.Host(), i.name(), err))
			return
		}
		if ctx.Err() != nil || i.left <= 0 {
			i.fail(i.repository, i.name(), "", fmt.Errorf("%s: %s: %w, %d requests without a result: %d manifests that it refers to are left for the next run",
				i.o.Source.Host(), i.name(), errShare, i.o.ImageRequests-i.left, len(i.queue)))
			return
		}
		digest, i.queue = i.queue[0], i.queue[1:]
		if _, twice := i.seen.LoadOrStore(digest, true); twice {
			continue
		}
		for _, more := range i.manifest(ctx, digest) {
			if i.elsewhere[more] {
				continue
			}
			if !queued[more] && len(queued) < maxQueued {
				queued[more] = true
				i.queue = append(i.queue, more)
			} else if !queued[more] {
				i.fail(i.repository, i.name(), "", fmt.Errorf("%s: %s: it refers to more than %d manifests: not reading the others", i.o.Source.Host(), i.name(), maxQueued))
				break
			}
		}
	}
}

// manifest visits one manifest and returns what it refers to.
func (i *imageWalk) manifest(ctx context.Context, digest string) (more []string) {
	if !strings.HasPrefix(digest, "sha256:") { // mirrors hold SHA-256 only
		i.leaveOut()
		return nil
	}
	c := i.o.Manifests.Get(digest)
	if c == nil {
		if i.knownAbsent(digest) {
			return nil
		}
		select {
		case i.fetching <- struct{}{}:
			defer func() { <-i.fetching }()
		case <-ctx.Done(): // the request fails
		}
		var err error
		c, err = i.o.Source.Manifest(ctx, i.repository, digest)
		if moved := (*registry.MovedError)(nil); errors.As(err, &moved) {
			i.o.Manifests.PutReferrers(digest, []string{moved.Digest})
			digest, c, err = moved.Digest, moved.Contents, nil
			if _, twice := i.seen.LoadOrStore(digest, true); twice {
				return nil
			}
		}
		i.breaker.done(ctx, i.repository, err)
		if err != nil {
			i.failed(ctx, i.repository+"@"+digest, digest, err)
			return nil
		}
		i.o.Manifests.Put(digest, c)
		i.o.Manifests.ClearAbsent(i.repository + "@" + digest)
		i.mu.Lock()
		i.plan.Fetched++
		i.mu.Unlock()
	}
	children, leftOut := i.o.Filter.children(c)
	more = append(more, children...)
	if i.referrers {
		more = append(more, i.referrersOf(ctx, digest)...)
	}
	i.mu.Lock()
	i.plan.Filtered.Platforms += leftOut
	i.mu.Unlock()
	i.collect(i.repository, i.name(), c)
	if len(c.Blobs) > 0 {
		i.left = min(i.left+2, i.o.ImageRequests) // what brings content may go on
	}
	return more
}

// withoutReferrers is added to a repository in a key of Manifests if it does not have the
// referrers API. It is no digest.
const withoutReferrers = "@referrers"

// referrersOf returns the referrers of a manifest. The source is not asked if it was
// within ReferrersFor, or did not have the API within WithoutReferrersFor.
func (i *imageWalk) referrersOf(ctx context.Context, digest string) []string {
	key := i.repository + "@" + digest
	if known, at := i.o.Manifests.Referrers(key, digest); i.o.Now().Sub(at) < i.o.ReferrersFor {
		return known
	}
	without := i.repository + withoutReferrers
	if _, at, known := i.o.Manifests.Absent(without); known && i.o.Now().Sub(at) < i.o.WithoutReferrersFor {
		return nil
	}
	referrers, err := i.o.Source.Referrers(ctx, i.repository, digest)
	i.breaker.done(ctx, i.repository, err)
	switch {
	case err == nil:
		i.o.Manifests.PutReferrers(digest, referrers)
		if i.o.ReferrersFor > 0 {
			i.o.Manifests.PutAsked(key, i.o.Now())
		}
		i.withoutReferrers(i.repository, false)
	case !absence(err):
		i.failed(ctx, "", digest, err)
	}
	return referrers
}

// withoutReferrers records that a repository does not have the referrers API, if it was
// found out. all reports that it was requested for all manifests.
func (w *walk) withoutReferrers(repository string, all bool) {
	if w.o.WithoutReferrersFor > 0 && w.o.Source.WithoutReferrers(repository, all) {
		w.o.Manifests.PutAbsent(repository+withoutReferrers, "no referrers API", w.o.Now())
	}
}

// knownAbsent reports whether the source is not asked for a manifest, because it did
// not have it before.
func (i *imageWalk) knownAbsent(digest string) bool {
	text, at, known := i.o.Manifests.Absent(i.repository + "@" + digest)
	if !known {
		return false
	}
	if i.o.Now().Sub(at) >= i.o.AbsentFor && i.again > 0 {
		i.again--
		return false
	}
	err := registry.ErrAbsent
	if text == registry.ErrMalformed.Error() {
		err = registry.ErrMalformed
	}
	i.fail(i.repository, i.name(), digest, fmt.Errorf("%s: %s: manifest %s: %w", i.o.Source.Host(), i.name(), digest, err))
	i.mu.Lock()
	defer i.mu.Unlock()
	i.known++
	return true
}

// failed records an error of a request. key is that of Manifests, for what the source
// does not have.
func (i *imageWalk) failed(ctx context.Context, key, digest string, err error) {
	switch {
	case ctx.Err() != nil && !absence(err):
		switch {
		case !errors.Is(context.Cause(ctx), errShare):
		case digest == "":
			i.fail(i.repository, i.name(), "", fmt.Errorf("%s: %s: %w", i.o.Source.Host(), i.name(), errShare))
		default:
			// Another image may have it too.
			i.seen.Delete(digest)
			i.queue = append(i.queue, digest)
		}
	case absence(err):
		i.left--
		i.absent(key, i.repository, i.name(), digest, fmt.Errorf("%s: %w", i.name(), err))
	default:
		i.left -= 10 // it was retried
		i.fail(i.repository, i.name(), digest, err)
	}
}
