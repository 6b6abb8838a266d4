package blobs

import (
	"hash/maphash"
	"sync"
	"time"
)

// cache has the answers of origins. It is set-associative: a new entry replaces
// the one of its set that expires first. It has no pointers and no order that a
// lookup changes, so a lookup reads one cache line and the garbage collector
// nothing.
//
// A key is a 64-bit hash with a seed of the process. The chance that a lookup
// finds the entry of another object is below 1 in 10^14; the client then gets what
// an outdated entry would give it.
type cache struct {
	start time.Time

	mu   sync.Mutex
	sets []set // allocated with the first entry
}

const (
	entriesPerSet = 4       // 64 bytes, a cache line
	sets          = 1 << 14 // 1 MB; with half of the entries in use, 1 in 20 sets is full
)

type set [entriesPerSet]entry

// entry is a cached answer. The zero value is unused.
type entry struct {
	key uint64
	// expiry is in nanoseconds since the start of the cache, with the answer in
	// its lowest bits.
	expiry uint64
}

const answerBits = 2

// get returns the cached answer at a time, Unknown if there is none.
func (c *cache) get(key uint64, now time.Time) Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil {
		return Unknown
	}
	s := &c.sets[key%sets]
	for i := range s {
		if s[i].key == key && uint64(now.Sub(c.start)) < s[i].expiry>>answerBits {
			return Answer(s[i].expiry & (1<<answerBits - 1))
		}
	}
	return Unknown
}

// store caches an answer until a time.
func (c *cache) store(key uint64, a Answer, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil {
		c.sets = make([]set, sets)
	}
	s := &c.sets[key%sets]
	place := &s[0]
	for i := range s {
		if s[i].key == key {
			place = &s[i]
			break
		}
		if s[i].expiry < place.expiry {
			place = &s[i]
		}
	}
	*place = entry{key, uint64(until.Sub(c.start))<<answerBits | uint64(a)}
}

// key returns the cache key of an object. It changes when what is cached of the origin
// becomes invalid.
func (o *Origin) key(path string) uint64 {
	return maphash.String(o.seed, path) ^ o.generation.Load()
}
