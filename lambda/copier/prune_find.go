package copier

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// prune is one run of Prune.
type prune struct {
	o      PruneOptions
	now    time.Time // when the run began
	result *PruneResult
	// until is pruneEntry.until of what this run takes out of the index: taken of each
	// digit, taking in total.
	until  int64
	taken  [len(pruneDigits)]int
	taking Blobs
	// doomed are the blobs to delete, in the order of their digests, and their number by
	// digit. They are in a file, because there may be too many for the memory.
	doomed  spill
	removes [len(pruneDigits)]int
	// finding is the progress in prefixes that are listed again.
	finding Progress
}

// placedBlob has a bit for each bucket that has a blob, and the size of the blob in bytes.
type placedBlob struct {
	digest  Digest
	buckets uint64
	size    int64
}

// placedSize is the size of an encoded placedBlob in bytes.
const placedSize = digestSize + 2*8

func (b *placedBlob) encode() []byte {
	data := binary.BigEndian.AppendUint64(slices.Clone(b.digest[:]), b.buckets)
	return binary.BigEndian.AppendUint64(data, uint64(b.size))
}

func decodePlaced(data []byte) placedBlob {
	return placedBlob{Digest(data[:digestSize]), binary.BigEndian.Uint64(data[digestSize:]), int64(binary.BigEndian.Uint64(data[digestSize+8:]))}
}

// find finds the blobs that no manifest refers to, classifies them and records them. The
// plan is in memory only until it returns.
func (p *prune) find(ctx context.Context) error {
	o := p.o.Options
	o.Referrers, o.AbsentFor, o.WithoutReferrersFor = true, 0, 0
	if names := len(o.Filter.names()); names > 0 {
		if err := p.leavesOut(fmt.Sprintf("the source is not listed, and only %d named repositories are read", names)); err != nil {
			return err
		}
	}
	// Before the source is read, which then has the images of all blobs that are listed.
	listing, err := listBuckets(ctx, &o)
	if err != nil {
		return err
	}
	o.Inventory = listing
	plan, err := NewPlan(ctx, o)
	if err != nil {
		return err
	}
	if err := complete(plan); err != nil {
		return err
	}
	if n := plan.Filtered.Repositories; n > 0 && len(o.Filter.names()) == 0 {
		if err := p.leavesOut(fmt.Sprintf("a filter leaves out %d repositories", n)); err != nil {
			return err
		}
	}
	return p.record(ctx, plan.references)
}

// record records which blobs are unreferenced, digit by digit.
func (p *prune) record(ctx context.Context, r *references) error {
	prefixes := r.unreferencedPrefixes()
	p.finding = Progress{Phase: "finding unreferenced blobs"}
	for _, of := range prefixes {
		p.finding.Total += len(of)
	}
	for digit, of := range prefixes {
		if err := p.recordDigit(ctx, r, digit, of); err != nil {
			return err
		}
	}
	return p.o.State.Delete(ctx, oldPruneName)
}

// unreferencedPrefixes returns, for each first digit, the prefixes to list again to find
// the digests of all unreferenced blobs, which are not whole in memory. The receiver may
// be nil.
func (r *references) unreferencedPrefixes() (prefixes [len(pruneDigits)][]string) {
	for part, blob := range r.unreferenced {
		digit := r.listing.parts[part].keys[blob*keySize] >> 4
		prefix := r.listing.prefix(part)
		if prefix == "" {
			prefix = pruneDigits[digit : digit+1]
		}
		if of := &prefixes[digit]; len(*of) == 0 || (*of)[len(*of)-1] != prefix {
			*of = append(*of, prefix)
		}
	}
	return prefixes
}

// recordDigit updates the piece of the record of a digit.
func (p *prune) recordDigit(ctx context.Context, r *references, digit int, prefixes []string) error {
	before, err := loadPruneRecord(ctx, p.o.State, digit)
	if err != nil {
		return err
	}
	known := before
	if known == nil {
		p.result.Warnings = append(p.result.Warnings, damagedPruneRecord(digit)+": its blobs count as unreferenced from now on")
		// What was deleted is not known either.
		known = newPruneRecord(p.deletedUntil())
	}
	next := newPruneRecord(known.allUntil())
	if known.allUntil() <= p.now.Unix() {
		next = newPruneRecord(0)
	}
	i := 0
	to := func(end []byte) { // adds what is known before a digest; nil is the end
		for ; i < known.len(); i++ {
			e := known.at(i)
			if end != nil && bytes.Compare(e.digest[:], end) >= 0 {
				return
			}
			if e.until > p.now.Unix() && !r.referredEverywhere(e.digest) {
				next = next.add(pruneEntry{digest: e.digest, until: e.until})
			}
		}
	}
	for some := range slices.Chunk(prefixes, partsAtOnce) {
		found := make([][]placedBlob, len(some))
		group, inner := errgroup.WithContext(ctx)
		for n, prefix := range some {
			group.Go(func() (err error) {
				found[n], err = p.unreferenced(inner, r, prefix)
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		for _, b := range slices.Concat(found...) {
			to(b.digest[:])
			e := pruneEntry{digest: b.digest}
			if i < known.len() && known.at(i).digest == b.digest {
				e, i = known.at(i), i+1
			}
			if e, err = p.classify(e, b); err != nil {
				return err
			}
			next = next.add(e)
		}
		p.finding.Done += len(some)
		p.o.Progress(p.finding)
	}
	to(nil)
	return next.save(ctx, p.o.State, digit, before)
}

// referredEverywhere reports whether manifests refer to a blob and all buckets have it, so
// that an index may have it whenever its inventory was listed.
func (r *references) referredEverywhere(d Digest) bool {
	part, blob, ok := r.listing.find(d)
	return ok && r.by[part][blob] != 0 && r.listing.parts[part].maskAt(blob) == 1<<r.listing.buckets-1
}

// unreferenced lists a part again, and returns the blobs in it that no manifest refers to.
func (p *prune) unreferenced(ctx context.Context, r *references, prefix string) (blobs []placedBlob, err error) {
	content, err := listSnapshot(ctx, p.o.Buckets, prefix, nil)
	if err != nil {
		return nil, err
	}
	for d := range content.all {
		part, blob, before := r.listing.find(d)
		// What has been copied since is not known to be unreferenced.
		if !before || r.by[part][blob] != 0 {
			continue
		}
		b := placedBlob{digest: d, buckets: r.listing.parts[part].maskAt(blob)}
		for i := range p.o.Buckets {
			if b.buckets&(1<<i) != 0 {
				b.size = r.listing.sizes[part].of(blob, i)
			}
		}
		blobs = append(blobs, b)
	}
	return blobs, nil
}

// classify counts an unreferenced blob and returns its next entry. Without Delete, the blob
// neither leaves the index nor is deleted.
func (p *prune) classify(e pruneEntry, b placedBlob) (pruneEntry, error) {
	now := p.now.Unix()
	if e.until <= now {
		e.out, e.until = 0, 0
	}
	if e.since == 0 || e.since > now { // new, or there again
		e.since, e.out = now, 0
	}
	p.result.Unreferenced.add(b.size)
	if now-e.since < seconds(p.o.UnusedFor) {
		p.result.Recent.add(b.size)
		e.out = 0
		return e, nil
	}
	p.result.Due.add(b.size)
	from := time.Unix(e.out, 0).Add(p.o.IndexFor).UTC()
	switch {
	case e.out == 0 || e.until-now < seconds(maxPruneTime+p.deletedFor()):
		if p.o.Delete {
			e.out, e.until = 0, p.until
			p.taken[b.digest[0]>>4]++
			p.taking.add(b.size)
		}
	case from.After(p.now):
		p.result.Waiting.add(b.size)
		p.result.Until = later(p.result.Until, from)
	case p.o.Delete:
		p.removes[b.digest[0]>>4]++
		if _, err := p.doomed.append(b.encode()); err != nil {
			return e, fmt.Errorf("writing a temporary file: %w", err)
		}
	}
	return e, nil
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
