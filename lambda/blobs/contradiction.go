package blobs

import (
	"time"

	"archeio/lambda/index"
)

const (
	// enoughMissing is how many witnesses in a row must be missing before the index
	// stops counting for a mirror. A withdrawal may remove one witness after the index
	// was loaded, from all mirrors: with one, it would disable the index for all of
	// them until the next refresh. An index that is wrong about a mirror is found with
	// two as well, because then nearly all witnesses are missing.
	enoughMissing = 2
	// maxDenied is the maximum number of blobs that are checked although the index
	// lists them.
	maxDenied = 256
)

// contradictions are what a mirror's responses say against the index.
type contradictions struct {
	// denied are the cache keys of blobs that the index lists and that were missing.
	denied map[uint64]struct{}
	// doubted is whether a blob was missing and no witness was checked since.
	doubted bool
	// disproved is whether witnesses were missing. Then no index counts before a
	// later one is loaded, which is next, and a witness of that is there.
	disproved bool
	next      *index.Index
	// ofWitness is whether the last background check was of a witness, and turn is
	// the position of the last witness.
	ofWitness bool
	turn      int
}

// indexed reports whether the index lists a blob for this mirror.
func (o *Origin) indexed(now time.Time, path string) bool {
	x := o.index.Load()
	return x != nil && x.Has(path) && o.checker.index.fresh(now, x)
}

// saidAbsent reports whether it is cached that the origin does not have an object.
func (o *Origin) saidAbsent(now time.Time, path string) bool {
	return now.UnixNano() < o.absentUntil.Load() && o.checker.cache.get(o.key(path), now) == Absent
}

// denies reports whether an indexed blob was missing.
func (o *Origin) denies(path string) bool {
	if len(o.denied) == 0 {
		return false
	}
	_, found := o.denied[o.key(path)]
	return found
}

// answered records an answer of the origin.
func (o *Origin) answered(now time.Time, path string, a Answer) {
	o.responded(now)
	c := o.checker
	key := o.key(path)
	cached := c.cache.get(key, now)
	until := now.Add(PresentFor)
	if a == Absent {
		until = now.Add(absentFor)
		o.absentUntil.Store(until.UnixNano())
	}
	c.cache.store(key, a, until)
	if o.compare(now, path, key, a, cached) {
		c.index.report(IndexEvent{Outcome: IndexContradicted, Mirror: o.name})
	}
}

// compare compares an answer with what is cached and with the index, and reports
// whether it contradicts the index for the first time.
func (o *Origin) compare(now time.Time, path string, key uint64, a, cached Answer) (contradicted bool) {
	x := o.index.Load()
	listed := x != nil && x.Has(path)
	o.mu.Lock()
	defer o.mu.Unlock()
	switch interrupted := o.probe != nil && !o.probe.running(); {
	case interrupted && (a == Present || cached != Unknown || listed):
		o.probe, o.provedAt = nil, now
	case x == nil && (a == Present || o.provedAt.IsZero()):
		o.provedAt = now
	}
	if a == Present {
		delete(o.denied, key)
		if listed { // it is as good as a witness
			o.doubted = false
		}
		return false
	}
	contradicted = listed && o.deny(key)
	if contradicted || x != nil && cached == Present {
		o.doubted = true
	}
	return contradicted
}

// deny records that an indexed blob is missing, and reports whether that is new.
func (o *Origin) deny(key uint64) bool {
	if _, found := o.denied[key]; found {
		return false
	}
	if o.denied == nil {
		o.denied = map[uint64]struct{}{}
	}
	for other := range o.denied {
		if len(o.denied) < maxDenied {
			break
		}
		delete(o.denied, other)
	}
	o.denied[key] = struct{}{}
	return true
}

// witness returns the next witness that is not known to be missing, with its index:
// that which counts, or else that which may. The path is empty if there is none.
func (o *Origin) witness() (x *index.Index, path string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if x = o.index.Load(); x == nil {
		x = o.next
	}
	if x == nil || len(x.Witnesses) == 0 {
		o.doubted = false
		return nil, ""
	}
	for range x.Witnesses {
		o.turn = (o.turn + 1) % len(x.Witnesses)
		if w := x.Witnesses[o.turn]; !o.denies(w) {
			return x, w
		}
	}
	return x, ""
}

// confirm records that the mirror has a witness of an index.
func (o *Origin) confirm(x *index.Index) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.doubted, o.provedAt = false, o.checker.options.Now()
	if o.next == x {
		o.index.Store(x)
		o.next, o.disproved = nil, false
	}
}

// disprove records that the mirror does not have the witnesses of an index. What is
// cached of the mirror is as wrong.
func (o *Origin) disprove(x *index.Index) {
	o.mu.Lock()
	counted := o.index.CompareAndSwap(x, nil)
	if counted {
		o.contradictions = contradictions{disproved: true, turn: o.turn}
		o.generation.Add(1 << 32)
	}
	o.mu.Unlock()
	if counted {
		o.checker.index.report(IndexEvent{Outcome: IndexDisabled, Mirror: o.name, Err: errDisproved})
	}
}

// offer makes an index count for the mirror if it covers it; nil is none.
func (o *Origin) offer(x *index.Index) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if x != nil && !x.Covers(o.region) {
		x = nil
	}
	o.denied, o.next = nil, nil
	if x != nil && o.disproved {
		o.next, x = x, nil
	}
	o.index.Store(x)
	o.provedAt = time.Time{} // so that the first answer from it is checked
}

// isDisproved reports whether no index counts for the mirror until a later one is
// confirmed.
func (o *Origin) isDisproved() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.disproved
}
