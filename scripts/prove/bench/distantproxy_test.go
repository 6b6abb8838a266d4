package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// Data arrives complete, and not before its time: a round trip for the connection
// and one for each request.
func TestDistantProxy(t *testing.T) {
	t.Parallel()
	const roundTrip = 20 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Write(body)
	}))
	defer server.Close()
	proxy, err := newDistantProxy(strings.TrimPrefix(server.URL, "http://"), roundTrip)
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for i, atLeast := range []time.Duration{2 * roundTrip, roundTrip} {
		began := time.Now()
		resp, err := (&http.Client{Transport: transport}).Post("http://"+proxy.address(), "text/plain", bytes.NewReader(sent))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || !bytes.Equal(got, sent) {
			t.Errorf("request %d: %d of %d bytes came back, error %v", i, len(got), len(sent), err)
		}
		if took := time.Since(began); took < atLeast {
			t.Errorf("request %d took %v, want at least %v", i, took, atLeast)
		}
	}
}
