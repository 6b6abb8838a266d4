package metrics

import (
	"io"
	"math/rand/v2"
	"sync"
	"time"
)

const (
	// Interval is how long a process counts before it writes.
	Interval = 10 * time.Second

	// maxValues is how many values CloudWatch takes of one metric in a line.
	maxValues = 100
)

// Recorder counts. The zero value is not usable; a nil Recorder counts
// nothing. It is safe for concurrent use.
type Recorder struct {
	out io.Writer
	now func() time.Time

	mu       sync.Mutex
	written  time.Time
	latest   time.Time // when the last request was answered
	started  bool
	requests [3]map[string]int // by Kind, Cloud, Reason
	checks   map[check]int
	unknown  int
	indexes  map[string]int
	indexAge float64 // seconds, of the last attempt; 0 where there is none
	check    sample
	total    sample
}

type check struct{ mirror, answer string }

var requestDimensions = [3]string{Kind, Cloud, Reason}

// NewRecorder makes a Recorder that writes lines to out.
func NewRecorder(out io.Writer, now func() time.Time) *Recorder {
	r := &Recorder{out: out, now: now, checks: map[check]int{}, indexes: map[string]int{}}
	for i := range r.requests {
		r.requests[i] = map[string]int{}
	}
	return r
}

// Request counts one event that came at start and was answered at end.
func (r *Recorder) Request(kind, cloud, reason string, start, end time.Time) {
	if r == nil {
		return
	}
	if kind == "" {
		kind = "unknown"
	}
	if cloud == "" {
		cloud = "unknown"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, value := range [3]string{kind, cloud, reason} {
		r.requests[i][value]++
	}
	r.total.add(end.Sub(start))
	r.latest = end
}

// UnknownClient counts an event whose client address was not usable.
func (r *Recorder) UnknownClient() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unknown++
}

// Check counts one existence check that was made.
func (r *Recorder) Check(mirror, answer string, took time.Duration) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks[check{mirror, answer}]++
	r.check.add(took)
}

// Index counts an attempt to load the index, and keeps the age of the one that is
// used then.
func (r *Recorder) Index(outcome string, age time.Duration) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.indexes[outcome]++
	r.indexAge = age.Seconds()
}

// Flush writes what was counted if the last time is an Interval before the last
// request was answered, the first time at once. Call it at the end of an
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
}

// Close writes what is left.
func (r *Recorder) Close() {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.write(r.now())
}

func (r *Recorder) write(now time.Time) {
	r.written = now
	var lines []byte
	put := func(dimension, value string, values ...Measured) {
		lines = appendLine(lines, now, dimension, value, values)
	}
	for i, counts := range r.requests {
		for value, n := range counts {
			put(requestDimensions[i], value, Measured{Requests, "Count", n})
		}
		clear(counts)
	}
	for c, n := range r.checks {
		put(Check, c.mirror+" "+c.answer, Measured{Checks, "Count", n})
	}
	clear(r.checks)
	for outcome, n := range r.indexes {
		put(Index, outcome, Measured{IndexLoads, "Count", n})
	}
	var whole []Measured
	if !r.started {
		r.started = true
		whole = append(whole, Measured{ColdStarts, "Count", 1})
	}
	if len(r.indexes) > 0 && r.indexAge > 0 {
		whole = append(whole, Measured{IndexAge, "Seconds", r.indexAge})
	}
	clear(r.indexes)
	if r.unknown > 0 {
		whole = append(whole, Measured{UnknownClients, "Count", r.unknown})
		r.unknown = 0
	}
	for _, s := range []struct {
		name string
		*sample
	}{{CheckLatency, &r.check}, {TotalLatency, &r.total}} {
		if len(s.values) > 0 {
			whole = append(whole, Measured{s.name, "Milliseconds", append([]float64(nil), s.values...)})
			s.reset()
		}
	}
	if len(whole) > 0 {
		put("", "", whole...)
	}
	// A line that cannot be written is lost; a request is not.
	_, _ = r.out.Write(lines)
}

// sample keeps so many values of a run, each with the same chance, that their
// percentiles are those of the run; their number is not. In milliseconds.
type sample struct {
	values []float64
	seen   int
}

func (s *sample) add(d time.Duration) {
	ms := float64(d) / float64(time.Millisecond)
	s.seen++
	if len(s.values) < maxValues {
		s.values = append(s.values, ms)
	} else if i := rand.IntN(s.seen); i < maxValues {
		s.values[i] = ms
	}
}

func (s *sample) reset() { s.values, s.seen = s.values[:0], 0 }
