package copier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"archeio/lambda/registry"
)

// pruneName is the name in a State of the record of blobs that no manifest refers to.
const pruneName = "prune.json"

// maxOutOfIndex is how long a blob that is to be pruned stays out of the index. If it
// was not deleted until then, it must be taken out again.
const maxOutOfIndex = 7 * 24 * time.Hour

// unreferenced is a blob that no manifest refers to.
type unreferenced struct {
	// Since is the time of the first run that found it.
	Since time.Time `json:"since"`
	// Out is the time at which it was taken out of the index, zero if it was not.
	Out time.Time `json:"out,omitzero"`
}

// out reports whether the index must not have the blob.
func (u unreferenced) out(now time.Time) bool {
	return !u.Out.IsZero() && now.Sub(u.Out) < maxOutOfIndex
}

// PruneOptions are the settings of Prune.
type PruneOptions struct {
	// Options have the Source, the Buckets and the State. Of the Filter only
	// Repositories may be set, because all images of the source must be read.
	Options
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
	// Errors are one line each.
	Errors []error
}

// Prune finds the blobs that no manifest of the source refers to, and deletes those of
// which that is known for long enough. It returns an error, and deletes nothing, if a
// bucket or the source could not be read completely.
func Prune(ctx context.Context, o PruneOptions) (*PruneResult, error) {
	o.fill()
	now := o.Now().UTC().Truncate(time.Second)
	o.Referrers, o.AbsentFor, o.WithoutReferrersFor = true, 0, 0
	// Before the source is read, which then has the images of all blobs that are listed.
	listing, err := listBuckets(ctx, &o.Options)
	if err != nil {
		return nil, err
	}
	o.Inventory = listing
	plan, err := Survey(ctx, o.Options)
	if err != nil {
		return nil, err
	}
	if err := complete(plan); err != nil {
		return nil, err
	}
	record, err := loadPruneRecord(ctx, o.State)
	if err != nil {
		return nil, err
	}
	p := &prune{o: o, now: now, record: map[string]unreferenced{}, found: map[string]placedBlob{}, result: &PruneResult{}}
	if err := p.find(ctx, plan); err != nil {
		return nil, err
	}
	takeOut, remove := p.classify(record)
	if o.Delete {
		if err := p.takeOut(ctx, takeOut); err != nil {
			return nil, err
		}
		p.remove(ctx, remove)
	}
	if err := savePruneRecord(context.WithoutCancel(ctx), o.State, p.record); err != nil {
		return nil, err
	}
	sortErrors(p.result.Errors)
	return p.result, context.Cause(ctx)
}

// prune is one run of Prune.
type prune struct {
	o      PruneOptions
	now    time.Time
	record map[string]unreferenced
	// found are the blobs that no manifest refers to, by digest.
	found  map[string]placedBlob
	result *PruneResult
}

// placedBlob has a bit for each bucket that has a blob, and the size of the blob in bytes.
type placedBlob struct {
	buckets uint64
	size    int64
}

// find finds the blobs that no manifest refers to. It lists the parts with such blobs
// again, because their whole digests are not in memory.
func (p *prune) find(ctx context.Context, plan *Plan) error {
	listing, listed := plan.references.listing, -1
	for part := range plan.references.unreferenced {
		if part == listed {
			continue
		}
		listed = part
		content, err := listSnapshot(ctx, p.o.Buckets, listing.prefix(part), nil)
		if err != nil {
			return err
		}
		for d := range content.all {
			// What has been copied since is not known to be unreferenced.
			if _, _, before := listing.find(d); !before {
				continue
			}
			if _, _, refers := plan.references.find(d); refers {
				continue
			}
			var blob placedBlob
			for i := range p.o.Buckets {
				if size, has := listing.Has(i, d); has {
					blob = placedBlob{blob.buckets | 1<<i, size}
				}
			}
			p.found[d.String()] = blob
		}
	}
	return nil
}

// classify counts the blobs, and returns those to take out of the index and those to
// delete. before is the record of the run before.
func (p *prune) classify(before map[string]unreferenced) (takeOut, remove []string) {
	for digest, blob := range p.found {
		u, known := before[digest]
		if !known || u.Since.After(p.now) {
			u = unreferenced{Since: p.now}
		}
		size := blob.size
		p.result.Unreferenced.add(size)
		if p.now.Sub(u.Since) < p.o.UnusedFor {
			p.result.Recent.add(size)
			p.record[digest] = unreferenced{Since: u.Since}
			continue
		}
		p.result.Due.add(size)
		p.record[digest] = u
		switch until := u.Out.Add(p.o.IndexFor); {
		case !u.out(p.now):
			takeOut = append(takeOut, digest)
		case until.After(p.now):
			p.wait(digest, until)
		default:
			remove = append(remove, digest)
		}
	}
	return takeOut, remove
}

func (p *prune) wait(digest string, until time.Time) {
	p.result.Waiting.add(p.found[digest].size)
	p.result.Until = later(p.result.Until, until)
}

// takeOut removes blobs from the index of every bucket.
func (p *prune) takeOut(ctx context.Context, digests []string) error {
	if len(digests) == 0 {
		return nil
	}
	// Recorded first, so that no index that is written at the same time has them.
	for _, digest := range digests {
		p.record[digest] = unreferenced{p.record[digest].Since, p.now}
	}
	if err := savePruneRecord(ctx, p.o.State, p.record); err != nil {
		return err
	}
	for _, b := range p.o.Buckets {
		if err := b.takeOut(ctx, digests...); err != nil {
			p.result.Errors = append(p.result.Errors, err)
		}
	}
	for _, digest := range digests {
		if len(p.result.Errors) > 0 { // the next run tries again
			p.record[digest] = unreferenced{Since: p.record[digest].Since}
		} else {
			p.wait(digest, p.now.Add(p.o.IndexFor))
		}
	}
	return nil
}

// remove deletes blobs from the buckets that have them.
func (p *prune) remove(ctx context.Context, digests []string) {
	for _, digest := range digests {
		if ctx.Err() != nil {
			return
		}
		clean := true
		for i, b := range p.o.Buckets {
			if p.found[digest].buckets&(1<<i) == 0 {
				continue
			}
			if _, err := b.Remove(ctx, digest); err != nil {
				p.result.Errors = append(p.result.Errors, err)
				clean = false
			}
		}
		if clean {
			p.result.Deleted.add(p.found[digest].size)
			delete(p.record, digest)
		}
	}
}

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
	for _, err := range p.Absent {
		if errors.Is(err, registry.ErrMalformed) {
			return fmt.Errorf("the source has a manifest that cannot be read: nothing is deleted: %w", err)
		}
	}
	if p.Manifests == 0 {
		return errors.New("the source has no images: nothing is deleted")
	}
	if f := p.Filtered; f.Images > 0 || f.Platforms > 0 {
		return fmt.Errorf("a filter leaves out %d images and %d platforms: nothing is deleted: filter by repositories only", f.Images, f.Platforms)
	}
	return nil
}

// loadPruneRecord reads the record. A damaged one is rebuilt: all blobs then count as
// unreferenced from now on.
func loadPruneRecord(ctx context.Context, s State) (map[string]unreferenced, error) {
	if s == nil {
		return nil, nil
	}
	data, err := s.Get(ctx, pruneName)
	if err != nil || data == nil {
		return nil, err
	}
	var record map[string]unreferenced
	if json.Unmarshal(data, &record) != nil {
		return nil, nil
	}
	return record, nil
}

func savePruneRecord(ctx context.Context, s State, record map[string]unreferenced) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return s.Put(ctx, pruneName, data)
}

// beingPruned returns the digests that are to be deleted and must not be in the index.
func beingPruned(ctx context.Context, s State, now time.Time) (digests []string, err error) {
	record, err := loadPruneRecord(ctx, s)
	for digest, u := range record {
		if u.out(now) {
			digests = append(digests, digest)
		}
	}
	return digests, err
}
