package redirect

import (
	"sync"
	"time"
)

// bucket is a token bucket: rate tokens a second, and as many at once, but at
// least one if there are any. With a rate of 0 it is always empty.
type bucket struct {
	rate float64

	mu     sync.Mutex
	tokens float64
	filled time.Time
}

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

// giveBack returns a token that was not used.
func (b *bucket) giveBack() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens++
}
