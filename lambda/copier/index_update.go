package copier

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/index"
)

const (
	// indexUpdateName is the name in the state of the time at which a message was sent
	// that updates the index. It is deleted before what workers have found is listed, so
	// that what is found later has a message of its own. A message of another time is
	// stale.
	indexUpdateName = foundPrefix + "index-update"
	// indexDelay is the delay of that message, so that a long fill does not update the
	// index for every image.
	indexDelay = 2 * time.Minute
	// indexOverdue is the age from which that message counts as lost or stuck behind
	// others: the worker that notices it updates the index itself.
	indexOverdue = 5 * time.Minute
	// indexTime is the time that a worker must have left for that.
	indexTime = 5 * time.Minute
	// maxRechecks is how often the index is updated again for blobs that S3 is still
	// replicating. Later ones are found by a worker of the planner's next round.
	maxRechecks = 5
	// maxIndexFailures is how many updates in a row may fail. After that, what workers have
	// found is added by the next update or the planner's next run.
	maxIndexFailures = 3
	// requestTime is the time for requesting another update at the end of an invocation.
	requestTime = 5 * time.Second
	// maxChecks and checksAtOnce limit the requests for these in one update.
	maxChecks, checksAtOnce = 5000, 32
)

// routed returns the mask of the buckets that the index covers.
func (f *Filler) routed() uint64 {
	routed := uint64(1)<<len(f.Buckets) - 1
	for _, i := range f.Filling {
		routed &^= 1 << i
	}
	return routed
}

// saveFound saves what a worker has found, and ensures that it is soon in the index. If
// that fails, the planner's next run adds it.
func (f *Filler) saveFound(ctx context.Context, c clock, x *found) error {
	mask, err := x.save(ctx, f.State, f.bucketNames())
	if err != nil || mask&f.routed() == 0 {
		return err
	}
	if overdue := f.requestIndex(ctx, Message{}); overdue && time.Until(c.stop) > indexTime {
		ctx, cancel := context.WithDeadline(ctx, c.stop)
		defer cancel()
		f.updateIndex(ctx, Message{})
	}
	return nil
}

// requestIndex sends a message that updates the index, unless there is one. It reports
// whether that one is overdue. An error is logged. Requeues and Failures of the message
// are those of m.
func (f *Filler) requestIndex(ctx context.Context, m Message) (overdue bool) {
	overdue, err := f.sendIndex(ctx, m)
	if err != nil {
		f.Log.Error("requesting an update of the blob index failed", "error", err.Error())
	}
	return overdue
}

func (f *Filler) sendIndex(ctx context.Context, m Message) (overdue bool, err error) {
	now := f.now().UTC()
	m.Do, m.Run, m.Delay = doIndex, now.Format(time.RFC3339Nano), indexDelay
	created, err := f.State.Create(ctx, indexUpdateName, []byte(m.Run))
	if err != nil {
		return false, err
	}
	if created {
		err := f.Queue.Send(ctx, m)
		if err != nil {
			err = errors.Join(err, f.State.Delete(ctx, indexUpdateName))
		}
		return false, err
	}
	data, err := f.State.Get(ctx, indexUpdateName)
	if err != nil || data == nil { // a worker has just begun to update it
		return false, err
	}
	sent, err := time.Parse(time.RFC3339Nano, string(data))
	return err != nil || now.Sub(sent) > indexOverdue, nil
}

// index processes a message that updates the index, unless it is stale: the index was
// updated since it was sent, and there may be another message.
func (f *Filler) index(ctx context.Context, m Message) error {
	data, err := f.State.Get(ctx, indexUpdateName)
	if err != nil || data == nil || string(data) != m.Run {
		return err
	}
	ctx, cancel := context.WithDeadlineCause(ctx, clockOf(ctx).end, errTimeUp)
	defer cancel()
	f.updateIndex(ctx, m)
	return nil
}

// updateIndex adds to the index in each bucket what workers have found since the last
// listing. It requests another update after an error, and for blobs that S3 is
// replicating; m has how often that was done before.
func (f *Filler) updateIndex(ctx context.Context, m Message) {
	var added, waiting int
	err := f.State.Delete(ctx, indexUpdateName)
	if err == nil {
		err = retryOvertaken(ctx, func() (err error) {
			var failed error
			waiting, failed = f.findReplicated(ctx, m.Requeues+m.Failures)
			added, err = f.addFound(ctx) // what is known, even then
			return errors.Join(failed, err)
		})
	}
	if err != nil {
		f.Log.Error("updating the blob index failed", "error", err.Error(), "failures", m.Failures+1)
		if m.Failures+1 < maxIndexFailures {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTime)
			defer cancel()
			f.requestIndex(ctx, Message{Requeues: m.Requeues, Failures: m.Failures + 1})
		}
		return
	}
	f.Log.Info("blob index updated", "added", added, "replicating", waiting)
	if waiting > 0 && m.Requeues < maxRechecks {
		f.requestIndex(ctx, Message{Requeues: m.Requeues + 1})
	}
}

// findReplicated checks and saves which blobs that workers have found in the primary have
// arrived in the replicas since. It returns the number of those that have not, or that
// were not checked, in all replicas. After an error, no more are checked in that bucket.
// Each repeat begins at another digest, so that those that do not arrive, or that fail, do
// not prevent the others from being checked.
func (f *Filler) findReplicated(ctx context.Context, repeats int) (waiting int, err error) {
	blobs, err := f.foundBlobs(ctx)
	if err != nil {
		return 0, err
	}
	var x found
	var missing atomic.Int64
	failed := make([]atomic.Pointer[error], len(f.Buckets))
	checks, routed := 0, f.routed()
	var group errgroup.Group
	group.SetLimit(checksAtOnce)
	for d, mask := range blobs.from(blobs.len() * (repeats % (maxRechecks + 1)) / (maxRechecks + 1)) {
		for i, b := range f.Buckets {
			if mask&1 == 0 || routed&^mask&(1<<i) == 0 {
				continue
			}
			if checks++; checks > maxChecks || failed[i].Load() != nil {
				missing.Add(1)
				continue
			}
			group.Go(func() error {
				o, err := b.Stat(ctx, d.String())
				if err != nil {
					failed[i].CompareAndSwap(nil, &err)
				}
				if o == nil {
					missing.Add(1)
				} else {
					x.add(i, d.String())
				}
				return nil
			})
		}
	}
	_ = group.Wait()
	_, err = x.save(context.WithoutCancel(ctx), f.State, f.bucketNames())
	for i := range failed {
		if first := failed[i].Load(); first != nil {
			err = errors.Join(err, *first)
		}
	}
	return int(missing.Load()), err
}

// addFound adds to the index in each bucket what workers have found and all mirrors have
// that this index covers. Its date and its other entries stay as they are, so nothing is
// added that was taken out of it since the last listing. It returns the number of blobs.
//
// The index in place is read before what it is compared with, as in WriteIndex.
func (f *Filler) addFound(ctx context.Context) (added int, err error) {
	places := make([]indexState, len(f.Buckets))
	group, inner := errgroup.WithContext(ctx)
	for i, b := range f.Buckets {
		group.Go(func() (err error) {
			places[i].header, places[i].etag, err = b.indexThere(inner, true)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	gone, err := notInIndex(ctx, f.State, time.Now(), time.Time{}, func(text string) { f.Log.Warn(text) })
	if err != nil {
		return 0, err
	}
	found, err := f.foundBlobs(ctx)
	if err != nil || found.len() == 0 {
		return 0, err
	}
	var written []*Bucket
	defer func() {
		err = errors.Join(err, takeOutSince(ctx, f.State, time.Now(), time.Time{}, gone, written))
	}()
	var errs []error
	for i, place := range places {
		if slices.ContainsFunc(places[:i], func(p indexState) bool { return bytes.Equal(p.header, place.header) }) {
			continue // it has the same index as an earlier one
		}
		data, n, err := f.extendIndex(ctx, f.Buckets[i], place, found, gone)
		if err != nil {
			return 0, err
		}
		if data == nil {
			continue
		}
		added = max(added, n)
		var same []*Bucket
		var etags []string
		for k, b := range f.Buckets[i:] {
			if p := places[i+k]; bytes.Equal(p.header, place.header) {
				same, etags = append(same, b), append(etags, p.etag)
			}
		}
		written = append(written, same...)
		errs = append(errs, replaceIndexes(ctx, same, etags, data))
	}
	return added, errors.Join(errs...)
}

// extendIndex returns the index of a bucket with the blobs that all mirrors have that it
// covers, and the number of new ones; nil if there are none, or if no redirector uses the
// index.
func (f *Filler) extendIndex(ctx context.Context, b *Bucket, place indexState, found snapshot, gone *unindexed) (data []byte, n int, err error) {
	h, err := index.ParseHeader(place.header)
	if err != nil || h.Listed.After(time.Now().Add(index.Skew)) {
		return nil, 0, nil
	}
	covered := f.maskOf(h.Mirrors)
	if covered == 0 {
		return nil, 0, nil
	}
	data, etag, err := b.indexThere(ctx, false)
	if err != nil {
		return nil, 0, err
	}
	if etag != place.etag {
		return nil, 0, fmt.Errorf("bucket %q: %w", b.Name, errOvertaken)
	}
	var more []index.Digest
	for d, mask := range found.all {
		if mask&covered == covered && !gone.has(d) {
			more = append(more, index.Digest(d))
		}
	}
	if len(more) == 0 {
		return nil, 0, nil
	}
	data, n, err = index.Extend(data, more...)
	if n == 0 || errors.Is(err, index.ErrInvalid) {
		return nil, 0, ignore(err, index.ErrInvalid)
	}
	return data, n, err
}

// maskOf returns the mask of the buckets in some regions, 0 if one of these has no bucket.
func (f *Filler) maskOf(regions []string) (mask uint64) {
	for _, region := range regions {
		before := mask
		for i, b := range f.Buckets {
			if b.region() == region {
				mask |= 1 << i
			}
		}
		if mask == before {
			return 0
		}
	}
	return mask
}

// foundBlobs returns the blobs that workers have found since the last listing, with the
// masks of all buckets that have them. The error is errOvertaken if the planner has just
// replaced what it was read from. There are none before the first listing.
func (f *Filler) foundBlobs(ctx context.Context) (blobs snapshot, err error) {
	names, _, err := f.foundNames(ctx)
	if err != nil {
		return nil, err
	}
	found, _, all, err := f.loadFound(ctx, names)
	if err != nil || len(found) == 0 && all {
		return nil, err
	}
	inv, err := f.loadInventory(ctx)
	if err != nil || inv == nil || !slices.Equal(inv.Buckets, f.bucketNames()) {
		return nil, err
	}
	parts := make([]snapshot, len(inv.Parts))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(partsAtOnce)
	for i, part := range inv.Parts {
		within := found.within(inv.prefix(i))
		if len(within) == 0 {
			continue
		}
		group.Go(func() error {
			listed, err := f.piece(inner, part.Piece)
			if errors.Is(err, errPiece) {
				return fmt.Errorf("reading the inventory: %w", errOvertaken)
			}
			if err != nil {
				return err
			}
			for d, mask := range within.all {
				parts[i] = parts[i].add(d, mask|listed.mask(d))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if !all {
		return nil, fmt.Errorf("reading what workers have found: %w", errOvertaken)
	}
	return slices.Concat(parts...), nil
}
