package blobs

import (
	"hash/maphash"
	"sync"
	"time"
)

// memory is what origins have answered: a table of sets, in which a fact that
// is new takes the place of the one that ends first. It has no pointers and no
// order that a question would change, so that a question reads one line of the
// processor's cache, and the garbage collector nothing.
//
// Of what was asked it has 64 bits of a hash with a secret of the process. Less
// than one question in a hundred million million finds another's answer, and a
// client then what it finds with an outdated one.
type memory struct {
	began time.Time

	mu   sync.Mutex
	sets []set // made with the first fact
}

const (
	facts = 4       // of a set: as many as a line of 64 bytes has
	sets  = 1 << 14 // 1 MB; with half as many facts as there is room, a set of 20 is full
)

type set [facts]fact

// fact: the zero value is none.
type fact struct {
	key uint64
	// until counts nanoseconds since the memory began, and has the answer in its
	// lowest bits.
	until uint64
}

const answerBits = 2

// answer is what is known at a time, Unknown if nothing is.
func (m *memory) answer(key uint64, now time.Time) Answer {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sets == nil {
		return Unknown
	}
	s := &m.sets[key%sets]
	for i := range s {
		if s[i].key == key && uint64(now.Sub(m.began)) < s[i].until>>answerBits {
			return Answer(s[i].until & (1<<answerBits - 1))
		}
	}
	return Unknown
}

// learn keeps an answer until a time.
func (m *memory) learn(key uint64, a Answer, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.sets == nil {
		m.sets = make([]set, sets)
	}
	s := &m.sets[key%sets]
	place := &s[0]
	for i := range s {
		if s[i].key == key {
			place = &s[i]
			break
		}
		if s[i].until < place.until {
			place = &s[i]
		}
	}
	*place = fact{key, uint64(until.Sub(m.began))<<answerBits | uint64(a)}
}

// key is what the memory has of a question.
func (o *Origin) key(path string) uint64 { return maphash.String(o.seed, path) }
