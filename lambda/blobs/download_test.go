package blobs

import (
	"bytes"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"archeio/lambda/download"
	"archeio/lambda/index"
)

// clock is a clock that a test sets.
type clock struct{ offset atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.offset.Load())) }
func (c *clock) advance(d time.Duration) { c.offset.Add(int64(d)) }

// manyBlobs returns an index of n blobs that is n × 8 bytes large.
func manyBlobs(tb testing.TB, listed time.Time, n int) []byte {
	tb.Helper()
	data, err := index.Encode(listed, []string{region}, func(yield func(index.Digest) bool) {
		for i := range uint64(n) {
			var d index.Digest
			for j := range 8 {
				d[j] = byte((i + 1) * 0x9e3779b97f4a7c15 >> (56 - 8*j))
			}
			if !yield(d) {
				return
			}
		}
	})
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// firstOf returns a blob of an index of manyBlobs.
func firstOf(data []byte) string {
	x, err := index.Parse(data)
	if err != nil {
		panic(err)
	}
	return x.Witnesses[0]
}

// indexServer is a real server of an index and of all blobs. Each response sends at most
// piece bytes of the index and then goes silent, if piece is not 0.
type indexServer struct {
	*httptest.Server
	mu    sync.Mutex
	data  []byte
	etag  string
	piece int
	// requests have "Range If-Match If-None-Match" of each request.
	requests []string
	arrived  chan struct{} // receives when a piece was sent
}

func newIndexServer(t *testing.T) *indexServer {
	s := &indexServer{etag: `"1"`, arrived: make(chan struct{}, 100)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s
}

func (s *indexServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		return
	}
	s.mu.Lock()
	data, etag, piece := s.data, s.etag, s.piece
	s.requests = append(s.requests, strings.TrimSpace(r.Header.Get("Range")+" "+r.Header.Get("If-Match")+r.Header.Get("If-None-Match")))
	s.mu.Unlock()
	if etag != "" {
		w.Header().Set("ETag", etag)
	}
	out := &silent{ResponseWriter: w, left: math.MaxInt, done: r.Context().Done()}
	if piece > 0 {
		out.left = piece
		out.silent = s.arrived
	}
	http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(data))
}

// silent sends some bytes of a body and then nothing, until the client is gone.
type silent struct {
	http.ResponseWriter
	left   int
	silent chan<- struct{} // receives when it begins to be silent
	done   <-chan struct{}
}

func (s *silent) Write(p []byte) (int, error) {
	n := min(len(p), s.left)
	s.left -= n
	if _, err := s.ResponseWriter.Write(p[:n]); err != nil {
		return 0, err
	}
	if n < len(p) {
		_ = http.NewResponseController(s.ResponseWriter).Flush()
		s.silent <- struct{}{}
		<-s.done
		return n, errors.New("silent")
	}
	return n, nil
}

// counting is a transport that counts the bytes that were read of bodies.
type counting struct {
	*http.Transport
	mu   sync.Mutex
	more sync.Cond
	read int
}

func (c *counting) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := c.Transport.RoundTrip(r)
	if err == nil && r.Method == http.MethodGet {
		resp.Body = &counted{resp.Body, c}
	}
	return resp, err
}

func transportOf(o *Origin) *counting { return o.checker.options.Transport.(*counting) }

// await waits until n bytes were read.
func (c *counting) await(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.read < n {
		c.more.Wait()
	}
}

type counted struct {
	io.ReadCloser
	by *counting
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.by.mu.Lock()
	defer c.by.mu.Unlock()
	c.by.read += n
	c.by.more.Broadcast()
	return n, err
}

// loadsFrom returns a mirror with an index from a server, and the events of attempts.
func loadsFrom(t *testing.T, s *indexServer, o IndexOptions) (*Origin, *clock, chan IndexEvent) {
	t.Helper()
	clock, events := &clock{}, make(chan IndexEvent, 100)
	o.URL, o.Observe = s.URL+"/"+index.Name, func(e IndexEvent) { events <- e }
	o.Refresh, o.MaxAge = 5*time.Minute, time.Hour
	transport := &counting{Transport: NewTransport().(*http.Transport)}
	transport.more.L = &transport.mu
	t.Cleanup(transport.CloseIdleConnections)
	c := New(Options{Timeout: requestBudget, HealthInterval: 24 * time.Hour, Now: clock.now, Transport: transport, Index: o})
	return c.Mirror("mirror", s.URL+"/", region), clock, events
}

// A function with one request in 31 seconds that waits for a mirror has an index of a
// million blobs after three of them, if a third of it arrives with each. No request
// waits for it.
func TestIndexOverInvocations(t *testing.T) {
	t.Parallel()
	s := newIndexServer(t)
	s.data = manyBlobs(t, time.Now(), 200_000)
	s.piece = len(s.data)/3 + 1
	mirror, clock, events := loadsFrom(t, s, IndexOptions{})
	// Requests for other blobs have checks of their own.
	for i := range 2 {
		mirror.Has(t.Context(), new(Limit), blob(i))
		<-s.arrived
		transportOf(mirror).await((i + 1) * s.piece) // then the function is frozen
		clock.advance(31 * time.Second)
	}
	mirror.Has(t.Context(), new(Limit), blob(2))
	e := <-events
	if e.Outcome != IndexLoaded || e.Err != nil {
		t.Fatalf("event %+v, want the index to be loaded", e)
	}
	if !mirror.indexed(clock.now(), firstOf(s.data)) {
		t.Error("a blob of the index is not indexed")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.requests) != 3 || s.requests[0] != "" || !strings.HasPrefix(s.requests[1], "bytes=") || !strings.HasSuffix(s.requests[2], ` "1"`) {
		t.Errorf("requests %q, want one for the index and two for the rest of the same", s.requests)
	}
	if total := transportOf(mirror).read; total != len(s.data) {
		t.Errorf("read %d bytes, want %d: no byte twice", total, len(s.data))
	}
}

// What has arrived is used only if it is a part of the index that is there now.
func TestIndexResumption(t *testing.T) {
	t.Parallel()
	old, changed := manyBlobs(t, time.Now(), 10_000), manyBlobs(t, time.Now(), 20_000)
	half := len(old) / 2
	for _, tt := range []struct {
		name   string
		etag   string
		second func(w http.ResponseWriter, r *http.Request) (done bool)
		want   string
		loaded []byte // nil for none
		ranges []bool // of the requests after the first
	}{
		{"continues", `"1"`, nil, IndexLoaded, old, []bool{true}},
		{"changed", `"1"`, func(w http.ResponseWriter, r *http.Request) bool {
			w.Header().Set("ETag", `"2"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(changed))
			return true
		}, IndexLoaded, changed, []bool{true, false}},
		{"no-ranges", `"1"`, func(w http.ResponseWriter, r *http.Request) bool {
			w.Write(changed)
			return true
		}, IndexLoaded, changed, []bool{true}},
		{"wrong-range", `"1"`, func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Range") != "" {
				r.Header.Set("Range", "bytes=5-")
			}
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(changed))
			return true
		}, IndexLoaded, changed, []bool{true, false}},
		{"shorter", `"1"`, func(w http.ResponseWriter, r *http.Request) bool {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(old[:100]))
			return true
		}, IndexCorrupt, nil, []bool{true, false}},
		{"weak-etag", `W/"1"`, nil, IndexLoaded, old, []bool{false}},
		{"no-etag", "", nil, IndexLoaded, old, []bool{false}},
		{"removed", `"1"`, func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusNotFound)
			return true
		}, IndexMissing, nil, []bool{true}},
		{"overloaded", `"1"`, func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		}, IndexUnreachable, nil, []bool{true}},
		{"mixed-up", `"1"`, func(w http.ResponseWriter, r *http.Request) bool {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(append(old[:half:half], make([]byte, len(old)-half)...)))
			return true
		}, IndexCorrupt, nil, []bool{true}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var requests []bool
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodHead {
					return
				}
				requests = append(requests, r.Header.Get("Range") != "")
				if tt.etag != "" {
					w.Header().Set("ETag", tt.etag)
				}
				switch {
				case len(requests) == 1:
					w.Header().Set("Content-Length", "1000000")
					w.Write(old[:half])
					panic(http.ErrAbortHandler) // cuts the connection
				case tt.second != nil && tt.second(w, r):
				default:
					http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(old))
				}
			}))
			s.Config.ErrorLog = nil
			defer s.Close()
			mirror, _, events := loadsFrom(t, &indexServer{Server: s}, IndexOptions{})
			mirror.checker.Refresh()
			if e := <-events; e.Outcome != tt.want {
				t.Fatalf("outcome %q (%v), want %q", e.Outcome, e.Err, tt.want)
			}
			if !slices.Equal(requests[1:], tt.ranges) {
				t.Errorf("requests for a range %v, want %v", requests[1:], tt.ranges)
			}
			x := mirror.checker.index.current.Load()
			switch {
			case tt.loaded == nil && x != nil:
				t.Errorf("loaded an index of %d blobs, want none", x.Len())
			case tt.loaded != nil && (x == nil || x.Len() != (len(tt.loaded)-index.HeaderSize)/8):
				t.Errorf("loaded %v, want %d bytes", x, len(tt.loaded))
			}
			if tt.want == IndexUnreachable && mirror.checker.index.download.Received() != int64(half) {
				t.Errorf("%d bytes are left for the next attempt, want %d", mirror.checker.index.download.Received(), half)
			}
		})
	}
}

// An index is refused before it is read if there is no memory for it. If there is
// memory for one but not for two, the loaded one is dropped first.
func TestIndexMemory(t *testing.T) {
	t.Parallel()
	data := manyBlobs(t, time.Now(), 500_000) // 4 MB
	for _, tt := range []struct {
		name   string
		memory int64
		want   string
		kept   bool // while the next one is loaded
	}{
		{"two", 10 << 20, IndexLoaded, true},
		{"one", 5 << 20, IndexLoaded, false},
		{"none", 2 << 20, IndexTooLarge, false},
		{"negative", -1 << 20, IndexTooLarge, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newIndexServer(t)
			s.data = data
			mirror, clock, events := loadsFrom(t, s, IndexOptions{Memory: tt.memory})
			mirror.checker.Refresh()
			e := <-events
			if e.Outcome != tt.want {
				t.Fatalf("outcome %q (%v), want %q", e.Outcome, e.Err, tt.want)
			}
			if tt.want == IndexTooLarge {
				if want := "give the function more memory"; e.Err == nil || !strings.Contains(e.Err.Error(), want) || e.Age != 0 {
					t.Errorf("event %+v, want an error with %q", e, want)
				}
				if got := mirror.checker.index.download.Received(); got != 0 {
					t.Errorf("%d bytes are left for the next attempt, want 0", got)
				}
				return
			}
			s.mu.Lock()
			s.etag, s.piece = `"2"`, len(data)/2+1
			s.mu.Unlock()
			clock.advance(5 * time.Minute)
			mirror.checker.Refresh()
			<-s.arrived
			transportOf(mirror).await(len(data) + len(data)/2)
			if got := mirror.indexed(clock.now(), firstOf(data)); got != tt.kept {
				t.Errorf("while the next one is loaded, the index counts: %v, want %v", got, tt.kept)
			}
			mirror.checker.index.download.Interrupt()
			if e := <-events; e.Outcome != IndexLoaded {
				t.Fatalf("outcome %q (%v), want %q", e.Outcome, e.Err, IndexLoaded)
			}
			runtime.KeepAlive(mirror)
		})
	}
}

func TestIndexMemoryLimit(t *testing.T) {
	t.Parallel()
	const mb = 1 << 20
	for _, tt := range []struct {
		name     string
		limit    int64
		function string
		want     int64
	}{
		{"GOMEMLIMIT", 230 * mb, "256", 198 * mb},
		{"function", math.MaxInt64, "256", 112 * mb},
		{"neither", math.MaxInt64, "", math.MaxInt64},
		{"not-a-number", math.MaxInt64, "many", math.MaxInt64},
		{"tiny", 10 * mb, "", -22 * mb},
	} {
		if got := indexMemory(tt.limit, tt.function); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", tt.name, got, tt.want)
		}
	}
	// Eight million blobs fit into the memory of a stage, twice.
	h := index.Header{Entries: 8_000_000}
	if _, needs := h.Size(); 2*needs > indexMemory(230*mb, "256") {
		t.Errorf("two indexes need %d bytes, want at most %d", 2*needs, indexMemory(230*mb, "256"))
	}
}

// A request for the index that makes no progress ends, and is tried once more.
func TestIndexStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		requests := 0
		transport := roundTripper(func(r *http.Request) (*http.Response, error) {
			requests++
			<-r.Context().Done()
			return nil, r.Context().Err()
		})
		events := make(chan IndexEvent, 1)
		c := New(Options{Transport: transport, Index: IndexOptions{URL: "https://index/", Refresh: time.Hour, MaxAge: time.Hour, Observe: func(e IndexEvent) { events <- e }}})
		start := time.Now()
		c.Refresh()
		e := <-events
		if took := time.Since(start); e.Outcome != IndexUnreachable || took > 10*download.Stall || took < download.Stall {
			t.Errorf("event %+v after %v, want unreachable after some times %v", e, took, download.Stall)
		}
	})
}

// A slow server that never stops is not interrupted.
func TestSlowIndex(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		data := manyBlobs(t, time.Now(), 10)
		requests := 0
		transport := roundTripper(func(r *http.Request) (*http.Response, error) {
			requests++
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: &slow{r: bytes.NewReader(data), ctx: r.Context().Done()}}, nil
		})
		events := make(chan IndexEvent, 1)
		c := New(Options{Transport: transport, Index: IndexOptions{URL: "https://index/", Refresh: time.Hour, MaxAge: 100 * time.Hour, Observe: func(e IndexEvent) { events <- e }}})
		c.Refresh()
		if e := <-events; e.Outcome != IndexLoaded || requests != 1 {
			t.Errorf("event %+v after %d requests, want loaded after 1", e, requests)
		}
	})
}

// slow is a body of which 64 bytes arrive just before it would stall.
type slow struct {
	r   io.Reader
	ctx <-chan struct{}
}

func (s *slow) Close() error { return nil }

func (s *slow) Read(p []byte) (int, error) {
	select {
	case <-time.After(download.Stall - time.Millisecond):
		return s.r.Read(p[:min(len(p), 64)])
	case <-s.ctx:
		return 0, errors.New("canceled")
	}
}

// silentProxy forwards connections to a server until it is silenced; then it keeps them
// open and forwards nothing. New connections are forwarded again.
type silentProxy struct {
	listener net.Listener
	mu       sync.Mutex
	conns    []*silenced
}

type silenced struct {
	client, server net.Conn
	silent         atomic.Bool
}

func newSilentProxy(t *testing.T, target string) *silentProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &silentProxy{listener: l}
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, c := range p.conns {
			c.client.Close()
			c.server.Close()
		}
	})
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				client.Close()
				continue
			}
			c := &silenced{client: client, server: server}
			p.mu.Lock()
			p.conns = append(p.conns, c)
			p.mu.Unlock()
			go c.forward(server, client)
			go c.forward(client, server)
		}
	}()
	return p
}

func (c *silenced) forward(to, from net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		silent := c.silent.Load()
		if err != nil {
			if !silent { // else the test closes it
				to.Close()
			}
			return
		}
		if silent {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// silence makes all open connections silent.
func (p *silentProxy) silence() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.silent.Store(true)
	}
	return len(p.conns)
}

// A connection that went silent while the function was frozen costs no request its time.
func TestSilentConnectionAfterFreeze(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		frozen time.Duration
		want   Answer
	}{
		{"frozen", 4 * time.Second, Present},
		{"frozen-for-long", time.Hour, Present},
		// The function cannot know. The connection is not used again.
		{"not-frozen", time.Second, Unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
			defer s.Close()
			p := newSilentProxy(t, s.Listener.Addr().String())
			clock := &clock{}
			transport := NewTransport().(*http.Transport)
			defer transport.CloseIdleConnections()
			mirror := New(Options{Timeout: requestBudget, HealthInterval: time.Hour, Now: clock.now, Transport: transport}).
				Mirror("mirror", "http://"+p.listener.Addr().String()+"/", "")
			for i := range 3 {
				has(t, mirror, blob(i), Present)
			}
			if n := p.silence(); n != 1 {
				t.Errorf("%d connections, want 1", n)
			}
			clock.advance(tt.frozen)
			has(t, mirror, blob(3), tt.want)
			has(t, mirror, blob(4), Present)
		})
	}
}

// Requests keep connections, whatever they are for: not every origin is checked often.
func TestConnectionsStayOpen(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	defer s.Close()
	clock := &clock{}
	transport := NewTransport().(*http.Transport)
	defer transport.CloseIdleConnections()
	mirror := New(Options{Timeout: requestBudget, HealthInterval: time.Hour, Now: clock.now, Transport: transport}).Mirror("mirror", s.URL+"/", "")
	has(t, mirror, blob(1), Present)
	for range 20 {
		clock.advance(time.Second)
		has(t, mirror, blob(1), Present) // from the cache
	}
	has(t, mirror, blob(2), Present)
	if n := conns.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}
