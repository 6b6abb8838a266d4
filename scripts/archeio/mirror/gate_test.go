package mirror

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"archeio/lambda/config"
)

// gate forwards requests, and calls a function in the middle of the n-th one of a
// kind.
type gate struct {
	next http.Handler

	mu   sync.Mutex
	is   func(*http.Request) bool
	left int
	do   func()
}

func (g *gate) set(n int, is func(*http.Request) bool, do func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.is, g.left, g.do = is, n, do
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	g.mu.Lock()
	var do func()
	if g.do != nil && g.is(r) {
		if g.left--; g.left == 0 {
			do, g.do = g.do, nil
		}
	}
	g.mu.Unlock()
	if do != nil {
		do = sync.OnceFunc(do)
		defer do() // after a request without a body
		if r.ContentLength > 0 {
			r.Body = &middleReader{r.Body, r.ContentLength / 2, do}
		} else if r.Method == http.MethodGet {
			w = &middleWriter{w, do}
		}
	}
	g.next.ServeHTTP(w, r)
}

// middleReader calls do after half of a body was read.
type middleReader struct {
	io.ReadCloser
	left int64
	do   func()
}

func (m *middleReader) Read(p []byte) (int, error) {
	if m.left <= 0 {
		m.do()
		return m.ReadCloser.Read(p)
	}
	n, err := m.ReadCloser.Read(p[:min(int64(len(p)), m.left)])
	m.left -= int64(n)
	return n, err
}

// middleWriter calls do after half of the first piece of a body was written.
type middleWriter struct {
	http.ResponseWriter
	do func()
}

func (m *middleWriter) Unwrap() http.ResponseWriter { return m.ResponseWriter }

func (m *middleWriter) Write(p []byte) (int, error) {
	n, err := m.ResponseWriter.Write(p[:len(p)/2])
	http.NewResponseController(m.ResponseWriter).Flush()
	m.do()
	if err != nil {
		return n, err
	}
	more, err := m.ResponseWriter.Write(p[len(p)/2:])
	return n + more, err
}

func isBlob(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/")
}

func isAny(*http.Request) bool { return true }

func isPut(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/"+config.BlobPrefix) && r.Header.Get("X-Amz-Copy-Source") == ""
}

func isBucketCopy(r *http.Request) bool { return r.Header.Get("X-Amz-Copy-Source") != "" }

func isStatePut(r *http.Request) bool {
	return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/")
}
