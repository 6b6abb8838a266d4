package rude

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// response is what is sent, before habits of the transport change it.
type response struct {
	status int
	header http.Header
	body   []byte
	// stream is called after the body, with whatever follows.
	stream func(s *Server, w io.Writer, r *http.Request)
	// unending is a body without a length.
	unending bool
	// raw is sent in place of all else, again and again if it is endless.
	raw     string
	endless bool
	// silent is how long nothing is sent, before the connection ends.
	silent time.Duration
}

// request is a request of the registry's API in parts.
type request struct {
	kind, repository, reference string
}

// key is how specials name a request.
func (q request) key() string {
	return strings.TrimSpace(q.kind + " " + q.repository + " " + q.reference)
}

// parse returns the parts of a path.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints
func parse(name service, path string) request {
	switch name {
	case storage, cleartext:
		return request{kind: "storage", reference: path}
	case auth:
		return request{kind: "token"}
	}
	rest, ok := strings.CutPrefix(path, "/v2/")
	switch {
	case strings.HasPrefix(path, "/storage/"):
		return request{kind: "storage", reference: path}
	case !ok:
		return request{kind: "other", reference: path}
	case rest == "":
		return request{kind: "ping"}
	case rest == "_catalog":
		return request{kind: "catalog"}
	}
	if repository, ok := strings.CutSuffix(rest, "/tags/list"); ok {
		return request{kind: "tags", repository: repository}
	}
	if i := strings.LastIndex(rest, "/"); i >= 0 { // names may have these words in them
		before, reference := rest[:i], rest[i+1:]
		for path, kind := range map[string]string{"/manifests": "manifest", "/blobs": "blob", "/referrers": "referrers"} {
			if repository, ok := strings.CutSuffix(before, path); ok {
				return request{kind, repository, reference}
			}
		}
	}
	return request{kind: "other", reference: path}
}

// state counts what a server has done.
type state struct {
	first   time.Time
	api     int            // requests to the registry
	passing int            // errors of Knobs.Passing so far
	errors  turns          // of Knobs.Passing
	quota   turns          // of Throttle.Each
	seen    map[string]int // requests of one kind
	tokens  map[string]*token
	signed  map[string]int // redirects issued by blob
	used    map[string]int // requests by signature
}

// turns decides which requests fail: every n-th, but none twice in a row, so that a
// client with some patience always succeeds.
type turns struct {
	due    int
	failed map[string]bool
}

func (t *turns) fails(each, n int, address string) bool {
	if each == 0 {
		return false
	}
	if n%each == 0 {
		t.due++
	}
	if t.due == 0 || t.failed[address] {
		delete(t.failed, address)
		return false
	}
	t.due--
	t.failed[address] = true
	return true
}

func newState() state {
	return state{errors: turns{failed: map[string]bool{}}, quota: turns{failed: map[string]bool{}}, seen: map[string]int{}, tokens: map[string]*token{}, signed: map[string]int{}, used: map[string]int{}}
}

// count returns how many requests of a name came before.
func (s *Server) count(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.state.seen[name]
	s.state.seen[name]++
	return n
}

func (s *Server) serve(name service, w http.ResponseWriter, r *http.Request) {
	q := parse(name, r.URL.Path)
	s.mu.Lock()
	s.requests[q.kind+" "+r.URL.Path]++
	s.total++
	blown := s.total - s.fuse
	s.mu.Unlock()
	if blown > 0 {
		if blown == 1 {
			s.violate("too many requests, all others are dropped: " + r.URL.RequestURI())
		}
		panic(http.ErrAbortHandler)
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead && q.kind != "token" {
		s.send(w, r, q, failure(http.StatusMethodNotAllowed, "UNSUPPORTED", "read only"))
		return
	}
	if name == cleartext && s.TLS {
		s.violate("request in the clear after TLS: " + r.URL.Path)
	}
	s.send(w, r, q, s.respond(name, r, q))
}

func (s *Server) respond(name service, r *http.Request, q request) response {
	switch q.kind {
	case "token":
		if strings.HasPrefix(r.URL.Path, "/v2/") {
			s.violate("link to another host followed: " + r.URL.Path)
		}
		return s.token(r)
	case "storage":
		return s.stored(name, r)
	}
	if a, faulty := s.fault(r, q); faulty {
		return a
	}
	if a, denied := s.authenticate(r, q); denied {
		return a
	}
	if do := s.specials[q.key()]; do != nil {
		return do(r)
	}
	switch q.kind {
	case "ping":
		if s.PingStatus != 0 {
			return failure(s.PingStatus, "NOT_FOUND", "not found")
		}
		return response{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: []byte("{}")}
	case "catalog":
		return s.catalog(r)
	case "tags":
		return s.tags(r, q)
	case "manifest":
		return s.manifest(r, q)
	case "blob":
		return s.blob(r, q)
	case "referrers":
		return s.referrers(r, q)
	}
	return s.notFound("NOT_FOUND")
}

// fault returns the response of a server that is busy or broken.
func (s *Server) fault(r *http.Request, q request) (response, bool) {
	s.mu.Lock()
	s.state.api++
	n := s.state.api
	if s.state.first.IsZero() && n > s.Throttle.After {
		s.state.first = time.Now()
	}
	first := s.state.first
	address := r.Method + " " + r.URL.RequestURI()
	passing := -1
	if s.state.errors.fails(s.PassingEach, n, address) {
		passing = s.Passing[s.state.passing%len(s.Passing)]
		s.state.passing++
	}
	busy := s.state.quota.fails(s.Throttle.Each, n, address)
	s.mu.Unlock()
	if s.SilentFirst && s.count("silent "+q.kind) == 0 {
		return response{silent: time.Minute}, true
	}
	if t := s.Throttle; t.On {
		lasts := time.Duration(t.Seconds * s.Scale * float64(time.Second))
		end := first.Add(lasts)
		if busy || t.Each == 0 && n > t.After && (t.Seconds == 0 || time.Now().Before(end)) {
			a := failure(http.StatusTooManyRequests, "TOOMANYREQUESTS", "quota exceeded")
			if t.Status != 0 {
				a.status = t.Status
			}
			switch left := time.Until(end); t.RetryAfter {
			case "seconds":
				a.header.Set("Retry-After", strconv.Itoa(max(1, int((left+time.Second-1)/time.Second))))
			case "date":
				a.header.Set("Retry-After", end.Add(time.Second).UTC().Format(http.TimeFormat))
			case "":
			default:
				a.header.Set("Retry-After", t.RetryAfter)
			}
			return a, true
		}
	}
	switch passing {
	case -1:
		return response{}, false
	case 0:
		panic(http.ErrAbortHandler)
	}
	return response{
		status: passing, header: http.Header{"Content-Type": {"text/html"}},
		body: fmt.Appendf(nil, "<html><title>%d</title><body>the origin is unavailable</body></html>", passing),
	}, true
}

// failure returns an error response.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes
func failure(status int, code, message string) response {
	body, err := json.Marshal(map[string]any{"errors": []any{map[string]any{"code": code, "message": message}}})
	if err != nil {
		panic(err) // of strings
	}
	return response{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: body}
}

func (s *Server) notFound(code string) response {
	switch s.NotFound {
	case "text":
		return response{status: http.StatusNotFound, header: http.Header{"Content-Type": {"text/plain"}}, body: []byte("Not found\n")}
	case "html":
		return response{status: http.StatusNotFound, header: http.Header{"Content-Type": {"text/html"}}, body: []byte("<html><h1>404 Not Found</h1></html>")}
	case "empty":
		return response{status: http.StatusNotFound, header: http.Header{}}
	}
	return failure(http.StatusNotFound, code, "not known to the registry")
}

func page(status int, body string) response {
	return response{status: status, header: http.Header{"Content-Type": {"text/html; charset=utf-8"}}, body: []byte(body)}
}

const signIn = `<!DOCTYPE html><html><head><title>Sign in</title></head><body><form action="/login">Sign in</form></body></html>`

func (s *Server) manifest(r *http.Request, q request) response {
	repository := s.content.Repositories[q.repository]
	if repository == nil {
		return s.notFound("NAME_UNKNOWN")
	}
	digest := q.reference
	if !strings.Contains(digest, ":") {
		digest = repository.Tags[digest]
	}
	m, ok := repository.Manifests[digest]
	if !ok {
		return s.notFound("MANIFEST_UNKNOWN")
	}
	if s.AcceptStrict && !strings.Contains(strings.Join(r.Header.Values("Accept"), ","), m.MediaType) {
		return s.notFound("MANIFEST_UNKNOWN")
	}
	if r.Method == http.MethodHead && s.HeadStatus != 0 {
		return failure(s.HeadStatus, "UNSUPPORTED", "HEAD is not supported")
	}
	if s.ManifestRedirect {
		return response{status: http.StatusTemporaryRedirect, header: http.Header{"Location": {s.url(storage) + "/manifests/" + q.repository + "@" + digest}}}
	}
	a := response{status: http.StatusOK, header: http.Header{"Content-Type": {m.MediaType}, "Docker-Content-Digest": {digest}}, body: m.Body}
	if r.Method == http.MethodHead {
		switch {
		case s.HeadNoDigest:
			a.header.Del("Docker-Content-Digest")
		case s.JunkDigest:
			a.header.Set("Docker-Content-Digest", "latest")
		case s.StaleTag != "" && q.reference == s.StaleTag:
			a.header.Set("Docker-Content-Digest", digestOf([]byte("deleted manifest")))
		}
	}
	switch s.ContentType {
	case "":
	case "none":
		a.header["Content-Type"] = nil
	case "charset":
		a.header.Set("Content-Type", m.MediaType+"; charset=utf-8")
	default:
		a.header.Set("Content-Type", s.ContentType)
	}
	if r.Method == http.MethodGet && s.CutManifests && s.count("cut "+digest) == 0 {
		return broken(a.body, len(a.body)/2)
	}
	return a
}

// broken returns a response that ends after n bytes, with the connection.
func broken(body []byte, n int) response {
	return response{
		status: http.StatusOK, header: http.Header{"Content-Length": {strconv.Itoa(len(body))}},
		body: body[:n], unending: true,
		stream: func(*Server, io.Writer, *http.Request) { panic(http.ErrAbortHandler) },
	}
}
