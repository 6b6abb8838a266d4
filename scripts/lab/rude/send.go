package rude

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// send writes a response as the habits of the transport have it.
func (s *Server) send(w http.ResponseWriter, r *http.Request, q request, a response) {
	if a.silent > 0 {
		s.sleep(r.Context(), a.silent)
		panic(http.ErrAbortHandler)
	}
	if a.raw != "" {
		s.hijack(w, r, a)
		return
	}
	h := w.Header()
	for key, values := range a.header {
		h[key] = values
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // no guess
	}
	if s.CloseConnections {
		h.Set("Connection", "close")
	}
	body := a.body
	listing := slices.Contains([]string{"catalog", "tags", "manifest", "referrers"}, q.kind)
	compress := s.Encoding == "json" && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") || s.Encoding == "json-always"
	if compress && listing && a.status == http.StatusOK && a.stream == nil && len(body) > 0 {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = z.Write(body) // a buffer has no errors
		_ = z.Close()
		body = b.Bytes()
		h.Set("Content-Encoding", "gzip")
	}
	switch {
	case a.unending:
	case r.Method == http.MethodHead && s.HeadNoLength && (q.kind == "manifest" || q.kind == "blob"):
		h["Content-Length"] = nil
		h.Set("Transfer-Encoding", "chunked")
	case s.Chunked:
	default:
		if h.Get("Content-Length") == "" && a.status != http.StatusNoContent && a.status != http.StatusNotModified {
			h.Set("Content-Length", strconv.Itoa(len(body)))
		}
	}
	if s.EarlyHints {
		for range 3 {
			w.WriteHeader(http.StatusEarlyHints)
		}
	}
	w.WriteHeader(a.status)
	if r.Method == http.MethodHead {
		return
	}
	if s.Drip > 0 && (q.kind == "blob" || q.kind == "storage") {
		for part := range slices.Chunk(body, max(1, len(body)/10)) {
			if _, err := w.Write(part); err != nil || !s.sleep(r.Context(), time.Duration(s.Drip*float64(time.Second))) {
				return
			}
			_ = http.NewResponseController(w).Flush()
		}
	} else if _, err := w.Write(body); err != nil {
		return
	}
	if s.Chunked || a.stream != nil {
		_ = http.NewResponseController(w).Flush()
	}
	if a.stream != nil {
		a.stream(s, w, r)
	}
}

// hijack sends bytes that are no response of the HTTP server.
func (s *Server) hijack(w http.ResponseWriter, r *http.Request, a response) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err) // no HTTP/2
	}
	defer conn.Close()
	for sent := 0; ; sent += len(a.raw) {
		if _, err := io.WriteString(conn, a.raw); err != nil || !a.endless {
			return
		}
		if sent > 1<<29 {
			s.violate("read more than 512 MiB of an endless response: " + r.URL.Path)
			return
		}
	}
}

// stalled returns a response that stays open after n bytes.
func stalled(a response, n int) response {
	a.header.Set("Content-Length", strconv.Itoa(len(a.body)))
	a.body, a.unending = a.body[:n], true
	a.stream = func(s *Server, _ io.Writer, r *http.Request) {
		s.sleep(r.Context(), time.Hour)
		panic(http.ErrAbortHandler)
	}
	return a
}

// silence accepts a request and does not respond for a time; then the connection
// ends.
func silence(d time.Duration) special {
	return func(*http.Request) response { return response{silent: d} }
}

// dripping sends one byte of a body at a time, for hours.
func dripping(body string) response {
	return response{
		status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, unending: true,
		stream: func(s *Server, w io.Writer, r *http.Request) {
			for i := range len(body) {
				if _, err := io.WriteString(w, body[i:i+1]); err != nil {
					return
				}
				if f, ok := w.(http.Flusher); ok {
					f.Flush()
				}
				if !s.sleep(r.Context(), 10*time.Second) {
					return
				}
			}
		},
	}
}

// unended sends a part again and again.
func unended(start, part string) response {
	block := []byte(strings.Repeat(part, 1+32<<10/len(part)))
	return response{
		status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(start), unending: true,
		stream: func(s *Server, w io.Writer, r *http.Request) {
			for sent := 0; ; sent += len(block) {
				if _, err := w.Write(block); err != nil {
					return
				}
				if sent > 1<<29 {
					s.violate("read more than 512 MiB of an endless response: " + r.URL.Path)
					panic(http.ErrAbortHandler)
				}
			}
		},
	}
}
