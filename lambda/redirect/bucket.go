package redirect

import (
	"sync"
	"time"
)

// bucket is a token bucket that starts full. Its capacity is the tokens of one
// second, but at least one token. With a rate of 0 it is always empty.
type bucket struct {
	rate float64 // tokens per second

	mu     sync.Mutex
	tokens float64
	filled time.Time
}

// take removes a token and reports whether there was one.
func (b *bucket) take(now time.Time) bool {
	if b.rate == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	full := max(b.rate, 1)
	if b.filled.IsZero() {
		b.tokens = full
	} else {
		b.tokens = min(full, b.tokens+b.rate*now.Sub(b.filled).Seconds())
	}
	b.filled = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// putBack returns an unused token.
func (b *bucket) putBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens++
}
