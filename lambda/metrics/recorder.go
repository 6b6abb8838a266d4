package metrics

import (
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// Interval is the minimum time between two writes of a process.
	Interval = 10 * time.Second

	// maxValues is CloudWatch's limit of values per metric and line.
	maxValues = 100
)

// Recorder aggregates the metrics of a process. Use NewRecorder; a nil Recorder
// records nothing. It is safe for concurrent use.
type Recorder struct {
	out io.Writer
	now func() time.Time

	mu       sync.Mutex
	written  time.Time
	latest   time.Time // end of the last request
	started  bool
	requests [3]map[string]int // by Kind, Cloud, Reason
	checks   map[check]int
	unknown  int
	indexes  map[string]int
	indexAge float64 // seconds, after the last attempt; 0 if there is no index
	tables   map[string]int
	tableAge float64           // seconds, after the last attempt
	mirrors  [2]map[string]int // by IndexContradicted, IndexDisabled
	relayed  map[string]int    // by Relay
	tokens   map[string]int    // by Token
	check    reservoir
	total    reservoir
	relay    reservoir
	images   *images // nil before the first request for one
}

type check struct{ mirror, result string }

var (
	requestDimensions = [3]string{Kind, Cloud, Reason}
	mirrorMetrics     = [2]string{IndexContradicted, IndexDisabled}
)

// NewRecorder returns a Recorder that writes lines to out. now is the clock.
func NewRecorder(out io.Writer, now func() time.Time) *Recorder {
	r := &Recorder{
		out: out, now: now, checks: map[check]int{}, indexes: map[string]int{}, tables: map[string]int{},
		relayed: map[string]int{}, tokens: map[string]int{},
	}
	for i := range r.requests {
		r.requests[i] = map[string]int{}
	}
	for i := range r.mirrors {
		r.mirrors[i] = map[string]int{}
	}
	return r
}

// Request counts one event, received at start and answered at end. An empty kind
// or cloud counts as "unknown".
func (r *Recorder) Request(kind, cloud, reason string, start, end time.Time) {
	if r == nil {
		return
	}
	if kind == "" {
		kind = "unknown"
	}
	if cloud == "" {
		cloud = UnknownCloud
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, value := range [3]string{kind, cloud, reason} {
		r.requests[i][value]++
	}
	r.total.add(end.Sub(start))
	r.latest = end
}

// UnknownClient counts an event with a missing or invalid client address.
func (r *Recorder) UnknownClient() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unknown++
}

// Check counts one existence check.
func (r *Recorder) Check(mirror, result string, took time.Duration) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks[check{mirror, result}]++
	r.check.add(took)
}

// Index counts an attempt to load the blob index and records the age of the index
// that is loaded after it or was too old to be, 0 for none.
func (r *Recorder) Index(outcome string, age time.Duration) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.indexes[outcome]++
	r.indexAge = age.Seconds()
}

// Ranges counts an attempt to load the range table and records the age of the table in
// use after it.
func (r *Recorder) Ranges(outcome string, age time.Duration) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tables[outcome]++
	r.tableAge = age.Seconds()
}

// IndexContradicted counts a blob that the index lists and that a mirror does not have.
func (r *Recorder) IndexContradicted(mirror string) { r.countMirror(0, mirror) }

// IndexDisabled counts that the index does not count for a mirror. Call it when that
// begins, and after each attempt to load an index as long as it holds.
func (r *Recorder) IndexDisabled(mirror string) { r.countMirror(1, mirror) }

func (r *Recorder) countMirror(metric int, mirror string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mirrors[metric][mirror]++
}

// Relayed counts a relayed response. took is the time that the upstream was waited for,
// 0 if it was not needed.
func (r *Recorder) Relayed(kind, outcome string, took time.Duration) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.relayed[kind+" "+outcome]++
	if took > 0 {
		r.relay.add(took)
	}
}

// TokenFetch counts a request to a token server.
func (r *Recorder) TokenFetch(outcome string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens[outcome]++
}

// Flush writes the metrics if the last write is at least an Interval before the
// end of the last request; the first call always writes. Call it at the end of an
// invocation.
func (r *Recorder) Flush() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.latest.Sub(r.written) >= Interval {
		r.write(r.latest)
	}
	if r.images != nil && r.latest.Sub(r.images.since) >= ImageInterval {
		r.writeImages(r.latest)
	}
}

// Close writes the remaining metrics.
func (r *Recorder) Close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write(r.now())
	r.writeImages(r.now())
}

func (r *Recorder) write(now time.Time) {
	r.written = now
	var lines []byte
	put := func(dimension, value string, values ...Datum) {
		lines = appendLine(lines, now, dimension, value, values)
	}
	for i, counts := range r.requests {
		for value, n := range counts {
			put(requestDimensions[i], value, Datum{Requests, "Count", n})
		}
		clear(counts)
	}
	for c, n := range r.checks {
		put(Check, c.mirror+" "+c.result, Datum{Checks, "Count", n})
	}
	clear(r.checks)
	for outcome, n := range r.indexes {
		put(Index, outcome, Datum{IndexLoads, "Count", n})
	}
	for outcome, n := range r.tables {
		put(Ranges, outcome, Datum{RangesLoads, "Count", n})
	}
	for i, counts := range r.mirrors {
		for mirror, n := range counts {
			put(Mirror, mirror, Datum{mirrorMetrics[i], "Count", n})
		}
		clear(counts)
	}
	for value, n := range r.relayed {
		put(Relay, value, Datum{Relayed, "Count", n})
	}
	clear(r.relayed)
	for value, n := range r.tokens {
		put(Token, value, Datum{TokenFetches, "Count", n})
	}
	clear(r.tokens)
	var whole []Datum
	if !r.started {
		r.started = true
		whole = append(whole, Datum{ColdStarts, "Count", 1})
	}
	if len(r.indexes) > 0 && r.indexAge > 0 {
		whole = append(whole, Datum{IndexAge, "Seconds", r.indexAge})
	}
	clear(r.indexes)
	if len(r.tables) > 0 {
		whole = append(whole, Datum{RangesAge, "Seconds", r.tableAge})
	}
	clear(r.tables)
	if r.unknown > 0 {
		whole = append(whole, Datum{UnknownClients, "Count", r.unknown})
		r.unknown = 0
	}
	for _, s := range []struct {
		name string
		*reservoir
	}{{CheckLatency, &r.check}, {TotalLatency, &r.total}, {RelayLatency, &r.relay}} {
		if len(s.values) > 0 {
			whole = append(whole, Datum{s.name, "Milliseconds", append([]float64(nil), s.values...)})
			s.reset()
		}
	}
	if len(whole) > 0 {
		put("", "", whole...)
	}
	// A failed write loses metrics; it must not fail a request.
	_, _ = r.out.Write(lines)
}

// reservoir is a uniform random sample of at most maxValues durations, in
// milliseconds: it has the percentiles of all, but not their number.
// https://en.wikipedia.org/wiki/Reservoir_sampling
type reservoir struct {
	values []float64
	seen   int
}

func (s *reservoir) add(d time.Duration) {
	ms := float64(d) / float64(time.Millisecond)
	s.seen++
	if len(s.values) < maxValues {
		s.values = append(s.values, ms)
	} else if i := rand.IntN(s.seen); i < maxValues {
		s.values[i] = ms
	}
}

func (s *reservoir) reset() { s.values, s.seen = s.values[:0], 0 }
