package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"archeio/lambda/copier"
)

// mirrors are the source, the buckets and the state of one run of a command.
type mirrors struct {
	options   copier.Options
	bandwidth float64      // in bytes per second; 0 is no limit
	state     copier.State // nil for none
	aws       aws.Config
	regions   []string // of the buckets
	progress  *progress
}

// saveEvery is how often the manifest cache is saved while the source is read: a
// first run takes hours and may be killed.
const saveEvery = time.Minute

// survey reads the source and compares it with the buckets.
func (m *mirrors) survey(ctx context.Context) (plan *copier.Plan, err error) {
	boundMemory()
	err = m.saving(ctx, func() error {
		plan, err = copier.NewPlan(ctx, m.options)
		return err
	})
	return plan, err
}

// memoryLimit is about half more than what eight million blobs take in NewPlan and Run.
const memoryLimit = 340 << 20

// boundMemory limits the memory of a command that uses these, unless GOMEMLIMIT does.
func boundMemory() {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit)
	}
}

// saving saves the manifest cache during and after a function, even if it is
// interrupted, so that the next run continues from there.
func (m *mirrors) saving(ctx context.Context, do func() error) error {
	if m.state == nil {
		return do()
	}
	stop := m.saveRegularly(ctx)
	err := do()
	stop()
	if err := m.save(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	return err
}

func (m *mirrors) save(ctx context.Context) error {
	return m.options.Manifests.SaveShell(ctx, m.state)
}

// saveRegularly saves the manifest cache until stop is called. Its errors do not
// matter, because the save at the end reports them.
func (m *mirrors) saveRegularly(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	group.Go(func() {
		ticker := time.NewTicker(saveEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				_ = m.save(ctx)
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); group.Wait() }
}

// showPlan reports what would be copied, and how long functions take for it if there are
// options for that.
func showPlan(ctx context.Context, m *mirrors, fill *fillOptions) (output, error) {
	plan, err := m.survey(ctx)
	if err != nil {
		return nil, err
	}
	report, err := newCopyReport(m.options.Buckets, plan, nil)
	if err != nil {
		return nil, err
	}
	report.Leftovers = m.leftovers(plan)
	if fill != nil {
		missing := make([]missingIn, len(report.Buckets))
		for i, b := range report.Buckets {
			missing[i] = missingIn{region: m.regions[i], blobs: int64(b.Missing), bytes: b.MissingBytes}
		}
		report.Fill = newFillReport(fill, int64(plan.Manifests), m.options.Referrers, missing)
	}
	return report, nil
}

// copy copies what is missing, and writes the blob index if there are options for it.
func (m *mirrors) copy(ctx context.Context, index *copier.IndexOptions) (output, error) {
	boundMemory()
	var plan *copier.Plan
	var result *copier.Result
	err := m.saving(ctx, func() (err error) {
		plan, result, err = copier.Run(ctx, m.options)
		return err
	})
	if err != nil {
		return nil, err
	}
	if m.state != nil {
		if err := copier.ClearNeedsCopy(ctx, m.state, m.options.Buckets[0]); err != nil {
			return nil, err
		}
	}
	report, err := newCopyReport(m.options.Buckets, plan, result)
	if err != nil {
		return nil, err
	}
	var failed []string
	if report.Leftovers, failed, err = m.removeWithdrawn(ctx, plan); err != nil {
		return nil, err
	}
	report.Errors = append(report.Errors, failed...)
	if index != nil {
		index.Buckets, index.Warn = m.options.Buckets, m.progress.note
		report.Indexed, err = copier.ListIndex(ctx, m.state, *index)
		if errors.Is(err, copier.ErrFewerMirrors) {
			err = fmt.Errorf("%w: add its -bucket, or set -fewer-mirrors", err)
		}
		if err != nil {
			report.Errors = append(report.Errors, err.Error())
		}
	}
	return report, nil
}

func (m *mirrors) status(ctx context.Context, missing bool) (output, error) {
	plan, err := m.survey(ctx)
	if err != nil {
		return nil, err
	}
	var needs []string
	if m.state != nil {
		if needs, err = copier.NeedsCopy(ctx, m.state); err != nil {
			return nil, err
		}
	}
	report := newStatusReport(m.options.Buckets, plan, needs)
	if missing {
		report.missing = newMissing(m.options.Buckets, plan)
	}
	var failed []string
	if report.Leftovers, failed, err = m.removeWithdrawn(ctx, plan); err != nil {
		return nil, err
	}
	report.Errors = append(report.Errors, failed...)
	return report, nil
}
