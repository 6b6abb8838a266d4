package copier

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"archeio/lambda/registry"
)

// belowStep is the number of repositories that are listed before progress is saved.
const belowStep = 128

// below lists the repositories below this one, and enqueues those with images: only
// what a source has makes the queue grow, not what it lists. over reports that the time
// is up and that a message was sent for the rest.
func (w *repositoryRun) below(ctx context.Context, o Options) (over bool, err error) {
	f, p := w.filler, &w.progress
	p.Below, p.Unlisted = append(p.Below, p.Unlisted...), nil
	var failed error
	for len(p.Below) > 0 {
		if w.clock.over() {
			if err := w.save(ctx); err != nil {
				return false, err
			}
			return true, f.Queue.Send(context.WithoutCancel(ctx), w.message)
		}
		step := p.Below[:min(belowStep, len(p.Below))]
		walk := newWalk(o)
		listings := make([]*registry.Listing, len(step))
		group := &errgroup.Group{}
		group.SetLimit(o.Parallel)
		for i, place := range step {
			group.Go(func() error {
				listings[i] = walk.list(ctx, place.Name)
				return nil
			})
		}
		_ = group.Wait() // errors are in the plan
		if err := context.Cause(ctx); err != nil {
			return false, err
		}
		var messages []Message
		rest := p.Below[len(step):]
		for i, l := range listings {
			p.Visited++
			if l == nil {
				continue
			}
			rest = append(rest, walk.children(step[i], l)...)
			if len(l.Entries) > 0 {
				p.Fruitful++
				messages = append(messages, Message{Do: doRepository, Run: w.message.Run, Repository: step[i].Name, Leaf: true})
			}
		}
		for _, err := range walk.plan.Errors {
			f.logFailure(w.message.Repository, err)
			failed = err
			if item := (*ItemError)(nil); errors.As(err, &item) {
				p.Unlisted = append(p.Unlisted, place{Name: item.Repository})
			}
		}
		w.note(walk)
		if err := f.Queue.Send(ctx, messages...); err != nil {
			return false, err
		}
		if p.Below = rest; p.Visited+len(rest) > maxBelow+10*p.Fruitful {
			p.Below, p.TooMany = nil, true
		}
		// The last step is saved only if there was one before, or something is left.
		if w.saved || len(p.Below)+len(p.Unlisted) > 0 || p.TooMany {
			if err := w.save(ctx); err != nil {
				return false, err
			}
		}
	}
	if p.TooMany {
		failed = fmt.Errorf("more than %d repositories without images below it: not reading more of them: set fill.repositories", maxBelow)
	}
	if failed != nil {
		return false, fmt.Errorf("listing repositories below it: %w", failed)
	}
	return false, nil
}
