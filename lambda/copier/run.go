package copier

import (
	"context"
	"errors"
	"sync"
)

// Run does what NewPlan does and copies what is missing. It starts to copy to the primary
// while it still reads the source. The plan has what was missing before. Memory does not
// depend on how many blobs are missing, but for 18 bytes for each that is copied while the
// source is read.
func Run(ctx context.Context, o Options) (*Plan, *Result, error) {
	o.fill()
	if err := o.Filter.Check(); err != nil {
		return nil, nil, err
	}
	ctx, stop := o.beginListing(ctx)
	defer stop()
	c := newCopying(o)
	reading, cancel := context.WithCancel(ctx)
	defer cancel() // of what is copied early, if the source cannot be read
	c.early = c.startEarly(reading)
	defer c.early.wait()
	o.early = c.early
	o.Progress = c.meter.source
	plan, err := NewPlan(ctx, o)
	c.early.stop()
	if err != nil {
		cancel()
		return nil, nil, err
	}
	result, err := c.all(ctx, plan)
	return plan, result, err
}

// source adds the progress of reading the source.
func (m *meter) source(x Progress) {
	m.change(func(p *Progress) {
		p.Phase, p.Done, p.Total, p.Growing = x.Phase, x.Done, x.Total, true
	})
}

// maxEarly is how many blobs wait to be copied before the source is read further. A few
// more may wait, because images are read to their end.
const maxEarly = 1000

// early copies blobs to the primary while the source is still read. What it could not
// copy is left to the copy that follows. All methods are safe for concurrent use.
type early struct {
	c     *copying
	group sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond
	queue   []MissingBlob
	stopped bool
	// waiting are the blobs in the queue, copying those in progress, copied those that need
	// no more work, tried those that failed.
	waiting, copying map[Digest]bool
	copied           digestSet
	tried            map[Digest]attempted
}

// maxTried is how many blobs may fail before nothing more is copied early, to bound memory.
const maxTried = 10_000

// attempted is a failed attempt to copy a blob, which was in a number of repositories.
type attempted struct {
	err          error
	repositories int
}

func (c *copying) startEarly(ctx context.Context) *early {
	e := &early{c: c, waiting: map[Digest]bool{}, copying: map[Digest]bool{}, tried: map[Digest]attempted{}}
	e.changed = sync.NewCond(&e.mu)
	for range c.o.Parallel {
		e.group.Go(func() {
			for {
				key, blob, ok := e.next()
				if !ok {
					return
				}
				e.copy(ctx, key, blob)
			}
		})
	}
	return e
}

// found queues a blob of the source if it is missing from the primary and was not queued
// before.
func (e *early) found(key Digest, blob MissingBlob) {
	o := &e.c.o
	if _, has := o.Inventory.Has(0, key); has {
		return
	}
	if _, withdrawn := o.Withdrawn[blob.Digest]; withdrawn {
		return
	}
	if known, _ := o.absentBlob(blob); known && blob.Data == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	_, tried := e.tried[key]
	if e.stopped || e.waiting[key] || e.copying[key] || tried || e.copied.has(key) {
		return
	}
	e.waiting[key] = true
	e.queue = append(e.queue, blob)
	e.c.meter.change(func(p *Progress) { p.TotalBytes += max(blob.Size, 0) })
	e.changed.Broadcast()
}

// ready waits until few blobs are queued.
func (e *early) ready(ctx context.Context) {
	defer context.AfterFunc(ctx, e.wake)()
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.queue) >= maxEarly && ctx.Err() == nil {
		e.changed.Wait()
	}
}

func (e *early) wake() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.changed.Broadcast()
}

func (e *early) next() (key Digest, blob MissingBlob, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.queue) == 0 && !e.stopped {
		e.changed.Wait()
	}
	if e.stopped {
		return key, blob, false
	}
	blob, e.queue = e.queue[0], e.queue[1:]
	key, _ = ParseDigest(blob.Digest)
	delete(e.waiting, key)
	e.copying[key] = true
	e.changed.Broadcast()
	return key, blob, true
}

func (e *early) copy(ctx context.Context, key Digest, blob MissingBlob) {
	var d done
	err := context.Cause(ctx)
	if err == nil {
		d, err = e.c.attempt(ctx, blob, 1)
	}
	finished := err == nil || errors.Is(err, ErrExists)
	if finished {
		e.c.note(ctx, 0, blob, d, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.copying, key)
	if finished {
		e.copied.add(key)
	} else if e.tried[key] = (attempted{err, len(blob.Others)}); len(e.tried) >= maxTried {
		e.leave()
	}
	e.changed.Broadcast()
}

// stop leaves what is queued to the copy that follows.
func (e *early) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.leave()
}

// leave is stop for a caller that holds the lock.
func (e *early) leave() {
	e.stopped, e.queue = true, nil
	e.changed.Broadcast()
}

// wait waits for the blobs in progress after stop.
func (e *early) wait() {
	e.stop()
	e.group.Wait()
}

// settled reports whether a blob was copied, after waiting if it is in progress. If not,
// it returns the number of the next attempt, and the error if there is none to make. The
// receiver may be nil.
func (e *early) settled(blob MissingBlob) (copied bool, next int, err error) {
	if e == nil {
		return false, 1, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	key, _ := ParseDigest(blob.Digest)
	for e.copying[key] {
		e.changed.Wait()
	}
	t, tried := e.tried[key]
	switch {
	case e.copied.has(key):
		return true, 0, nil
	case !tried, errors.Is(t.err, context.Canceled):
		return false, 1, nil
	case t.repositories != len(blob.Others) && absence(t.err):
		return false, 1, nil // another repository may have it
	case permanent(t.err):
		return false, 0, t.err
	}
	return false, 2, nil
}
