package blobs

import "time"

const (
	// After breakAfter failures in a row, of which confirmAfter are of what always
	// works, the breaker of an origin opens for openFor; then the next check
	// decides whether it closes.
	breakAfter   = 5
	confirmAfter = 2
	openFor      = 30 * time.Second
)

// breaker is the circuit breaker of an origin. The zero value is closed; each response
// that does not show trouble resets it to that.
type breaker struct {
	// failures is the number of failures in a row, and confirmed the number of
	// those that were of what always works. Others do not count before the first
	// of these; uncounted is their number until then.
	failures, confirmed, uncounted int
	// broken is whether it is open or half-open. openUntil is when it lets one
	// check through, trial whether that check is in progress.
	broken    bool
	openUntil time.Time
	trial     bool
}

// open reports whether the breaker is open.
func (o *Origin) open(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.broken && (now.Before(o.openUntil) || o.trial)
}

// admit reports whether a check may start, which is only one while the breaker is
// half-open. It may have opened since the call of open.
func (o *Origin) admit(now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.broken {
		return true
	}
	if o.trial || now.Before(o.openUntil) {
		return false
	}
	o.trial = true
	return true
}

// failed records a failure and reports whether it counts.
func (b *breaker) failed(now time.Time, why purpose, unreachable bool) bool {
	if why == requested {
		b.trial = false
	}
	confirms := why == reference || why == recheck && unreachable
	switch {
	case confirms:
		b.failures += 1 + b.uncounted
		b.confirmed++
		b.uncounted = 0
	case b.confirmed > 0:
		b.failures++
	default:
		b.uncounted++
		return false
	}
	// A path that a client chose does not keep it open.
	if b.failures >= breakAfter && b.confirmed >= confirmAfter && (confirms || !b.broken) {
		b.broken, b.openUntil = true, now.Add(openFor)
	}
	return true
}
