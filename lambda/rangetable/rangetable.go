// Package rangetable loads the table of the clouds' IP ranges from a mirror, where the
// refresher publishes a newer one than that in the binary. It is loaded in the
// background, as the blob index is, and used from one lookup to the next.
//
// A table from a mirror is data of a server that is not trusted: it is used only as a
// whole, if it is intact and newer than the one in use. It decides which of the
// configured mirrors and registries a client is sent to, and nothing else.
package rangetable

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"archeio/lambda/download"
	"archeio/lambda/index"
	"archeio/ranges"
)

// Options are the settings of a Loader.
type Options struct {
	// URL is the address of the table, empty for none.
	URL string
	// Refresh is how often it is requested. MaxAge is the age of the table in use
	// above which each event has an error.
	Refresh, MaxAge time.Duration
	Transport       http.RoundTripper
	// Current is the table in use, which is replaced.
	Current *ranges.Current
	// Observe is called after each attempt to load the table. It may be nil.
	Observe func(Event)
	// Now is the clock. If it is nil, it is the wall clock.
	Now func() time.Time
}

// Event is the result of an attempt to load the table.
type Event struct {
	// Outcome is one of the constants below.
	Outcome string
	// Age is the age of the table in use: since it was issued, or else since the
	// newest document in it.
	Age time.Duration
	// Err is what is wrong, nil if nothing is.
	Err error
}

// The outcomes of an attempt, which are values of the dimension metrics.Ranges.
const (
	Loaded    = "loaded"
	Unchanged = "unchanged"
	// Missing: the mirror has no table, as before the first run of the refresher.
	Missing = "missing"
	Corrupt = "corrupt"
	// Older: the table is older than the one in use, as is the case if that is in
	// the binary.
	Older = "older"
	// Future: the table is dated ahead of the clock.
	Future      = "future"
	Unreachable = "unreachable"
)

// retry is the time from a failed attempt to the next.
const retry = 30 * time.Second

var errTooLarge = errors.New("range table is too large")

// Loader refreshes the table. It is safe for concurrent use.
type Loader struct {
	options Options
	next    atomic.Int64 // time of the next attempt, in Unix nanoseconds

	mu       sync.Mutex // held by the attempt in progress
	download download.Object
	// etag is that of the last table that needs not be downloaded again, outcome
	// what became of it.
	etag, outcome string
}

// New returns a Loader. Without a URL it loads nothing.
func New(o Options) *Loader {
	if o.Now == nil {
		o.Now = func() time.Time { return time.Now().Round(0) }
	}
	l := &Loader{options: o}
	l.download = download.Object{
		Transport: o.Transport,
		URL:       o.URL,
		Name:      "range table",
		Held:      func() string { return l.etag },
		Sink:      newBuffer,
		Refuses:   func(err error) bool { return errors.Is(err, errTooLarge) },
	}
	return l
}

// Refresh starts to load the table in the background if that is due, and returns at
// once.
func (l *Loader) Refresh() {
	if l.options.URL == "" {
		return
	}
	now := l.options.Now()
	next := l.next.Load()
	if now.UnixNano() >= next && l.next.CompareAndSwap(next, now.Add(l.options.Refresh).UnixNano()) {
		go l.load()
	}
}

// Interrupt ends the request in progress, which continues on another connection.
func (l *Loader) Interrupt() { l.download.Interrupt() }

// load makes one attempt, if none is in progress.
func (l *Loader) load() {
	if !l.mu.TryLock() {
		return
	}
	defer l.mu.Unlock()
	outcome, err := l.attempt()
	now := l.options.Now()
	if outcome == Unreachable {
		l.next.Store(now.Add(min(retry, l.options.Refresh)).UnixNano())
	}
	if l.options.Observe == nil {
		return
	}
	e := Event{Outcome: outcome, Age: max(0, now.Sub(l.options.Current.Table().Latest())), Err: err}
	if e.Err == nil && e.Age > l.options.MaxAge {
		e.Err = fmt.Errorf("range table is %s old: want at most %s", e.Age.Round(time.Hour), l.options.MaxAge)
	}
	l.options.Observe(e)
}

func (l *Loader) attempt() (outcome string, err error) {
	sink, etag, status, err := l.download.Fetch()
	switch status {
	case download.Complete:
		outcome, err = l.use(sink.(*buffer).data)
		if outcome != Corrupt && outcome != Future {
			l.etag, l.outcome = etag, outcome
		}
		return outcome, err
	case download.Unchanged:
		if l.outcome == Older {
			return Older, nil
		}
		return Unchanged, nil
	case download.Missing:
		return Missing, nil
	case download.Refused:
		return Corrupt, err
	}
	return Unreachable, err
}

// use makes the table in data the current one, if it is newer.
func (l *Loader) use(data []byte) (outcome string, err error) {
	t, err := ranges.Parse(data)
	if err != nil {
		return Corrupt, err
	}
	current := l.options.Current.Table()
	switch latest := t.Latest(); {
	case latest.After(l.options.Now().Add(index.Skew)):
		return Future, fmt.Errorf("range table is of %s, ahead of the clock", latest.Format(time.RFC3339))
	case current.Newer(t):
		return Older, nil
	case !t.Newer(current):
		return Unchanged, nil
	}
	l.options.Current.Replace(t)
	return Loaded, nil
}

// buffer is a download.Sink for at most ranges.MaxSize bytes.
type buffer struct{ data []byte }

func newBuffer(size int64) download.Sink {
	if size < 0 || size > ranges.MaxSize {
		return &buffer{}
	}
	return &buffer{make([]byte, 0, size+1)} // with room to see the end
}

// Received returns the number of bytes that have arrived.
func (b *buffer) Received() int64 { return int64(len(b.data)) }

// ReadFrom reads to the end. Its error is errTooLarge for more than ranges.MaxSize bytes
// in all.
func (b *buffer) ReadFrom(r io.Reader) (read int64, err error) {
	for {
		if len(b.data) == cap(b.data) {
			b.data = append(b.data, 0)[:len(b.data)]
		}
		n, err := r.Read(b.data[len(b.data):cap(b.data)])
		b.data = b.data[:len(b.data)+n]
		read += int64(n)
		switch {
		case len(b.data) > ranges.MaxSize:
			return read, errTooLarge
		case err == io.EOF:
			return read, nil
		case err != nil:
			return read, err
		}
	}
}
