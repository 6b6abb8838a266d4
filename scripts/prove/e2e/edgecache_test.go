package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestMaxAge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, cacheControl string
		want               time.Duration
	}{
		{"none", "", 0},
		{"minutes", "public, max-age=300", 5 * time.Minute},
		{"capitals", "Public,Max-Age=60", time.Minute},
		{"no-store", "no-store", 0},
		{"private", "private, no-store", 0},
		{"no-store-last", "max-age=300, no-store", 0},
		{"no-number", "max-age=x", 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := maxAge(tt.cacheControl); got != tt.want {
				t.Errorf("maxAge(%q) is %s, want %s", tt.cacheControl, got, tt.want)
			}
		})
	}
}

func TestEdgeCache(t *testing.T) {
	t.Parallel()
	requests := 0
	c := newEdgeCache(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests++
		w.Header().Set("Cache-Control", r.URL.Query().Get("control"))
		w.WriteHeader(http.StatusTemporaryRedirect)
		fmt.Fprint(w, requests)
	}))
	for _, tt := range []struct{ target, want string }{
		{"/a?control=max-age=60", "1"},
		{"/a?control=max-age=60", "1"},
		{"/b?control=max-age=60", "2"},
		{"/a?control=no-store", "3"},
		{"/a?control=no-store", "4"},
		{"/a?control=max-age=60", "1"},
	} {
		w := httptest.NewRecorder()
		c.ServeHTTP(w, httptest.NewRequest(http.MethodGet, tt.target, nil))
		if w.Code != http.StatusTemporaryRedirect || w.Body.String() != tt.want || w.Header().Get("Cache-Control") == "" {
			t.Errorf("%s: status %d, header %v, body %q, want 307 and body %q", tt.target, w.Code, w.Header(), w.Body, tt.want)
		}
	}
}
