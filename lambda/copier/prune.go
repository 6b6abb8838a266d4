package copier

import (
	"context"
	"errors"
	"fmt"
	"time"

	"archeio/lambda/config"
)

const (
	// maxOutOfIndex is how long a blob that may be deleted stays out of the index, so that
	// a run once a month deletes it. After that it must be taken out again.
	maxOutOfIndex = 35 * 24 * time.Hour
	// maxPruneTime is how long after its start a run begins to delete a blob, because it
	// has decided by that time.
	maxPruneTime = 24 * time.Hour
	// minDeletedFor is how long a deleted blob stays out of the index: longer than any
	// redirector uses an index of an inventory from before.
	minDeletedFor = 2 * config.IndexMaxAge
)

// PruneOptions are the settings of Prune.
type PruneOptions struct {
	// Options have the Source, the Buckets and the State. Of the Filter only
	// Repositories may be set, because all of their images must be read.
	Options
	// OtherRepositories is whether blobs may be deleted that only repositories outside of
	// the Filter refer to, because those are not mirrored.
	OtherRepositories bool
	// UnusedFor is how long no manifest must have referred to a blob.
	UnusedFor time.Duration
	// IndexFor is how long redirectors may use an index from which a blob was taken out.
	IndexFor time.Duration
	// Delete is whether blobs are taken out of the index and, IndexFor later, deleted. Otherwise
	// only the record is updated.
	Delete bool
}

// Blobs are a number of blobs and their total size in bytes.
type Blobs struct {
	Count int   `json:"blobs"`
	Bytes int64 `json:"bytes"`
}

func (b *Blobs) add(size int64) { b.Count, b.Bytes = b.Count+1, b.Bytes+size }

// PruneResult is the result of Prune.
type PruneResult struct {
	// Unreferenced are all blobs in mirrors that no manifest refers to. Recent are those
	// of them of which that is not known for UnusedFor, and Due the others.
	Unreferenced, Recent, Due Blobs
	// Waiting are due and out of the index. They can be deleted from Until on.
	Waiting Blobs
	Until   time.Time
	// Deleted are those that were deleted from all mirrors.
	Deleted Blobs
	// Warnings and Errors are one line each.
	Warnings []string
	Errors   []error
}

// ErrOtherRepositories is the error for a filter that leaves out repositories, or may.
var ErrOtherRepositories = errors.New("nothing is deleted, because other repositories may refer to the blobs")

// Prune finds the blobs that no manifest of the source refers to, and deletes those of
// which that is known for long enough. It returns an error, and deletes nothing, if a
// bucket or the source could not be read completely.
func Prune(ctx context.Context, o PruneOptions) (*PruneResult, error) {
	o.fill()
	p := &prune{o: o, now: o.Now().UTC().Truncate(time.Second), doomed: spill{dir: o.TempDir}, result: &PruneResult{}}
	p.until = p.now.Add(o.IndexFor + maxOutOfIndex).Unix()
	if err := p.find(ctx); err != nil {
		return nil, err
	}
	if o.Delete {
		if err := p.takeOut(ctx); err != nil {
			return nil, err
		}
		p.remove(ctx)
	}
	sortErrors(p.result.Errors)
	return p.result, context.Cause(ctx)
}

// leavesOut is called if the filter may leave out repositories.
func (p *prune) leavesOut(which string) error {
	switch {
	case p.o.OtherRepositories:
		return nil
	case p.o.Delete:
		return fmt.Errorf("%s: %w", which, ErrOtherRepositories)
	}
	p.result.Warnings = append(p.result.Warnings, which+": blobs that only other repositories refer to count as unreferenced")
	return nil
}

// deletedFor is how long a deleted blob stays out of the index. Redirectors may use an index
// longer than by default.
func (p *prune) deletedFor() time.Duration { return max(minDeletedFor, p.o.IndexFor) }

// deletedUntil returns the pruneEntry.until of a blob that is deleted now.
func (p *prune) deletedUntil() int64 { return p.o.Now().Add(p.deletedFor()).Unix() }

// countUnreferenced counts the blobs of each bucket that no manifest refers to, if there
// are listings.
func (p *Plan) countUnreferenced(o Options) {
	p.Unreferenced = make([]Blobs, len(o.Buckets))
	if p.references == nil {
		return
	}
	listing, withdrawn := p.references.listing, map[[2]int]bool{}
	for digest := range o.Withdrawn {
		d, _ := ParseDigest(digest)
		if part, blob, ok := listing.find(d); ok {
			withdrawn[[2]int{part, blob}] = true
		}
	}
	for part, blob := range p.references.unreferenced {
		if withdrawn[[2]int{part, blob}] {
			continue
		}
		for i := range o.Buckets {
			if listing.parts[part].maskAt(blob)&(1<<i) != 0 {
				p.Unreferenced[i].add(listing.sizes[part].of(blob, i))
			}
		}
	}
}

// complete returns an error if a plan may not have all blobs of the source.
func complete(p *Plan) error {
	if len(p.Errors) > 0 {
		return fmt.Errorf("the source could not be read completely, with %d errors: nothing is deleted: %w", len(p.Errors), p.Errors[0])
	}
	if p.malformed != nil {
		return fmt.Errorf("the source has a manifest that cannot be read: nothing is deleted: %w", p.malformed)
	}
	if p.Manifests == 0 {
		return errors.New("the source has no images: nothing is deleted")
	}
	if f := p.Filtered; f.Images > 0 || f.Platforms > 0 {
		return fmt.Errorf("a filter leaves out %d images and %d platforms: nothing is deleted: do not filter images", f.Images, f.Platforms)
	}
	return nil
}
