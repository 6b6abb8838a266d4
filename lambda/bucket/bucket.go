// Package bucket limits the rate of something in one process.
package bucket

import (
	"sync"
	"time"
)

// Bucket is a token bucket that starts full. Its capacity is the tokens of one second,
// but at least Burst and at least one token. With a rate of 0 it is always empty. It is
// safe for concurrent use.
type Bucket struct {
	Rate  float64 // tokens per second
	Burst float64 // tokens

	mu     sync.Mutex
	tokens float64
	filled time.Time
}

// Take removes a token and reports whether there was one.
func (b *Bucket) Take(now time.Time) bool {
	if b.Rate == 0 {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	full := max(b.Rate, b.Burst, 1)
	if b.filled.IsZero() {
		b.tokens = full
	} else {
		b.tokens = min(full, b.tokens+b.Rate*now.Sub(b.filled).Seconds())
	}
	b.filled = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}

// PutBack returns an unused token.
func (b *Bucket) PutBack() { b.add(1) }

// Owe removes a token even if there is none, so that the next ones are missing later.
func (b *Bucket) Owe() { b.add(-1) }

func (b *Bucket) add(n float64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens += n
}
