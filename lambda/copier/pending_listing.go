package copier

import (
	"context"
	"sync"
)

// pendingListing is the listing of all buckets, made while the source is already read. As
// an Inventory it waits for its end.
type pendingListing struct {
	done    chan struct{}
	listing *bucketListing // nil after an error
	err     error
}

// beginListing begins to list the buckets if there is no Inventory. If that fails, the
// returned context ends with the error as its cause. The caller must call stop.
func (o *Options) beginListing(ctx context.Context) (_ context.Context, stop func()) {
	if o.Inventory != nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	p := &pendingListing{done: make(chan struct{})}
	o.Inventory = p
	list := *o
	// The listing has to end before anything else gets far, so its progress is reported.
	var mu sync.Mutex
	listed := false
	report := o.Progress
	list.Progress = func(x Progress) {
		mu.Lock()
		defer mu.Unlock()
		report(x)
	}
	o.Progress = func(x Progress) {
		mu.Lock()
		defer mu.Unlock()
		if listed {
			report(x)
		}
	}
	go func() {
		defer close(p.done)
		if p.listing, p.err = listBuckets(ctx, &list); p.err != nil {
			p.listing = nil
			cancel(p.err)
		}
		mu.Lock()
		defer mu.Unlock()
		listed = true
	}()
	return ctx, func() {
		cancel(nil)
		<-p.done
	}
}

// Has implements Inventory.
func (p *pendingListing) Has(bucket int, d Digest) (int64, bool) {
	if <-p.done; p.listing == nil {
		return 0, false
	}
	return p.listing.Has(bucket, d)
}

// awaitListing waits for the listing of the buckets, and returns its error.
func (w *walk) awaitListing() error {
	p, ok := w.o.Inventory.(*pendingListing)
	if !ok {
		return nil
	}
	if <-p.done; p.err != nil {
		return p.err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.plan.references == nil {
		w.plan.references = newReferences(p.listing)
	}
	return nil
}
