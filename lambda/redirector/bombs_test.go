package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"archeio/lambda/build"
	"archeio/scripts/lab/runtimeapi"
	"archeio/scripts/lab/sample"
)

const (
	// largestEvent is what AWS hands to a function at most; a load balancer's
	// events have a sixth of it.
	largestEvent = 6 << 20
	// timeLimit is the time that the deployed function has for an answer.
	timeLimit = 5 * time.Second
	// memoryLimit is half of what the smallest deployment gives it.
	memoryLimit = 128 << 20
	// longestRefusal is more than any refusal needs: what is quoted is cut.
	longestRefusal = 2 << 10
	sampleDigest   = "sha256:64cc8b30b2d16d7e683b1ad4c9f41617e20bedcc4fc0b46411e6e797437a0087"
)

// bomb is an event that is too large to be a file.
type bomb struct {
	name, why string
	event     func() string
	// status of the answer; 0 is an error of the invocation.
	status int
	// location is the beginning of the answer's Location.
	location string
	// grows tells that the answer has the client's query in it, so that it
	// may be as long as that.
	grows bool
}

// albEvent is an event of a load balancer; the members come before its own.
func albEvent(members, path string) func() string {
	return func() string {
		return `{"requestContext":{"elb":{}},"httpMethod":"GET",` + members + `"path":` + strconv.Quote(path) + `}`
	}
}

func urlEvent(headers, path, query string) func() string {
	return func() string {
		return `{"version":"2.0","rawPath":` + strconv.Quote(path) + `,"rawQueryString":` + strconv.Quote(query) + `,"headers":{` + headers +
			`},"requestContext":{"http":{"method":"GET","sourceIp":"203.0.113.7"}}}`
	}
}

// many repeats a format with a running number, separated by commas.
func many(n int, format string) string {
	var out strings.Builder
	for i := range n {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, format, i)
	}
	return out.String()
}

func bombs() []bomb {
	const mega = 1 << 20
	blob := "/v2/pause/blobs/" + sampleDigest
	nest := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	nestObjects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	return []bomb{
		// Long paths.
		{name: "path", why: "a path of 1 MB is quoted in part", event: albEvent("", "/"+strings.Repeat("a", mega)), status: 404},
		{name: "path-segments", why: "half a million segments", event: albEvent("", "/v2/"+strings.Repeat("a/", mega/2)+"blobs/"+sampleDigest), status: 400},
		{name: "path-slashes", why: "a million slashes", event: albEvent("", strings.Repeat("/", mega)), status: 404},
		{name: "path-name", why: "a name of 1 MB is longer than names may be", event: albEvent("", "/v2/"+strings.Repeat("a", mega)+"/tags/list"), status: 400},
		{name: "path-tag", why: "a tag of 1 MB", event: albEvent("", "/v2/pause/manifests/"+strings.Repeat("a", mega)), status: 400},
		{name: "path-digest", why: "a digest of 1 MB", event: albEvent("", "/v2/pause/blobs/sha256:"+strings.Repeat("a", mega)), status: 400},
		{name: "path-algorithm", why: "an algorithm of 1 MB", event: albEvent("", "/v2/pause/blobs/"+strings.Repeat("a+", mega/2)+"a:b"), status: 400},
		{name: "path-escapes", why: "1 MB of escapes", event: albEvent("", "/v2/"+strings.Repeat("%25", mega/3)+"/tags/list"), status: 400},
		{name: "path-escape-last", why: "1 MB, and the last escape is broken", event: albEvent("", "/v2/"+strings.Repeat("%41", mega/3)+"%4"), status: 400},
		{name: "path-traversal", why: "1 MB of dots", event: albEvent("", "/v2/"+strings.Repeat("../", mega/3)+"manifests/latest"), status: 400},
		{name: "path-bytes", why: "1 MB of what is no UTF-8", event: func() string {
			return `{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/` + strings.Repeat("\xff", mega) + `/tags/list"}`
		}, status: 400},
		{name: "path-largest", why: "as much as AWS can hand over", event: albEvent("", "/v2/"+strings.Repeat("a", largestEvent-200)+"/tags/list"), status: 400},
		{name: "method", why: "a method of 1 MB is quoted in part", event: func() string {
			return `{"requestContext":{"elb":{}},"httpMethod":"` + strings.Repeat("G", mega) + `","path":"/"}`
		}, status: 405},

		// Many and long headers.
		{name: "headers", why: "10,000 headers, none of which counts", event: albEvent(`"headers":{`+many(10_000, `"x-%d":"v"`)+`},`, blob), status: 307, location: "https://d111111abcdef8.cloudfront.net/"},
		{name: "headers-multi", why: "the same as multi-value headers", event: albEvent(`"multiValueHeaders":{`+many(10_000, `"x-%d":["v","w"]`)+`},`, "/v2/"), status: 200},
		{name: "headers-forged", why: "10,000 fields with an address, of which the last one counts", event: albEvent(`"multiValueHeaders":{"x-forwarded-for":[`+many(10_000, `"34.1.208.1, 10.0.0.%[1]d"`)+`,"35.180.1.1"]},`, blob), status: 307, location: "http://127.0.0.1:18580/eu-central-1/"},
		{name: "headers-forged-list", why: "10,000 addresses in one field, of which the last one counts", event: albEvent(`"headers":{"x-forwarded-for":"`+strings.Repeat("34.1.208.1, ", 10_000)+`35.180.1.1"},`, blob), status: 307, location: "http://127.0.0.1:18580/eu-central-1/"},
		{name: "headers-twice", why: "the same name 10,000 times with other values is nobody's address", event: albEvent(`"headers":{`+many(10_000, `"x-forwarded-for":"35.180.1.%d"`)+`},`, blob), status: 307, location: "https://d111111abcdef8.cloudfront.net/"},
		{name: "headers-viewer-address", why: "10,000 times the same address in the named header is that address", event: urlEvent(`"cloudfront-viewer-address":"`+strings.Repeat("35.180.1.1:443,", 10_000)+`35.180.1.1:443"`, blob, ""), status: 307, location: "http://127.0.0.1:18580/eu-central-1/"},
		{name: "headers-position", why: "a position with a million digits is none", event: urlEvent(`"cloudfront-viewer-latitude":"`+strings.Repeat("9", mega)+`","cloudfront-viewer-longitude":"0.`+strings.Repeat("0", mega)+`1"`, blob, ""), status: 307, location: "https://d111111abcdef8.cloudfront.net/"},
		{name: "headers-authorization", why: "a login of 1 MB is a login", event: albEvent(`"headers":{"x-forwarded-for":"35.180.1.1","authorization":"`+strings.Repeat("a", mega)+`"},`, blob), status: 307, location: "https://d111111abcdef8.cloudfront.net/"},
		{name: "headers-name", why: "the name of a header with 1 MB of escapes", event: albEvent(`"headers":{"`+strings.Repeat(`\u0061`, mega/6)+`":"v"},`, "/v2/"), status: 200},

		// Queries.
		{name: "query", why: "100,000 parameters are joined in order", event: albEvent(`"queryStringParameters":{`+many(100_000, `"p%d":"1"`)+`},`, "/v2/pause/tags/list"), status: 307, location: "https://us-docker.pkg.dev/v2/example-project/images/pause/tags/list?", grows: true},
		{name: "query-values", why: "100,000 values of one parameter", event: albEvent(`"multiValueHeaders":{},"multiValueQueryStringParameters":{"n":[`+many(100_000, `"%d"`)+`]},`, "/v2/pause/tags/list"), status: 307, location: "https://us-docker.pkg.dev/v2/example-project/images/pause/tags/list?n=0&n=1", grows: true},
		{name: "query-blob", why: "a query that a blob does not take goes nowhere", event: urlEvent("", blob, strings.Repeat("a=b&", mega/4)), status: 307, location: "https://d111111abcdef8.cloudfront.net/"},
		{name: "query-byte", why: "1 MB of query with a space at its end", event: urlEvent("", "/v2/pause/tags/list", strings.Repeat("a=b&", mega/4)+" "), status: 400},

		// JSON.
		{name: "json-depth", why: "a million arrays in each other", event: albEvent(`"x":`+nest(mega)+`,`, "/v2/"), status: 0},
		{name: "json-depth-objects", why: "a million objects in each other", event: albEvent(`"x":`+nestObjects(mega/2)+`,`, "/v2/"), status: 0},
		{name: "json-depth-headers", why: "a value that is no string where one is read", event: albEvent(`"headers":{"authorization":`+nest(9_000)+`},`, "/v2/"), status: 0},
		{name: "json-depth-query", why: "parameters that are no strings", event: albEvent(`"queryStringParameters":{"n":`+nestObjects(5_000)+`},`, "/v2/"), status: 0},
		{name: "json-depth-open", why: "a million arrays that never end", event: func() string { return strings.Repeat("[", mega) }, status: 0},
		{name: "json-depth-records", why: "records in records", event: func() string { return strings.Repeat(`{"Records":[`, mega/12) }, status: 0},
		{name: "json-body", why: "6 MB of body are passed over", event: albEvent(`"body":"`+strings.Repeat("A", largestEvent-200)+`",`, "/v2/"), status: 200},
		{name: "json-members", why: "300,000 members that nobody knows", event: albEvent(many(300_000, `"m%d":0`)+`,`, "/v2/"), status: 200},
		{name: "json-member-twice", why: "the same member 100,000 times: the last one counts", event: albEvent(strings.Repeat(`"path":"/v2/_catalog",`, 100_000), "/v2/"), status: 200},
		{name: "json-space", why: "6 MB of nothing before the event", event: func() string { return strings.Repeat(" ", largestEvent-100) + albEvent("", "/v2/")() }, status: 200},
		{name: "json-number", why: "a number with a million digits", event: albEvent(`"x":1`+strings.Repeat("0", mega)+`,`, "/v2/"), status: 200},
		{name: "json-cut-off", why: "6 MB that end in a string", event: func() string { return `{"path":"` + strings.Repeat("a", largestEvent-100) }, status: 0},
		{name: "json-escapes", why: "a path of 1 MB in escapes of JSON", event: func() string {
			return `{"requestContext":{"elb":{}},"httpMethod":"GET","path":"\u002fv2\u002f` + strings.Repeat(`\u0061`, mega/6) + `"}`
		}, status: 404},
	}
}

// TestBombs sends them all to one process of the built function: each is
// answered within the function's own time, the answer is no longer than it
// need be, the next request is answered as ever, and memory stays far below
// what the smallest deployment has.
func TestBombs(t *testing.T) {
	bootstrap, err := build.Bootstrap(t.Context(), "redirector")
	if err != nil {
		t.Fatal(err)
	}
	ping, err := sample.Read(filepath.Join(eventsDir, "cloudfront/ping.json"), eventsDir)
	if err != nil {
		t.Fatal(err)
	}
	stop, err := ping.ServeMirrors(t.Context(), ping.MirrorAddress())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	api, err := runtimeapi.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer api.Close()
	p, err := api.Start(bootstrap, ping.Env, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop()
	invoke := func(payload string) ([]byte, error) {
		ctx, cancel := context.WithTimeout(t.Context(), timeLimit)
		defer cancel()
		return api.Invoke(ctx, []byte(payload))
	}
	for _, b := range bombs() {
		t.Run(b.name, func(t *testing.T) {
			payload := b.event()
			if len(payload) < 9_000 || len(payload) > largestEvent {
				t.Fatalf("the event has %d bytes: it could be a file, or cannot be an event", len(payload))
			}
			out, err := invoke(payload)
			var reported *runtimeapi.FunctionError
			switch {
			case b.status == 0:
				if !errors.As(err, &reported) || !strings.Contains(string(reported.Payload), `"errorType":"EventError"`) {
					t.Fatalf("answer %.200s, error %v; want an EventError: %s", out, err, b.why)
				}
				out = reported.Payload
			case err != nil:
				t.Fatalf("%v: %s", err, b.why)
			default:
				var answer struct{ StatusCode int }
				if err := json.Unmarshal(out, &answer); err != nil {
					t.Fatal(err)
				}
				location := ""
				for name, values := range answerHeaders(t, out) {
					if name == "Location" {
						location = values[0]
					}
				}
				if answer.StatusCode != b.status || !strings.HasPrefix(location, b.location) || (location == "") != (b.location == "") {
					t.Errorf("status %d, location %.200q; want %d and %q: %s", answer.StatusCode, location, b.status, b.location, b.why)
				}
			}
			if len(out) > longestRefusal && !b.grows || len(out) > len(payload)+longestRefusal {
				t.Errorf("an event of %d bytes has an answer of %d", len(payload), len(out))
			}
			if out, err := invoke(string(ping.Payload)); err != nil || !strings.Contains(string(out), `"statusCode":200`) {
				t.Fatalf("the next request is answered by %.200s, error %v", out, err)
			}
		})
	}
	peak, ok := peakMemory(p.Pid())
	if !ok {
		t.Log("this machine does not tell how much memory a process has used")
		return
	}
	t.Logf("%d events, at most %d MB of memory", len(bombs()), peak>>20)
	if peak > memoryLimit {
		t.Errorf("the function has used %d MB, the limit is %d MB", peak>>20, memoryLimit>>20)
	}
}

// peakMemory is the most memory that a process has had, as Linux tells it.
func peakMemory(pid int) (bytes int, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	_, rest, ok := strings.Cut(string(status), "VmHWM:")
	if !ok {
		return 0, false
	}
	if _, err := fmt.Sscanf(rest, "%d kB", &bytes); err != nil {
		return 0, false
	}
	return bytes << 10, true
}
