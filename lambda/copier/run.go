package copier

import (
	"context"
	"errors"
	"sync"
)

// Run does what NewPlan and Copy do, but starts to copy to the primary while it still
// reads the source. The plan has what was missing before.
func Run(ctx context.Context, o Options) (*Plan, *Result, error) {
	o.fill()
	if err := o.Filter.Check(); err != nil {
		return nil, nil, err
	}
	if o.Inventory == nil {
		held, err := listBuckets(ctx, &o)
		if err != nil {
			return nil, nil, err
		}
		o.Inventory = held
	}
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
	// copying has the blobs in progress.
	copying map[string]bool
	// copied are the blobs that need no more work, tried those that failed.
	copied map[Digest]bool
	tried  map[string]attempted
}

// attempted is a failed attempt to copy a blob, which was in a number of repositories.
type attempted struct {
	err          error
	repositories int
}

func (c *copying) startEarly(ctx context.Context) *early {
	e := &early{c: c, copying: map[string]bool{}, copied: map[Digest]bool{}, tried: map[string]attempted{}}
	e.changed = sync.NewCond(&e.mu)
	for range c.o.Parallel {
		e.group.Go(func() {
			for {
				blob, ok := e.next()
				if !ok {
					return
				}
				e.copy(ctx, blob)
			}
		})
	}
	return e
}

// found queues a blob of the source that is missing from the primary.
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
	e.c.meter.change(func(p *Progress) { p.TotalBytes += max(blob.Size, 0) })
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = append(e.queue, blob)
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

func (e *early) next() (MissingBlob, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.queue) == 0 && !e.stopped {
		e.changed.Wait()
	}
	if e.stopped {
		return MissingBlob{}, false
	}
	blob := e.queue[0]
	e.queue = e.queue[1:]
	e.copying[blob.Digest] = true
	e.changed.Broadcast()
	return blob, true
}

func (e *early) copy(ctx context.Context, blob MissingBlob) {
	var d done
	err := context.Cause(ctx)
	if err == nil {
		d, err = e.c.attempt(ctx, 0, blob, 1)
	}
	finished := err == nil || errors.Is(err, ErrExists)
	if finished {
		e.c.note(ctx, 0, blob, d, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if finished {
		key, _ := ParseDigest(blob.Digest)
		e.copied[key] = true
	} else {
		e.tried[blob.Digest] = attempted{err, len(blob.Others)}
	}
	delete(e.copying, blob.Digest)
	e.changed.Broadcast()
}

// stop leaves what is queued to the copy that follows.
func (e *early) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
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
	for e.copying[blob.Digest] {
		e.changed.Wait()
	}
	key, _ := ParseDigest(blob.Digest)
	t, tried := e.tried[blob.Digest]
	switch {
	case e.copied[key]:
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
