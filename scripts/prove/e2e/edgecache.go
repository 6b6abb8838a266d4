package main

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// edgeCache stores the responses that Cache-Control allows to be stored, by path and
// query, as a distribution does, or a client's proxy in front of a load balancer.
type edgeCache struct {
	handler http.Handler

	mu     sync.Mutex
	stored map[string]*storedResponse
}

type storedResponse struct {
	status int
	header http.Header
	body   bytes.Buffer
	until  time.Time
}

func newEdgeCache(h http.Handler) *edgeCache {
	return &edgeCache{handler: h, stored: map[string]*storedResponse{}}
}

func (c *edgeCache) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.stored[r.RequestURI]
	if x == nil || time.Now().After(x.until) {
		x = &storedResponse{status: http.StatusOK, header: http.Header{}}
		c.handler.ServeHTTP(x, r)
		if age := maxAge(x.header.Get("Cache-Control")); age > 0 {
			x.until = time.Now().Add(age)
			c.stored[r.RequestURI] = x
		}
	}
	maps.Copy(w.Header(), x.header)
	w.WriteHeader(x.status)
	w.Write(x.body.Bytes())
}

func (x *storedResponse) Header() http.Header         { return x.header }
func (x *storedResponse) WriteHeader(status int)      { x.status = status }
func (x *storedResponse) Write(b []byte) (int, error) { return x.body.Write(b) }

// maxAge returns how long a shared cache may store a response, 0 if it must not.
// https://www.rfc-editor.org/rfc/rfc9111#section-5.2.2
func maxAge(cacheControl string) (age time.Duration) {
	for directive := range strings.SplitSeq(strings.ToLower(cacheControl), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch name {
		case "no-store", "no-cache", "private":
			return 0
		case "max-age":
			n, _ := strconv.Atoi(value)
			age = time.Duration(n) * time.Second
		}
	}
	return age
}
