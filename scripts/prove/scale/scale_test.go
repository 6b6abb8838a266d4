package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"archeio/lambda/copier"
	"archeio/lambda/registry"
)

// TestMain ends the process if it is a child, which would run the tests again.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		fmt.Fprintln(os.Stderr, "a test has started a child")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// testbed returns a generator with a source, an S3 server and what counts their requests.
func testbed(t *testing.T, blobs, manifests, repositories int) (*generator, *task, *counts) {
	t.Helper()
	g, c := newGenerator(blobs, manifests, repositories), &counts{}
	source := httptest.NewServer(&source{generator: g, counts: c})
	t.Cleanup(source.Close)
	s3 := httptest.NewServer(&storage{generator: g, counts: c, objects: map[string]map[string]*object{}, contents: map[string]*object{}})
	t.Cleanup(s3.Close)
	t.Setenv("AWS_ENDPOINT_URL_S3", s3.URL)
	return g, &task{Source: strings.TrimPrefix(source.URL, "http://") + "/" + sourcePath, S3: s3.URL, Mirrors: 2}, c
}

// The engine reads the source completely, finds every blob in every mirror, and copies
// nothing.
func TestNothingIsMissing(t *testing.T) {
	const blobs, manifests = 2500, 30
	g, tk, c := testbed(t, blobs, manifests, 3)
	f, err := tk.filler(&queue{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	f.Log = slog.New(slog.DiscardHandler)
	for _, b := range f.Buckets {
		held, err := b.List(t.Context())
		if err != nil || len(held) != blobs {
			t.Fatalf("%d blobs, error %v", len(held), err)
		}
	}
	if all, _ := c.take(); all[listPrimary].requests != 3 || all[listReplica].requests != 3 || all[listReplica].bytes < blobs*350 {
		t.Errorf("listing took %+v", all)
	}
	plan, err := copier.NewPlan(t.Context(), copier.Options{Source: f.Source, Buckets: f.Buckets, Referrers: true, Manifests: &copier.ManifestCache{}})
	if err != nil {
		t.Fatal(err)
	}
	for i, missing := range plan.Missing {
		if len(missing) > 0 {
			t.Errorf("bucket %d: %d blobs are missing", i, len(missing))
		}
	}
	if all, _ := c.take(); all[sourceManifest].requests != manifests {
		t.Errorf("%d manifests were read, want %d", all[sourceManifest].requests, manifests)
	}
	// Every blob belongs to an image.
	used := map[string]bool{}
	for i := range manifests {
		if i%groupSize == 0 {
			continue
		}
		contents, err := registry.Parse(g.manifest(i))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range contents.Blobs {
			used[b.Digest] = true
		}
	}
	if len(used) != blobs {
		t.Errorf("the images have %d blobs, want %d", len(used), blobs)
	}
}

// A first plan needs as many messages as there are repositories, and one for the end of the
// round; hours without changes
// write the state and no blob.
func TestHours(t *testing.T) {
	_, tk, c := testbed(t, 900, 9, 3)
	tk.Do, tk.Hours, tk.Timeout = "plan", 2, 1e12
	var out outcome
	q := &queue{}
	if err := tk.run(q, &out); err != nil || out.Invocations != 2 || q.sent != 8 || len(q.messages) != 4 {
		t.Fatalf("%+v, %d messages sent, error %v", out, q.sent, err)
	}
	tk.Do, tk.Hours, tk.Messages = "work", 1, q.messages
	if err := tk.run(&queue{}, &out); err != nil || out.Invocations != 6 {
		t.Fatalf("%+v, error %v", out, err)
	}
	if all, _ := c.take(); all[sourceManifest].requests != 9 || all[mirrorWrite].requests == 0 {
		t.Errorf("requests %+v", all)
	}
}

func TestConditions(t *testing.T) {
	_, tk, _ := testbed(t, 10, 3, 1)
	do := func(method, name, header, value, body string) (int, string, string) {
		r, err := http.NewRequestWithContext(context.Background(), method, tk.S3+"/"+name, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if header != "" {
			r.Header.Set(header, value)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, resp.Header.Get("Etag"), string(text)
	}
	for _, c := range []struct {
		name, method, header, value, body string
		status                            int
		text                              string
	}{
		{"missing", "GET", "", "", "", 404, "NoSuchKey"},
		{"replaces-nothing", "PUT", "If-Match", `"1"`, "x", 412, "PreconditionFailed"},
		{"first", "PUT", "If-None-Match", "*", "hello", 200, ""},
		{"exists", "PUT", "If-None-Match", "*", "x", 412, "PreconditionFailed"},
		{"range", "GET", "Range", "bytes=1-3", "", 206, "ell"},
		{"range-too-long", "GET", "Range", "bytes=3-9", "", 206, "lo"},
		{"beyond", "GET", "Range", "bytes=9-10", "", 416, "InvalidRange"},
		{"chunked", "PUT", "Content-Encoding", "aws-chunked", "3;x=y\r\nabc\r\n0\r\nx-amz-checksum-crc32:AA==\r\n\r\n", 200, ""},
		{"decoded", "GET", "", "", "", 200, "abc"},
	} {
		if status, _, text := do(c.method, "state/a", c.header, c.value, c.body); status != c.status || !strings.Contains(text, c.text) {
			t.Errorf("%s: %d %q, want %d %q", c.name, status, text, c.status, c.text)
		}
	}
	if status, etag, _ := do("HEAD", mirrorName(1)+"/"+newGenerator(10, 3, 1).key(4), "", "", ""); status != 200 || etag == "" {
		t.Errorf("a blob: %d", status)
	}
}

// A process that needs too much memory, and requests that the model does not have, are
// failures.
func TestLimits(t *testing.T) {
	t.Parallel()
	phases := []phase{{name: "plan", outcome: outcome{Memory: 30e6}}, {name: "work", outcome: outcome{Memory: 61e6}}}
	for limit, want := range map[int]string{0: "", 61: "", 60: "work needs 61 MB of memory, want at most 60"} {
		err := (options{maxMemory: limit}).memory(phases)
		if got := errorText(err); got != want {
			t.Errorf("limit %d: %q, want %q", limit, got, want)
		}
	}
	var out bytes.Buffer
	p := phase{hours: 1, requests: [kinds]count{listPrimary: {requests: 500}}}
	if err := (options{mirrors: 2, blobs: 20_000, manifests: 3, repositories: 1}).compareModel(&out, p); err == nil || !strings.Contains(out.String(), "FAILED") {
		t.Errorf("error %v, printed\n%s", err, &out)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-mirrors", "0"}, {"-blobs", "100", "-manifests", "300"}, {"-repositories", "2000"}, {"-blobs", "0"}, {"-fill", "100"}, {"-fill", "-1"}, {"x"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}
