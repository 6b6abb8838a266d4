package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"archeio/scripts/prove/cli"
)

func TestParseConformance(t *testing.T) {
	t.Parallel()
	const ok = `<testsuites tests="6" failures="1">
  <testsuite name="OCI Conformance Test" tests="6">
    <properties><property name="Config" value="tls: disabled"></property></properties>
    <testcase name="OCI Conformance Test/ping" classname="" time="0.002" status="passed"><system-err>GET /v2/&#xA;</system-err></testcase>
    <testcase name="OCI Conformance Test/image/pull/blob-get" status="passed"></testcase>
    <testcase name="OCI Conformance Test/image/pull/blob-get" status="failure"><system-out>expected 200, received 404</system-out></testcase>
    <testcase name="OCI Conformance Test/image/pull/blob-get" status="passed"></testcase>
    <testcase name="OCI Conformance Test/tag-list" status="error"></testcase>
    <testcase name="OCI Conformance Test/mount" status="skipped"></testcase>
  </testsuite>
</testsuites>`
	for _, x := range []struct {
		name, document string
		want           conformanceResults
		summary, err   string
	}{
		{name: "all-statuses", document: ok, summary: "3 passed, 2 failed, 1 skipped", want: conformanceResults{
			"ping": {Passed: 1}, "image/pull/blob-get": {Passed: 2, Failed: 1}, "tag-list": {Failed: 1}, "mount": {Skipped: 1},
		}},
		{name: "unknown-status", document: strings.Replace(ok, "skipped", "postponed", 1),
			err: `reading the results of the conformance suite: test "mount": unknown status "postponed"`},
		{name: "no-status", document: strings.Replace(ok, ` status="skipped"`, "", 1),
			err: `reading the results of the conformance suite: test "mount": unknown status ""`},
		{name: "no-tests", document: `<testsuites></testsuites>`, err: "reading the results of the conformance suite: no test passed"},
		{name: "nothing-passed", document: strings.ReplaceAll(ok, "passed", "skipped"), err: "reading the results of the conformance suite: no test passed"},
		{name: "cut-off", document: ok[:len(ok)/2], err: "reading the results of the conformance suite: XML syntax error on line 6: unexpected EOF"},
		{name: "empty", document: "", err: "reading the results of the conformance suite: EOF"},
	} {
		t.Run(x.name, func(t *testing.T) {
			got, err := parseConformance(strings.NewReader(x.document))
			if fmt.Sprint(err) != printed(x.err) || !maps.Equal(got, x.want) || got.String() != x.summary {
				t.Errorf("parseConformance returned %v (%s), %v, want %v (%s), %s", got, got, err, x.want, x.summary, printed(x.err))
			}
		})
	}
}

func TestConformanceFailures(t *testing.T) {
	t.Parallel()
	many, all := conformanceResults{}, conformanceResults{}
	for i := range maxNames + 2 {
		many[fmt.Sprintf("test-%02d", i)] = cli.Counts{Passed: 1}
	}
	all["a"], all["b"] = cli.Counts{Passed: 2}, cli.Counts{Passed: 1, Skipped: 1}
	for _, x := range []struct {
		name      string
		got, want conformanceResults
		err       string
	}{
		{"equal", all, all, ""},
		{"failed", conformanceResults{"a": {Passed: 1, Failed: 1}, "b": {Passed: 1, Skipped: 1}}, all, "did not pass: a"},
		{"skipped", conformanceResults{"a": {Passed: 2}, "b": {Skipped: 2}}, all, "did not pass: b"},
		{"missing", conformanceResults{"a": {Passed: 2}}, all, "did not pass: b"},
		{"passed-instead-of-skipped", conformanceResults{"a": {Passed: 2}, "b": {Passed: 2}}, all, ""},
		{"failed-instead-of-skipped", conformanceResults{"a": {Passed: 2}, "b": {Passed: 1, Failed: 1}}, all, "did not pass: b"},
		{"fails-in-both", conformanceResults{"a": {Failed: 1}}, conformanceResults{"a": {Failed: 1}}, ""},
		{"failed-without-comparison", conformanceResults{"b": {Failed: 1}, "a": {Passed: 1, Failed: 1}, "c": {Skipped: 1}}, nil, "did not pass: a; b"},
		{"too-many-names", nil, many, "did not pass: test-00; test-01; test-02; test-03; test-04; test-05; test-06; test-07; test-08; test-09; and 2 more"},
	} {
		t.Run(x.name, func(t *testing.T) {
			if err := x.got.failures(x.want); fmt.Sprint(err) != printed(x.err) {
				t.Errorf("failures returned %v, want %s", err, printed(x.err))
			}
		})
	}
}

func TestConformanceWithout(t *testing.T) {
	t.Parallel()
	all := conformanceResults{"large-manifest/pull/manifest-by-tag": {Passed: 1, Failed: 2}, "large-manifest/head": {Failed: 1}, "image/pull/large-manifest/": {Passed: 1, Failed: 1}}
	rest, failed := all.without(tooLarge)
	if want := (conformanceResults{"image/pull/large-manifest/": {Passed: 1, Failed: 1}}); !maps.Equal(rest, want) || failed != 3 {
		t.Errorf("%s, %d failed; want %s, 3", rest, failed, want)
	}
}

// TestSplitterRestarts tests that a path is not read by a function that read it before
// the last write.
func TestSplitterRestarts(t *testing.T) {
	t.Parallel()
	functions := 1
	upstream := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(upstream.Close)
	entryPoint := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/":
			w.Header().Set("X-Redirect-Reason", "ping")
		case "/v2/a/manifests/challenged":
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	t.Cleanup(entryPoint.Close)
	split, err := newSplitter(upstream.URL, entryPoint.URL)
	if err != nil {
		t.Fatal(err)
	}
	split.restart = func() error { functions++; return nil }
	for i, x := range []struct {
		request   string
		functions int // that have read so far
	}{
		{"GET /v2/", 1},
		{"GET /v2/a/manifests/1", 1},
		{"HEAD /v2/a/manifests/1", 1},
		{"PUT /v2/a/manifests/1", 1},
		{"GET /v2/a/manifests/2", 1}, // not read before
		{"GET /v2/a/manifests/2", 1}, // not read before the write
		{"GET /v2/a/manifests/1", 2},
		{"GET /v2/a/manifests/1", 2},
		{"GET /v2/a/tags/list?n=1", 2},
		{"DELETE /v2/a/manifests/1", 2},
		{"GET /v2/a/tags/list?n=2", 2},
		{"GET /v2/a/tags/list?n=1", 3},
		{"HEAD /v2/a/manifests/1", 3}, // read by an earlier function
	} {
		method, path, _ := strings.Cut(x.request, " ")
		split.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, path, nil))
		if functions != x.functions {
			t.Errorf("request %d, %s: %d functions, want %d", i, x.request, functions, x.functions)
		}
	}
	if got, want := split.String(), "11 reads, 10 relayed; 2 writes, 2 restarts"; got != want || split.check() != nil {
		t.Errorf("%q, %v; want %q", got, split.check(), want)
	}
	split.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/v2/a/manifests/challenged", nil))
	if err := split.check(); fmt.Sprint(err) != "1 reads were challenged" {
		t.Errorf("after a challenge: %v", err)
	}
}

// printed returns how fmt prints an error with the text; "" is nil.
func printed(text string) string {
	if text == "" {
		return "<nil>"
	}
	return text
}

func TestSplitter(t *testing.T) {
	t.Parallel()
	server := func(name string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name == "entry point" {
				w.Header().Set("Location", "http://unused.example/")
				w.WriteHeader(http.StatusTemporaryRedirect)
			}
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s: %s %s %s", name, r.Method, r.RequestURI, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	split, err := newSplitter(server("upstream"), server("entry point"))
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(split)
	t.Cleanup(front.Close)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for _, x := range []struct{ method, path, body, want string }{
		{"GET", "/v2/", "", "entry point: GET /v2/ "},
		{"GET", "/v2/app/blobs/sha256%3Aabc?n=1", "", "entry point: GET /v2/app/blobs/sha256%3Aabc?n=1 "},
		{"HEAD", "/v2/app/manifests/latest", "", ""},
		{"POST", "/v2/app/blobs/uploads/?mount=sha256:abc&from=base", "", "upstream: POST /v2/app/blobs/uploads/?mount=sha256:abc&from=base "},
		{"GET", "/v2/app/blobs/uploads/7", "", "upstream: GET /v2/app/blobs/uploads/7 "},
		{"PATCH", "/v2/app/blobs/uploads/7", "chunk", "upstream: PATCH /v2/app/blobs/uploads/7 chunk"},
		{"PUT", "/v2/app/manifests/latest", "{}", "upstream: PUT /v2/app/manifests/latest {}"},
		{"DELETE", "/v2/app/manifests/latest", "", "upstream: DELETE /v2/app/manifests/latest "},
	} {
		req, err := http.NewRequest(x.method, front.URL+x.path, strings.NewReader(x.body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != x.want {
			t.Errorf("%s %s: the response is %q, %v, want %q", x.method, x.path, got, err, x.want)
		}
	}
	if reads, redirects, writes := split.reads.Load(), split.redirects.Load(), split.writes.Load(); reads != 3 || redirects != 3 || writes != 5 {
		t.Errorf("%d reads, %d redirects and %d writes are counted, want 3, 3 and 5", reads, redirects, writes)
	}
}
