package copier

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/config"
)

func pieceName(run string, bucket, piece int) string {
	return fmt.Sprintf("%s%s/bucket-%d-%d", config.RunPrefix, run, bucket, piece)
}

// listAll lists all buckets in parallel until they are complete or the time is
// up.
func (p *planRun) listAll(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range p.filler.Buckets {
		if p.job.Listings[i].Done {
			continue
		}
		group.Go(func() error { return p.listOne(ctx, i) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, l := range p.job.Listings {
		if !l.Done {
			return errTimeUp
		}
	}
	return nil
}

func (p *planRun) listOne(ctx context.Context, bucket int) error {
	l := &p.job.Listings[bucket]
	next := *l
	var piece []byte
	for pages := 0; !next.Done && (pages == 0 || !p.clock.over()); pages++ {
		last, err := p.filler.Buckets[bucket].Page(ctx, next.After, func(d Digest, _ int64) { piece = append(piece, d[:]...) })
		if err != nil {
			return err
		}
		next.After, next.Done = last, last == ""
	}
	if err := p.filler.State.Put(ctx, pieceName(p.job.Run, bucket, next.Pieces), piece); err != nil {
		return err
	}
	next.Pieces++
	*l = next
	p.step()
	return nil
}

// merge writes one snapshot of all listings. It reads one bucket at a time,
// because all of them at once would not fit into memory.
func (p *planRun) merge(ctx context.Context) error {
	var s snapshot
	for bucket, l := range p.job.Listings {
		var digests []byte
		for piece := range l.Pieces {
			name := pieceName(p.job.Run, bucket, piece)
			data, err := p.filler.State.Get(ctx, name)
			if err != nil {
				return err
			}
			if data == nil || len(data)%digestSize != 0 {
				return fmt.Errorf("reading state %q: it is missing or truncated", name)
			}
			digests = append(digests, data...)
		}
		s = s.with(bucket, digests)
	}
	if err := p.filler.State.Put(ctx, snapshotName(p.job.Run), s); err != nil {
		return err
	}
	p.job.Merged = true
	return nil
}

// writeIndex writes the index of the blobs that all mirrors have into each of
// them. An error does not end the run: redirectors then fall back to HEAD
// checks.
func (p *planRun) writeIndex(ctx context.Context) {
	f := p.filler
	inventory, err := f.snapshotOf(ctx, p.job.Run)
	if err == nil {
		routed := uint64(1)<<len(f.Buckets) - 1
		for _, i := range f.Filling {
			routed &^= 1 << i
		}
		// The buckets are those of the stage, which may have fewer mirrors now.
		o := IndexOptions{Buckets: f.Buckets, Uncovered: f.Filling, AllowFewer: true}
		var n int
		if n, err = WriteIndex(ctx, f.State, o, p.job.Began, inventory.heldBy(routed)); err == nil {
			f.Log.Info("blob index written", "blobs", n)
		}
	}
	if err != nil {
		f.Log.Error("writing the blob index failed", "error", err.Error())
	}
}
