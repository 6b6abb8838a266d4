package blobs

import (
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"archeio/lambda/download"
	"archeio/lambda/index"
)

// IndexOptions are the settings of the blob index, the list of the blobs that all
// mirrors have. It is read from one of them.
type IndexOptions struct {
	// URL is its address, empty for none.
	URL string
	// Refresh is how often it is refreshed. MaxAge is its maximum age, counted
	// from the listing that it was made of.
	Refresh, MaxAge time.Duration
	// Memory is how many bytes the loaded index and the next one may need
	// together. If it is 0, it follows from GOMEMLIMIT, or else from the memory of
	// the Lambda function.
	Memory int64
	// Observe is called after each attempt to load it, and when a mirror
	// contradicts it. Calls may be concurrent. It may be nil.
	Observe func(IndexEvent)
}

// IndexEvent is the result of an attempt to load the index, or of a comparison of the
// loaded one with a mirror.
type IndexEvent struct {
	// Outcome is one of the constants below.
	Outcome string
	// Mirror is the name of the mirror of a comparison, empty for an attempt.
	Mirror string
	// Age is the age of the loaded index after an attempt, or of the one that is too
	// old to be loaded, 0 if there is none.
	Age time.Duration
	// Err is what is wrong, nil if nothing is, or if an earlier event had it.
	Err error
}

// The outcomes of an attempt, which are values of the dimension metrics.Index.
const (
	IndexLoaded      = "loaded"
	IndexUnchanged   = "unchanged"
	IndexMissing     = "missing"
	IndexCorrupt     = "corrupt"
	IndexStale       = "stale"
	IndexTooLarge    = "too-large"
	IndexUnreachable = "unreachable"
)

// The outcomes of a comparison.
const (
	// IndexContradicted: the mirror does not have a blob that the index lists. It
	// is reported once for each blob, until another index is loaded.
	IndexContradicted = "contradicted"
	// IndexDisabled: the mirror does not have the witnesses either, so the index
	// does not count for it. It is reported again after each attempt to load an
	// index, as long as that holds.
	IndexDisabled = "disabled"
)

var (
	errDisproved = errors.New("the mirror does not have blobs that the index lists: the index does not count for it until a later one is loaded")
	errTooLarge  = errors.New("blob index is too large")
)

// staleError is the error for an index that is too old.
type staleError struct{ age, max time.Duration }

func (e *staleError) Error() string {
	return fmt.Sprintf("blob index is too old: %s: want at most %s", e.age.Round(time.Minute), e.max)
}

const (
	// indexRetry is the time from a failed attempt to the next.
	indexRetry = 30 * time.Second
	// processMemory is how many bytes the process needs besides the index.
	processMemory = 32 << 20
)

// indexLoader holds the index and refreshes it.
type indexLoader struct {
	options IndexOptions
	now     func() time.Time

	next  atomic.Int64 // time of the next attempt, in Unix nanoseconds
	tried atomic.Int64 // end of the last one

	mu       sync.Mutex // held by the attempt in progress
	download download.Object
	// etag and listed are those of the last index that was loaded. It may be too old by
	// now, and then it is not the current one any more.
	etag   string
	listed time.Time

	// current is the loaded index, nil for none. It changes, and what counts for
	// the mirrors with it, under this mutex.
	currentMu sync.Mutex
	current   atomic.Pointer[index.Index]
	mirrors   []*Origin // that it may cover
}

func newIndexLoader(o Options) *indexLoader {
	l := &indexLoader{options: o.Index, now: o.Now}
	l.download = l.object(o.Transport)
	if l.options.Memory == 0 {
		l.options.Memory = indexMemory(debug.SetMemoryLimit(-1), os.Getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"))
	}
	return l
}

// indexMemory returns how many bytes indexes may need in a process with a memory limit
// (GOMEMLIMIT), or in a Lambda function with some MB of memory. Without a limit, the
// heap grows to twice of what is in use before the garbage collector runs.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
func indexMemory(limit int64, functionMB string) int64 {
	if limit < math.MaxInt64 {
		return limit - processMemory
	}
	if mb, err := strconv.ParseInt(functionMB, 10, 32); err == nil {
		return (mb<<20 - processMemory) / 2
	}
	return math.MaxInt64
}

// register adds a mirror that the index may cover.
func (l *indexLoader) register(o *Origin) {
	l.currentMu.Lock()
	defer l.currentMu.Unlock()
	l.mirrors = append(l.mirrors, o)
	o.offer(l.current.Load())
}

// use replaces the loaded index; nil is none.
func (l *indexLoader) use(x *index.Index, etag string) {
	l.etag, l.listed = etag, time.Time{}
	if x != nil {
		l.listed = x.Listed
	}
	l.currentMu.Lock()
	defer l.currentMu.Unlock()
	l.current.Store(x)
	for _, o := range l.mirrors {
		o.offer(x)
	}
}

// drop replaces an index by none, and reports whether it was the loaded one.
func (l *indexLoader) drop(x *index.Index) bool {
	l.currentMu.Lock()
	defer l.currentMu.Unlock()
	if !l.current.CompareAndSwap(x, nil) {
		return false
	}
	for _, o := range l.mirrors {
		o.offer(nil)
	}
	return true
}

// Refresh starts to load the index, and what accompanies it, in the background if that
// is due, and returns at once. Call it when a response is ready. The Checker calls it only when a
// request waits for a mirror, so that no request shares its time with it.
func (c *Checker) Refresh() {
	if c.other != nil {
		c.other.Refresh()
	}
	if c.index != nil {
		c.index.refresh()
	}
}

func (l *indexLoader) refresh() {
	now := l.now()
	next := l.next.Load()
	if now.UnixNano() >= next && l.next.CompareAndSwap(next, now.Add(l.options.Refresh).UnixNano()) {
		go l.load()
	}
}

// fresh reports whether an index is not too old. A function that was frozen for long
// cannot know what was removed from the index since, so the index does not count until
// the next attempt to load it.
func (l *indexLoader) fresh(now time.Time, x *index.Index) bool {
	if now.UnixNano()-l.tried.Load() > 2*int64(l.options.Refresh) {
		return false
	}
	stale := l.tooOld(now, x.Listed)
	if stale == nil {
		return true
	}
	if l.drop(x) {
		l.report(IndexEvent{Outcome: IndexStale, Age: stale.age, Err: stale})
	}
	return false
}

// tooOld returns an error if an index of a listing at that time is too old, else nil.
func (l *indexLoader) tooOld(now, listed time.Time) *staleError {
	if age := now.Sub(listed); age > l.options.MaxAge {
		return &staleError{age, l.options.MaxAge}
	}
	return nil
}

func (l *indexLoader) report(e IndexEvent) {
	if l.options.Observe != nil {
		l.options.Observe(e)
	}
}

// load makes one attempt, if none is in progress. It does not depend on an invocation:
// a function that is frozen during an attempt continues with it later.
func (l *indexLoader) load() {
	if !l.mu.TryLock() {
		return
	}
	defer l.mu.Unlock()
	x, etag, outcome, err := l.fetch()
	now := l.now()
	if outcome == IndexUnchanged {
		// The entity tag outlives an index that became too old, so that it is not
		// downloaded again at each attempt.
		if stale := l.tooOld(now, l.listed); stale != nil {
			outcome, err = IndexStale, stale
			if x := l.current.Load(); x != nil {
				l.drop(x)
			}
		}
	}
	switch outcome {
	case IndexLoaded:
		l.use(x, etag)
	case IndexMissing: // removed on purpose
		l.use(nil, "")
	case IndexUnreachable:
		// Soon, but not later than without a failure.
		l.next.Store(now.Add(min(indexRetry, l.options.Refresh)).UnixNano())
	}
	l.tried.Store(now.UnixNano())
	event := IndexEvent{Outcome: outcome, Err: err}
	if x := l.current.Load(); x != nil {
		event.Age = now.Sub(x.Listed)
	} else if stale, ok := errors.AsType[*staleError](err); ok {
		event.Age = stale.age
	}
	l.report(event)
	l.currentMu.Lock()
	mirrors := l.mirrors
	l.currentMu.Unlock()
	for _, o := range mirrors {
		if o.isDisproved() {
			l.report(IndexEvent{Outcome: IndexDisabled, Mirror: o.name})
		}
	}
}

// admit decides by its header whether an index is worth loading, and makes room for
// it.
func (l *indexLoader) admit(h *index.Header) error {
	now := l.now()
	if stale := l.tooOld(now, h.Listed); stale != nil {
		return stale
	}
	_, needs := h.Size()
	var has int64
	if x := l.current.Load(); x != nil {
		_, has = x.Size()
	}
	switch {
	case h.Listed.After(now.Add(index.Skew)): // it would not become too old
		return fmt.Errorf("%w: it is of %s: want a time in the past", index.ErrInvalid, h.Listed.UTC().Format(time.RFC3339))
	case needs > l.options.Memory:
		return fmt.Errorf("%w: %d blobs need %d MB, and there are %d MB for it: give the function more memory",
			errTooLarge, h.Entries, needs>>20, l.options.Memory>>20)
	case needs+has > l.options.Memory:
		l.use(nil, "")
	}
	runtime.GC() // an earlier index may still be in memory
	return nil
}
