package rude

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// blob responds for a blob: with its bytes or a redirect.
func (s *Server) blob(r *http.Request, q request) response {
	body, ok := s.find(q.repository, q.reference)
	if !ok {
		return s.notFound("BLOB_UNKNOWN")
	}
	if r.Method == http.MethodHead && s.BlobHeadStatus != 0 {
		return failure(s.BlobHeadStatus, "UNSUPPORTED", "HEAD is not supported")
	}
	if s.Redirect.Status == 0 {
		return s.bytes(r, q.reference, body)
	}
	s.mu.Lock()
	s.state.signed[q.reference]++
	signature := s.state.signed[q.reference]
	s.mu.Unlock()
	return response{status: s.Redirect.Status, header: http.Header{"Location": {s.location(q, signature, s.Redirect.Hops)}}}
}

func (s *Server) find(repository, digest string) ([]byte, bool) {
	r := s.content.Repositories[repository]
	if r == nil {
		return nil, false
	}
	body, ok := r.Blobs[digest]
	return body, ok
}

// location is the URL of a blob in storage, with a signature.
func (s *Server) location(q request, signature, hops int) string {
	path := "/storage/" + q.repository + "/" + q.reference
	query := fmt.Sprintf("?sig=%s.%d&hops=%d", strings.TrimPrefix(q.reference, "sha256:"), signature, hops)
	switch {
	case s.Redirect.Clear:
		return s.url(cleartext) + path + query
	case s.Redirect.Relative:
		return path + query
	case s.Redirect.RawURL:
		return s.url(storage) + "//storage/" + q.repository + "/" + q.reference + query + "&name=a|b\u00e9%2F{x}"
	}
	return s.url(storage) + path + query
}

// stored responds in the place of storage.
func (s *Server) stored(name service, r *http.Request) response {
	switch authorization := r.Header.Get("Authorization"); {
	case authorization == "" || name == registry:
	case s.Redirect.RefuseAuth:
		s.violate("credentials for another host: " + r.URL.Path)
		return page(http.StatusBadRequest, "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>")
	default:
		s.violate("credentials for another host: " + r.URL.Path)
	}
	if reference, ok := strings.CutPrefix(r.URL.Path, "/manifests/"); ok {
		repository, digest, _ := strings.Cut(reference, "@")
		m, ok := s.content.Repository(repository).Manifests[digest]
		if !ok {
			return page(http.StatusNotFound, "<Error><Code>NoSuchKey</Code></Error>")
		}
		return response{status: http.StatusOK, header: http.Header{"Content-Type": {m.MediaType}}, body: m.Body}
	}
	path := strings.TrimLeft(strings.ReplaceAll(r.URL.Path, "//", "/"), "/")
	path, ok := strings.CutPrefix(path, "storage/")
	i := strings.LastIndex(path, "/")
	if !ok || i < 0 {
		return page(http.StatusNotFound, "<Error><Code>NoSuchKey</Code></Error>")
	}
	q := request{"blob", path[:i], path[i+1:]}
	query := r.URL.Query()
	if hops, err := strconv.Atoi(query.Get("hops")); err == nil && hops > 0 {
		query.Set("hops", strconv.Itoa(hops-1))
		return response{status: http.StatusFound, header: http.Header{"Location": {"?" + query.Encode()}}}
	}
	if s.Redirect.GetOnly && r.Method == http.MethodHead {
		return page(http.StatusForbidden, "")
	}
	if s.Redirect.Busy && s.count("storage")%5 == 4 {
		return page(http.StatusServiceUnavailable, "<Error><Code>SlowDown</Code></Error>")
	}
	signature := query.Get("sig")
	s.mu.Lock()
	used := s.state.used[signature]
	s.state.used[signature]++
	s.mu.Unlock()
	if s.Redirect.FirstExpired && strings.HasSuffix(signature, ".1") || s.Redirect.Once && used > 0 {
		status := http.StatusForbidden
		if s.Redirect.ExpiredStatus != 0 {
			status = s.Redirect.ExpiredStatus
		}
		return page(status, "<Error><Code>ExpiredToken</Code><Message>Request has expired</Message></Error>")
	}
	body, ok := s.find(q.repository, q.reference)
	if !ok {
		return page(http.StatusNotFound, "<Error><Code>NoSuchKey</Code></Error>")
	}
	return s.bytes(r, q.reference, body)
}

// bytes responds with a blob or a range of it, broken off as Knobs.Cut says.
func (s *Server) bytes(r *http.Request, digest string, body []byte) response {
	a := response{status: http.StatusOK, header: http.Header{"Content-Type": {"application/octet-stream"}, "Docker-Content-Digest": {digest}}, body: body}
	gzipped := len(body) > 2 && body[0] == 0x1f && body[1] == 0x8b
	if gzipped && (s.Encoding == "always" || s.Encoding == "stored" && r.Header.Get("Accept-Encoding") != "identity") {
		a.header.Set("Content-Encoding", "gzip")
	}
	if r.Method == http.MethodHead {
		a.header.Set("Content-Length", strconv.Itoa(len(body)))
		return a
	}
	from, ranged := offset(r.Header.Get("Range"))
	if ranged && s.Cut == cutOnce416 {
		return page(http.StatusRequestedRangeNotSatisfiable, "")
	}
	part := max(1, len(body)*2/5)
	switch ignored := s.Cut == cutTwice || s.Cut == cutAlways; {
	case !ranged || ignored:
		from = 0
	case from >= len(body):
		a.status, a.body = http.StatusRequestedRangeNotSatisfiable, nil
		a.header.Set("Content-Range", fmt.Sprintf("bytes */%d", len(body)))
		return a
	case s.Cut == cutOnceLie:
		a.status, from = http.StatusPartialContent, 0
		a.header.Set("Content-Range", fmt.Sprintf("bytes 0-%d/%d", len(body)-1, len(body)))
	default:
		a.status, a.body = http.StatusPartialContent, body[from:]
		a.header.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
	}
	limit := len(a.body)
	switch times := s.count("cut " + digest); {
	case s.Cut == whole:
	case s.Cut == cutRanges, s.Cut == cutLength, s.Cut == cutAlways,
		s.Cut == cutTwice && times < 2, (s.Cut == cutOnce416 || s.Cut == cutOnceLie) && times < 1:
		limit = min(limit, part)
	}
	if s.Cut == stallOnce && len(body) > 5_000 && !ranged && s.count("stall "+digest) == 0 {
		return stalled(a, part)
	}
	if limit == len(a.body) {
		return a
	}
	if s.Cut != cutLength {
		a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
		a.stream = func(*Server, io.Writer, *http.Request) { panic(http.ErrAbortHandler) }
	}
	a.body, a.unending = a.body[:limit], true
	return a
}

// offset returns the start of a range "bytes=FROM-".
func offset(header string) (int, bool) {
	rest, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return 0, false
	}
	from, _, _ := strings.Cut(rest, "-")
	n, err := strconv.Atoi(from)
	return n, err == nil && n >= 0
}
