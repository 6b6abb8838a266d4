package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"archeio/lambda/build"
	"archeio/ranges"
	"archeio/scripts/lab/runtimeapi"
)

// rangesMirror serves a range table and has every blob.
type rangesMirror struct {
	table  atomic.Pointer[[]byte]
	served atomic.Int64 // responses with the table or without one
}

func (m *rangesMirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasSuffix(r.URL.Path, "/ranges.v1") {
		if data := m.table.Load(); data != nil {
			w.Write(*data)
		} else {
			w.WriteHeader(http.StatusForbidden)
		}
		m.served.Add(1)
	}
}

// testTable returns a table in which the client of the test is in a region.
func testTable(t *testing.T, region string, issued time.Time) []byte {
	t.Helper()
	table, err := ranges.Compile(
		[]ranges.Prefix{{Prefix: netip.MustParsePrefix("203.0.113.0/24"), Place: ranges.Place{Cloud: ranges.AWS, Region: region}}},
		[]ranges.Source{{Cloud: ranges.AWS, Version: "test", Date: time.Unix(1_700_000_000, 0), Prefixes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return table.Issue(issued).Bytes()
}

// TestFetchedRanges runs the built function: a table from the mirror is used between
// two requests, and a damaged, truncated, older or malicious one is not. No request
// fails at any time.
func TestFetchedRanges(t *testing.T) {
	t.Parallel()
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	mirror := &rangesMirror{}
	server := httptest.NewServer(mirror)
	defer server.Close()
	api, err := runtimeapi.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	p, err := api.Start(bootstrap, map[string]string{
		"AWS_REGION":                 "us-east-1",
		"UPSTREAM_REGISTRY_ENDPOINT": "https://us-docker.pkg.dev",
		"UPSTREAM_REGISTRY_PATH":     "example-project/images",
		"MIRROR_REGIONS":             "us-east-1,eu-west-3,ap-south-1",
		"MIRROR_URL_TEMPLATE":        server.URL + "/{region}",
		"MIRROR_INDEX_REFRESH":       "none",
		"RANGES_REFRESH":             "10ms",
	}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	event := []byte(`{"requestContext":{"elb":{}},"httpMethod":"GET","headers":{"x-forwarded-for":"203.0.113.7"},"path":"/v2/pause/blobs/` + sampleDigest + `"}`)
	mirrorOf := func() string {
		ctx, cancel := context.WithTimeout(t.Context(), timeLimit)
		defer cancel()
		out, err := api.Invoke(ctx, event)
		var response struct {
			StatusCode int
			Headers    map[string]string
		}
		if err != nil || json.Unmarshal(out, &response) != nil || response.StatusCode != 307 {
			t.Fatalf("response %s, error %v; want a redirect", out, err)
		}
		region, _, _ := strings.Cut(strings.TrimPrefix(response.Headers["Location"], server.URL+"/"), "/")
		return region
	}
	now := time.Now()
	newest := testTable(t, "ap-south-1", now)
	flipped := bytes.Clone(newest)
	flipped[len(flipped)/2] ^= 0x10
	for _, tt := range []struct {
		name  string
		table []byte
		want  string
	}{
		{"none", nil, "us-east-1"},
		{"truncated", newest[:len(newest)-9], "us-east-1"},
		{"fresh", testTable(t, "eu-west-3", now.Add(-time.Hour)), "eu-west-3"},
		{"damaged", flipped, "eu-west-3"},
		{"older", testTable(t, "ap-south-1", now.Add(-2*time.Hour)), "eu-west-3"},
		{"future", testTable(t, "ap-south-1", now.Add(time.Hour)), "eu-west-3"},
		{"too-large", make([]byte, ranges.MaxSize+1), "eu-west-3"},
		{"page", []byte("<html>"), "eu-west-3"},
		{"fresh-again", newest, "ap-south-1"},
	} {
		mirror.table.Store(nil)
		if tt.table != nil {
			mirror.table.Store(&tt.table)
		}
		// The response to the third request is whole when the fourth one begins: the
		// first may have begun before the table was there.
		before, deadline := mirror.served.Load(), time.Now().Add(10*time.Second)
		for mirror.served.Load() < before+3 {
			if mirrorOf(); time.Now().After(deadline) {
				t.Fatalf("%s: no requests for the table", tt.name)
			}
		}
		if got := mirrorOf(); got != tt.want {
			t.Errorf("%s: redirected to %q, want %q", tt.name, got, tt.want)
		}
	}
}
