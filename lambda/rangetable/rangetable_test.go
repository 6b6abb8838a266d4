package rangetable

import (
	"bytes"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"archeio/lambda/index"
	"archeio/ranges"
)

// client is an address that only the table of the tests has.
var client = netip.MustParseAddr("203.0.113.7")

// table returns a table that is issued at a time, in which client is in a region.
func table(t testing.TB, region string, issued time.Time) []byte {
	t.Helper()
	x, err := ranges.Compile(
		[]ranges.Prefix{{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Place: ranges.Place{Cloud: ranges.AWS, Region: region}}},
		[]ranges.Source{{Cloud: ranges.AWS, Version: "test", Date: time.Unix(1_700_000_000, 0), Prefixes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return x.Issue(issued).Bytes()
}

// mirror serves a table as S3 does, from its first byte or the rest of it.
type mirror struct {
	*httptest.Server
	mu       sync.Mutex
	data     []byte
	etag     string
	status   int    // instead of the table, if not 0
	after    []byte // the table after the next request, nil for the same
	piece    int    // bytes before a response breaks off, 0 for all
	requests []string
}

func newMirror(t testing.TB) *mirror {
	m := &mirror{}
	m.Server = httptest.NewServer(m)
	t.Cleanup(m.Close)
	return m
}

func (m *mirror) set(data []byte, etag string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data, m.etag, m.status = data, etag, 0
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.requests = append(m.requests, r.Header.Get("Range"))
	if m.status != 0 {
		w.WriteHeader(m.status)
		return
	}
	w.Header().Set("ETag", m.etag)
	if m.piece > 0 {
		w = &breaking{w, m.piece}
	}
	defer func() {
		if b, ok := w.(*breaking); ok && b.left == 0 {
			panic(http.ErrAbortHandler)
		}
	}()
	data := m.data
	if m.after != nil {
		m.data, m.etag, m.after = m.after, `"2"`, nil
	}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}

// breaking passes on some bytes.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	n, _ := b.ResponseWriter.Write(p[:min(len(p), b.left)])
	if b.left -= n; b.left == 0 {
		b.ResponseWriter.(http.Flusher).Flush()
		return n, http.ErrAbortHandler
	}
	return n, nil
}

// loading is a loader with a clock and its events.
type loading struct {
	*Loader
	current ranges.Current
	clock   atomic.Int64 // offset
	events  chan Event
}

func newLoading(m *mirror) *loading {
	l := &loading{events: make(chan Event, 8)}
	l.Loader = New(Options{
		URL: m.URL, Refresh: time.Hour, MaxAge: 720 * time.Hour, Transport: http.DefaultTransport, Current: &l.current,
		Observe: func(e Event) { l.events <- e },
		Now:     func() time.Time { return time.Now().Add(time.Duration(l.clock.Load())) },
	})
	return l
}

// next makes an attempt when it is due and returns its event.
func (l *loading) next(t *testing.T, want string) Event {
	t.Helper()
	l.Refresh()
	select {
	case e := <-l.events:
		if e.Outcome != want {
			t.Fatalf("outcome %q (%v), want %q", e.Outcome, e.Err, want)
		}
		l.mu.Lock() // wait for its end
		l.clock.Add(int64(time.Hour))
		l.mu.Unlock()
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no attempt")
		return Event{}
	}
}

func (l *loading) region() string {
	p, _ := l.current.Lookup(client)
	return p.Region
}

func flip(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 1
	return data
}

// A table is used only if it is intact, newer than the one in use, and not dated ahead
// of the clock. What is wrong leaves the one in use as it is.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	now := time.Now()
	good := table(t, "eu-west-1", now)
	for _, tt := range []struct {
		name   string
		data   []byte
		status int
		want   string
		err    string // a part of the error, empty for none
	}{
		{name: "newer", data: table(t, "eu-west-3", now.Add(time.Minute)), want: Loaded},
		{name: "same", data: good, want: Unchanged},
		{name: "older", data: table(t, "eu-west-3", now.Add(-time.Minute)), want: Older},
		{name: "within-skew", data: table(t, "eu-west-3", now.Add(time.Hour+index.Skew-time.Minute)), want: Loaded},
		{name: "future", data: table(t, "eu-west-3", now.Add(time.Hour+index.Skew+time.Minute)), want: Future, err: "ahead of the clock"},
		{name: "flipped-bit", data: flip(table(t, "eu-west-3", now.Add(time.Minute)), 5000), want: Corrupt, err: "checksum"},
		{name: "truncated", data: table(t, "eu-west-3", now.Add(time.Minute))[:10_000], want: Corrupt, err: "checksum"},
		{name: "only-a-header", data: good[:32], want: Corrupt, err: "damaged range table"},
		{name: "empty", want: Corrupt, err: "less than a header"},
		{name: "page", data: []byte("<html>not found</html>" + strings.Repeat(" ", 100)), want: Corrupt, err: "damaged range table"},
		{name: "too-large", data: make([]byte, ranges.MaxSize+1), want: Corrupt, err: "too large"},
		{name: "missing", status: 403, want: Missing},
		{name: "not-found", status: 404, want: Missing},
		{name: "server-error", status: 503, want: Unreachable, err: "status 503"},
		{name: "redirect", status: 307, want: Unreachable, err: "status 307"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMirror(t)
			m.set(good, `"1"`)
			l := newLoading(m)
			l.next(t, Loaded)
			m.set(tt.data, `"2"`)
			m.status = tt.status
			e := l.next(t, tt.want)
			if got := ""; e.Err != nil || tt.err != "" {
				if e.Err != nil {
					got = e.Err.Error()
				}
				if tt.err == "" || !strings.Contains(got, tt.err) || strings.Contains(got, "\n") {
					t.Errorf("error %q, want one line with %q", got, tt.err)
				}
			}
			want := "eu-west-1"
			if tt.want == Loaded {
				want = "eu-west-3"
			}
			if got := l.region(); got != want {
				t.Errorf("region %q, want %q", got, want)
			}
		})
	}
}

// The embedded table stays in use as long as it is the newer one.
func TestEmbeddedIsNewer(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.set(table(t, "eu-west-1", ranges.Date().Add(-time.Hour)), `"1"`)
	l := newLoading(m)
	for range 2 { // the second time it is not downloaded again
		if e := l.next(t, Older); e.Age < time.Since(ranges.Date())-time.Minute {
			t.Errorf("age %v, want that of the embedded table", e.Age)
		}
	}
	if l.region() != "" || l.current.Table() != ranges.Embedded() {
		t.Error("the older table is in use")
	}
	m.set(table(t, "eu-west-1", time.Now()), `"2"`)
	l.next(t, Loaded)
	l.next(t, Unchanged)
	if got := l.region(); got != "eu-west-1" {
		t.Errorf("region %q, want eu-west-1", got)
	}
}

// A lookup in the fetched table finds what was published: in a table that is as large
// as the embedded one, at both ends of every range.
func TestEveryRangeOfFetchedTable(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.set(ranges.Embedded().Issue(time.Now()).Bytes(), `"1"`)
	l := newLoading(m)
	l.next(t, Loaded)
	n := 0
	for x := range ranges.All() {
		for _, a := range []netip.Addr{x.First, x.Last} {
			if got, ok := l.current.Lookup(a); !ok || got != x.Place {
				t.Fatalf("Lookup(%s) = %v, %v; want %v", a, got, ok, x.Place)
			}
		}
		n++
	}
	if n < 10_000 {
		t.Errorf("%d ranges, want those of all clouds", n)
	}
}

// A download that breaks off goes on where it was, unless the table has changed.
func TestResume(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		changes bool
	}{{"same", false}, {"changed", true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			m := newMirror(t)
			data := table(t, "eu-west-1", time.Now())
			m.set(data, `"1"`)
			m.piece = len(data)*2/3 + 1
			l := newLoading(m)
			want := "eu-west-1"
			if tt.changes {
				m.after = table(t, "eu-west-3", time.Now())
				want = "eu-west-3"
			}
			l.next(t, Loaded)
			if got := l.region(); got != want {
				t.Errorf("region %q, want %q", got, want)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			if len(m.requests) < 2 || !strings.HasPrefix(m.requests[1], "bytes=") {
				t.Errorf("requests with Range %q, want the second with one", m.requests)
			}
		})
	}
}

// A table that is older than is allowed is reported, and stays in use.
func TestMaxAge(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.set(table(t, "eu-west-1", time.Now()), `"1"`)
	l := newLoading(m)
	l.next(t, Loaded)
	l.clock.Add(int64(721 * time.Hour))
	if e := l.next(t, Unchanged); e.Err == nil || !strings.Contains(e.Err.Error(), "want at most 720h") || e.Age < 720*time.Hour {
		t.Errorf("event %+v, want an error about the age", e)
	}
	if got := l.region(); got != "eu-west-1" {
		t.Errorf("region %q, want eu-west-1", got)
	}
}

// Without a URL nothing is requested; between two refreshes only a failure leads to a
// request, after half a minute.
func TestSchedule(t *testing.T) {
	t.Parallel()
	New(Options{Refresh: time.Hour}).Refresh()
	m := newMirror(t)
	m.status = 500
	l := newLoading(m)
	l.next(t, Unreachable) // the clock is an hour later
	l.clock.Add(-int64(time.Hour) + int64(retry-time.Second))
	l.Refresh()
	l.clock.Add(int64(2 * time.Second))
	l.next(t, Unreachable)
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.requests); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

// Lookups go on while tables are replaced, and allocate nothing.
func TestReplacedBetweenLookups(t *testing.T) {
	m := newMirror(t)
	start := time.Now().Add(-time.Hour)
	m.set(table(t, "eu-west-1", start), `"1"`)
	l := newLoading(m)
	l.next(t, Loaded)
	stop, done := make(chan struct{}), make(chan string)
	go func() {
		for {
			select {
			case <-stop:
				close(done)
				return
			default:
				if r := l.region(); r != "eu-west-1" && r != "eu-west-3" {
					done <- r
					return
				}
			}
		}
	}()
	for i := range 6 {
		region := []string{"eu-west-3", "eu-west-1"}[i%2]
		m.set(table(t, region, start.Add(time.Duration(i+1)*time.Second)), `"`+string(rune('a'+i))+`"`)
		l.next(t, Loaded)
		if got := l.region(); got != region {
			t.Fatalf("region %q, want %q", got, region)
		}
	}
	close(stop)
	if r, wrong := <-done; wrong {
		t.Errorf("a lookup returned %q", r)
	}
	if n := testing.AllocsPerRun(100, func() { l.current.Lookup(client) }); n != 0 {
		t.Errorf("a lookup allocates %v times, want 0", n)
	}
}

// FuzzUse: whatever a mirror serves, it is refused, or every lookup in it ends. The
// checksum is corrected, because the fuzzer cannot find it.
func FuzzUse(f *testing.F) {
	good := table(f, "eu-west-1", time.Unix(1_790_000_000, 0))
	f.Add([]byte{0}, 40, uint32(0xcb007107))
	f.Add([]byte("ARCHIP"), 0, uint32(0))
	f.Add(good[:64], 0, uint32(1))
	f.Fuzz(func(t *testing.T, patch []byte, at int, address uint32) {
		data := bytes.Clone(good)
		if at < 0 || at > len(data) {
			return
		}
		copy(data[at:], patch)
		binary.LittleEndian.PutUint32(data[8:], checksum(data))
		var current ranges.Current
		New(Options{Current: &current}).use(data)
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], address)
		if p, ok := current.Lookup(netip.AddrFrom4(b)); ok && !p.Valid() {
			t.Fatalf("invalid place %+v", p)
		}
		current.Lookup(netip.AddrFrom16([16]byte{0x20, 1, b[0], b[1], b[2], b[3]}))
	})
}
