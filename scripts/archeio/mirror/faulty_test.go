package mirror

import (
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// faulty is a proxy of the registry with the faults of networks and registries:
// each kind once on a schedule, and then at random. The random fault of the n-th
// request for a path does not depend on its time.
type faulty struct {
	target string
	seed   uint64

	mu     sync.Mutex
	nth    map[string]int
	faults map[string]int
	// requests and blobs count all requests and those for blobs; due and dueBody are
	// the kinds that have not occurred yet.
	requests, blobs int
	due, dueBody    []string
	// until is the time from which on a path may be requested again; early are the
	// requests before that.
	until map[string]time.Time
	early []string
}

// faultKinds are faults of all requests, bodyFaults those of response bodies.
var (
	faultKinds = []string{"429", "500", "reset", "429-retry-after"}
	bodyFaults = []string{"truncated", "short", "wrong-byte", "longer", "reset-within", "slow"}
)

func newFaulty(target string, seed uint64) *faulty {
	return &faulty{target: target, seed: seed, nth: map[string]int{}, faults: map[string]int{}, until: map[string]time.Time{},
		due: slices.Clone(faultKinds), dueBody: slices.Clone(bodyFaults)}
}

// draw picks a fault, "" for none. A manifest with wrong bytes fails its image for
// the whole run, but blobs are fetched again, so blobs have more faults.
func (f *faulty) draw(r *http.Request) (kind string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what := r.Method + r.URL.Path
	if until, ok := f.until[what]; ok && time.Now().Before(until) {
		f.early = append(f.early, what)
	}
	delete(f.until, what)
	f.nth[what]++
	hash := fnv.New64a()
	fmt.Fprint(hash, what, f.nth[what])
	random := rand.New(rand.NewPCG(f.seed, hash.Sum64()))
	f.requests++
	body := 40
	if isBlob(r) {
		body = 4
		f.blobs++
	}
	switch {
	// Every blob and every listing is requested at least once, which is enough for
	// all kinds.
	case isBlob(r) && f.blobs%8 == 1 && len(f.dueBody) > 0:
		kind, f.dueBody = f.dueBody[0], f.dueBody[1:]
	case f.requests%16 == 0 && len(f.due) > 0:
		kind, f.due = f.due[0], f.due[1:]
	case r.Method == http.MethodGet && random.IntN(body) == 0:
		kind = bodyFaults[random.IntN(len(bodyFaults))]
	case random.IntN(16) == 0:
		kind = faultKinds[random.IntN(len(faultKinds)-1)]
	case random.IntN(100) == 0: // it costs a second
		kind = "429-retry-after"
	}
	if kind != "" {
		f.faults[kind]++
	}
	if kind == "429-retry-after" {
		f.until[what] = time.Now().Add(time.Second)
	}
	return kind
}

// reset drops the waits of Retry-After, which a new process does not know.
func (f *faulty) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.until)
}

func (f *faulty) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind := f.draw(r)
	switch kind {
	case "429", "429-retry-after":
		w.Header().Set("Retry-After", map[string]string{"429": "0", "429-retry-after": "1"}[kind])
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case "500":
		w.WriteHeader(http.StatusInternalServerError)
		return
	case "reset":
		resetConnection(w)
		return
	}
	out := r.Clone(r.Context())
	out.RequestURI, out.URL.Scheme, out.URL.Host = "", "http", strings.TrimPrefix(f.target, "http://")
	resp, err := http.DefaultTransport.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	maps.Copy(w.Header(), resp.Header)
	if kind == "" || resp.StatusCode != http.StatusOK {
		w.WriteHeader(resp.StatusCode)
		io.Copy(w, resp.Body)
		return
	}
	content, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	half := len(content) / 2
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	switch kind {
	case "truncated", "reset-within":
		w.Write(content[:half])
		http.NewResponseController(w).Flush()
		if kind == "reset-within" {
			resetConnection(w)
			return
		}
		panic(http.ErrAbortHandler)
	case "short": // and says so
		w.Header().Set("Content-Length", fmt.Sprint(half))
		w.Write(content[:half])
	case "wrong-byte":
		content[half] ^= 1
		w.Write(content)
	case "longer":
		w.Header().Set("Content-Length", fmt.Sprint(len(content)+1))
		w.Write(append(content, '\n'))
	case "slow":
		for piece := range slices.Chunk(content, len(content)/10+1) {
			w.Write(piece)
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(10 * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
	}
}

// resetConnection ends a connection with a TCP reset.
func resetConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}
