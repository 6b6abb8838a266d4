package copier

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"archeio/lambda/registry"
)

const (
	// maxRow is how many requests to a repository may fail in a row.
	maxRow = 32
	// maxRepositories is how many repositories may fail in a row, if there was no
	// success for maxSilence.
	maxRepositories = 16
	maxSilence      = 10 * time.Minute
)

// errStopped ends the work on a source that is not available.
var errStopped = errors.New("the source is not available: not sending more requests")

// breaker stops requests to a repository or to a whole source that fails again and
// again, because each of them is retried for minutes. It is safe for concurrent use.
type breaker struct {
	now func() time.Time

	mu      sync.Mutex
	success time.Time
	rows    map[string]int // failures since the last success, by repository
}

func newBreaker(now func() time.Time) *breaker {
	return &breaker{now: now, success: now(), rows: map[string]int{}}
}

// open returns an error if a repository is not to be requested.
func (b *breaker) open(repository string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.rows[repository] >= maxRow:
		return fmt.Errorf("%w to %s after %d failures in a row", errStopped, repository, b.rows[repository])
	case len(b.rows) >= maxRepositories && b.now().Sub(b.success) >= maxSilence:
		return fmt.Errorf("%w after failures of %d repositories in a row", errStopped, len(b.rows))
	}
	return nil
}

// done notes the end of a request to a repository.
func (b *breaker) done(ctx context.Context, repository string, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case err == nil || absence(err):
		clear(b.rows)
		b.success = b.now()
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), errShare), errors.Is(err, registry.ErrUnauthorized),
		errors.Is(err, registry.ErrIncomplete), errors.Is(err, ErrContent), errors.Is(err, errTooLarge), errors.Is(err, errStopped), status(err) != 0:
		// It says nothing of the next request.
	default:
		b.rows[repository]++
	}
}
