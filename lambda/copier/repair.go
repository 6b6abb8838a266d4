package copier

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/metrics"
)

const (
	// repairChunk is the number of manifest caches that are read in parallel, few to bound
	// memory.
	repairChunk = 2
	// maxCounted is the number of missing blobs up to which one that several
	// repositories have is counted once, to bound memory.
	maxCounted = 500_000
)

// enqueueRepairs enqueues the cached repositories with blobs that are missing
// from a bucket, and counts these blobs.
func (p *planRun) enqueueRepairs(ctx context.Context) error {
	f := p.filler
	inventory, err := f.loadHoldings(ctx)
	if err != nil {
		return err
	}
	withdrawn, err := LoadWithdrawn(ctx, f.State)
	if err != nil {
		return err
	}
	names, err := f.State.Names(ctx, cachePrefix)
	if err != nil {
		return err
	}
	if p.job.After == "" && len(names) > 0 { // without a cache, nothing is known
		if p.job.Unnamed, err = NeedsCopy(ctx, f.State); err != nil {
			return err
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name <= p.job.After })
	counted := map[Digest]bool{}
	for chunk := range slices.Chunk(names, repairChunk) {
		missing, err := f.missingOf(ctx, chunk, inventory, withdrawn)
		if err != nil {
			return err
		}
		for _, masks := range missing {
			p.countMissing(masks, counted)
			p.job.Unnamed = stillUnnamed(p.job.Unnamed, masks)
		}
		var messages []Message
		if p.skipped = p.job.Waiting > 0; !p.skipped { // else what waits repairs it
			messages = repairMessages(p.job.Run, chunk, missing)
		}
		if err := p.enqueue(ctx, messages, chunk[len(chunk)-1]); err != nil {
			return err
		}
	}
	return p.report(ctx, inventory, withdrawn)
}

// stillUnnamed returns the digests that are not among the missing blobs of a manifest cache;
// none if these are unknown.
func stillUnnamed(digests []string, missing map[Digest]uint64) []string {
	if missing == nil {
		return nil
	}
	return slices.DeleteFunc(digests, func(digest string) bool {
		d, _ := ParseDigest(digest)
		_, named := missing[d]
		return named
	})
}

// missingOf returns missingFrom of several caches, in their order.
func (f *Filler) missingOf(ctx context.Context, names []string, inventory *holdings, withdrawn Withdrawn) ([]map[Digest]uint64, error) {
	missing := make([]map[Digest]uint64, len(names))
	group, ctx := errgroup.WithContext(ctx)
	for i, name := range names {
		group.Go(func() (err error) {
			missing[i], err = f.missingFrom(ctx, name, inventory, withdrawn)
			return err
		})
	}
	return missing, group.Wait()
}

// missingFrom returns the blobs of a manifest cache that at least one bucket
// does not have, each with the mask of the buckets that have it; nil if the cache is corrupt.
func (f *Filler) missingFrom(ctx context.Context, name string, inventory *holdings, withdrawn Withdrawn) (map[Digest]uint64, error) {
	var cache ManifestCache
	if err := cache.Load(ctx, f.State, name); err != nil {
		f.Log.Error("manifest cache is corrupt, skipping it", "error", err.Error())
		return nil, nil // a worker rebuilds it
	}
	repository, _, _, _ := parseCacheName(name)
	all := uint64(1)<<len(f.Buckets) - 1
	missing := map[Digest]uint64{}
	var candidates []Digest
	for _, c := range cache.all {
		for _, b := range c.Blobs {
			d, _ := ParseDigest(b.Digest)
			if _, gone := withdrawn[b.Digest]; gone {
				continue
			}
			if mask := inventory.mask(d); mask != all {
				missing[d] = mask
				candidates = append(candidates, d)
			}
		}
	}
	for _, d := range candidates {
		if _, _, gone := cache.Absent(repository + "@" + d.String()); gone {
			delete(missing, d)
		}
	}
	return missing, nil
}

// countMissing counts each digest once per bucket that does not have it.
func (p *planRun) countMissing(masks map[Digest]uint64, counted map[Digest]bool) {
	for digest, mask := range masks {
		if counted[digest] {
			continue
		}
		if len(counted) < maxCounted {
			counted[digest] = true
		}
		for bucket := range p.job.Missing {
			if mask&(1<<bucket) == 0 {
				p.job.Missing[bucket]++
			}
		}
	}
}

// repairMessages returns a message for each cache with missing blobs.
func repairMessages(run string, names []string, missing []map[Digest]uint64) []Message {
	var messages []Message
	for i, name := range names {
		repository, shard, of, ok := parseCacheName(name)
		if ok && len(missing[i]) > 0 {
			messages = append(messages, Message{Do: doRepository, Run: run, Repository: repository, Leaf: true, Shard: shard, Of: of})
		}
	}
	return messages
}

// report reports the number of blobs that each mirror is missing, and of those
// that only a copy from the shell can fill.
func (p *planRun) report(ctx context.Context, inventory *holdings, withdrawn Withdrawn) error {
	f := p.filler
	for i, region := range f.Regions {
		f.count(metrics.Mirror, region, metrics.Datum{Name: metrics.MissingBlobs, Unit: "Count", Value: p.job.Missing[i]})
		f.Log.Info("missing blobs", "mirror", region, "blobs", p.job.Missing[i])
	}
	needs, err := NeedsCopy(ctx, f.State)
	if err != nil {
		return err
	}
	left := 0
	for _, digest := range needs {
		if d, _ := ParseDigest(digest); inventory.mask(d)&1 == 0 && !withdrawn[digest] && !slices.Contains(p.job.Unnamed, digest) {
			left++
		} else if err := f.State.Delete(ctx, needsPrefix+digest); err != nil {
			return err
		}
	}
	if left > 0 {
		f.countNeedsCopy(left)
	}
	return nil
}
