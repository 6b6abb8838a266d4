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
	// maxPayload is the limit of Lambda for a synchronous invocation, in bytes. A
	// load balancer sends at most 1 MB.
	// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
	maxPayload = 6 << 20
	// timeLimit is the time-out of the deployed function.
	timeLimit = 5 * time.Second
	// memoryLimit is half of the memory of the smallest deployment, in bytes.
	memoryLimit = 128 << 20
	// maxError is more than any error response needs: input is truncated.
	maxError     = 2 << 10
	sampleDigest = "sha256:64cc8b30b2d16d7e683b1ad4c9f41617e20bedcc4fc0b46411e6e797437a0087"
)

// oversizedEvent is an event that is too large for a sample file.
type oversizedEvent struct {
	name, why string
	event     func() string
	// status is the status of the response; 0 is an EventError.
	status int
	// location is a prefix of the Location.
	location string
	// grows reports whether the response contains the query, and may be as long.
	grows bool
}

// albEvent returns an event of a load balancer, with the given members first.
func albEvent(members, path string) func() string {
	return func() string {
		return `{"requestContext":{"elb":{}},"httpMethod":"GET",` + members + `"path":` + strconv.Quote(path) + `}`
	}
}

// urlEvent returns an event of a function URL.
func urlEvent(headers, path, query string) func() string {
	return func() string {
		return `{"version":"2.0","rawPath":` + strconv.Quote(path) + `,"rawQueryString":` + strconv.Quote(query) + `,"headers":{` + headers +
			`},"requestContext":{"http":{"method":"GET","sourceIp":"203.0.113.7"}}}`
	}
}

// many formats the numbers from 0 to n-1, separated by commas.
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

func oversizedEvents() []oversizedEvent {
	const mega = 1 << 20
	blob := "/v2/pause/blobs/" + sampleDigest
	nest := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	nestObjects := func(n int) string { return strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n) }
	return []oversizedEvent{
		// Long paths.
		{name: "path", why: "a path of 1 MB is truncated in the error", event: albEvent("", "/"+strings.Repeat("a", mega)), status: 404},
		{name: "path-segments", why: "half a million segments", event: albEvent("", "/v2/"+strings.Repeat("a/", mega/2)+"blobs/"+sampleDigest), status: 400},
		{name: "path-slashes", why: "a million slashes", event: albEvent("", strings.Repeat("/", mega)), status: 404},
		{name: "path-name", why: "a name of 1 MB is too long", event: albEvent("", "/v2/"+strings.Repeat("a", mega)+"/tags/list"), status: 400},
		{name: "path-tag", why: "a tag of 1 MB", event: albEvent("", "/v2/pause/manifests/"+strings.Repeat("a", mega)), status: 400},
		{name: "path-digest", why: "a digest of 1 MB", event: albEvent("", "/v2/pause/blobs/sha256:"+strings.Repeat("a", mega)), status: 400},
		{name: "path-algorithm", why: "an algorithm of 1 MB", event: albEvent("", "/v2/pause/blobs/"+strings.Repeat("a+", mega/2)+"a:b"), status: 400},
		{name: "path-escapes", why: "1 MB of escapes", event: albEvent("", "/v2/"+strings.Repeat("%25", mega/3)+"/tags/list"), status: 400},
		{name: "path-escape-last", why: "1 MB, and the last escape is invalid", event: albEvent("", "/v2/"+strings.Repeat("%41", mega/3)+"%4"), status: 400},
		{name: "path-traversal", why: "1 MB of dots", event: albEvent("", "/v2/"+strings.Repeat("../", mega/3)+"manifests/latest"), status: 400},
		{name: "path-bytes", why: "1 MB of invalid UTF-8", event: func() string {
			return `{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/` + strings.Repeat("\xff", mega) + `/tags/list"}`
		}, status: 400},
		{name: "path-largest", why: "the maximum payload", event: albEvent("", "/v2/"+strings.Repeat("a", maxPayload-200)+"/tags/list"), status: 400},
		{name: "method", why: "a method of 1 MB is truncated in the error", event: func() string {
			return `{"requestContext":{"elb":{}},"httpMethod":"` + strings.Repeat("G", mega) + `","path":"/"}`
		}, status: 405},

		// Many and long headers.
		{name: "headers", why: "10,000 headers that are not used", event: albEvent(`"headers":{`+many(10_000, `"x-%d":"v"`)+`},`, blob), status: 307, location: "https://d111111abcdef8.cloudfront.net/"},
		{name: "headers-multi", why: "the same as multi-value headers", event: albEvent(`"multiValueHeaders":{`+many(10_000, `"x-%d":["v","w"]`)+`},`, "/v2/"), status: 200},
		{name: "headers-forged", why: "10,000 values with an address; the last one is used", event: albEvent(`"multiValueHeaders":{"x-forwarded-for":[`+many(10_000, `"34.1.208.1, 10.0.0.%[1]d"`)+`,"35.180.1.1"]},`, blob), status: 307, location: "http://127.0.0.1:18580/eu-central-1/"},
		{name: "headers-forged-list", why: "10,000 addresses in one value; the last one is used", event: albEvent(`"headers":{"x-forwarded-for":"`+strings.Repeat("34.1.208.1, ", 10_000)+`35.180.1.1"},`, blob), status: 307, location: "http://127.0.0.1:18580/eu-central-1/"},
		{name: "headers-twice", why: "10,000 different values of the same name are no address", event: albEvent(`"headers":{`+many(10_000, `"x-forwarded-for":"35.180.1.%d"`)+`},`, blob), status: 307, location: "https://d111111abcdef8.cloudfront.net/"},
		{name: "headers-viewer-address", why: "10,000 times the same address in the configured header is that address", event: urlEvent(`"cloudfront-viewer-address":"`+strings.Repeat("35.180.1.1:443,", 10_000)+`35.180.1.1:443"`, blob, ""), status: 307, location: "http://127.0.0.1:18580/eu-central-1/"},
		{name: "headers-position", why: "a position with a million digits is invalid", event: urlEvent(`"cloudfront-viewer-latitude":"`+strings.Repeat("9", mega)+`","cloudfront-viewer-longitude":"0.`+strings.Repeat("0", mega)+`1"`, blob, ""), status: 307, location: "https://d111111abcdef8.cloudfront.net/"},
		{name: "headers-authorization", why: "Authorization of 1 MB is Authorization", event: albEvent(`"headers":{"x-forwarded-for":"35.180.1.1","authorization":"`+strings.Repeat("a", mega)+`"},`, blob), status: 307, location: "https://d111111abcdef8.cloudfront.net/"},
		{name: "headers-name", why: "a header name of 1 MB in JSON escapes", event: albEvent(`"headers":{"`+strings.Repeat(`\u0061`, mega/6)+`":"v"},`, "/v2/"), status: 200},

		// Queries.
		{name: "query", why: "100,000 parameters are joined in order", event: albEvent(`"queryStringParameters":{`+many(100_000, `"p%d":"1"`)+`},`, "/v2/pause/tags/list"), status: 307, location: "https://us-docker.pkg.dev/v2/example-project/images/pause/tags/list?", grows: true},
		{name: "query-values", why: "100,000 values of one parameter", event: albEvent(`"multiValueHeaders":{},"multiValueQueryStringParameters":{"n":[`+many(100_000, `"%d"`)+`]},`, "/v2/pause/tags/list"), status: 307, location: "https://us-docker.pkg.dev/v2/example-project/images/pause/tags/list?n=0&n=1", grows: true},
		{name: "query-blob", why: "the query of a blob request is dropped", event: urlEvent("", blob, strings.Repeat("a=b&", mega/4)), status: 307, location: "https://d111111abcdef8.cloudfront.net/"},
		{name: "query-byte", why: "a query of 1 MB with a trailing space", event: urlEvent("", "/v2/pause/tags/list", strings.Repeat("a=b&", mega/4)+" "), status: 400},

		// JSON.
		{name: "json-depth", why: "a million nested arrays", event: albEvent(`"x":`+nest(mega)+`,`, "/v2/"), status: 0},
		{name: "json-depth-objects", why: "half a million nested objects", event: albEvent(`"x":`+nestObjects(mega/2)+`,`, "/v2/"), status: 0},
		{name: "json-depth-headers", why: "a header value that is not a string", event: albEvent(`"headers":{"authorization":`+nest(9_000)+`},`, "/v2/"), status: 0},
		{name: "json-depth-query", why: "parameters that are not strings", event: albEvent(`"queryStringParameters":{"n":`+nestObjects(5_000)+`},`, "/v2/"), status: 0},
		{name: "json-depth-open", why: "a million arrays without an end", event: func() string { return strings.Repeat("[", mega) }, status: 0},
		{name: "json-depth-records", why: "nested Records", event: func() string { return strings.Repeat(`{"Records":[`, mega/12) }, status: 0},
		{name: "json-body", why: "a body of 6 MB is skipped", event: albEvent(`"body":"`+strings.Repeat("A", maxPayload-200)+`",`, "/v2/"), status: 200},
		{name: "json-members", why: "300,000 unknown members", event: albEvent(many(300_000, `"m%d":0`)+`,`, "/v2/"), status: 200},
		{name: "json-member-twice", why: "the same member 100,000 times; the last one is used", event: albEvent(strings.Repeat(`"path":"/v2/_catalog",`, 100_000), "/v2/"), status: 200},
		{name: "json-space", why: "6 MB of white space before the event", event: func() string { return strings.Repeat(" ", maxPayload-100) + albEvent("", "/v2/")() }, status: 200},
		{name: "json-number", why: "a number with a million digits", event: albEvent(`"x":1`+strings.Repeat("0", mega)+`,`, "/v2/"), status: 200},
		{name: "json-cut-off", why: "6 MB that end within a string", event: func() string { return `{"path":"` + strings.Repeat("a", maxPayload-100) }, status: 0},
		{name: "json-escapes", why: "a path of 1 MB in JSON escapes", event: func() string {
			return `{"requestContext":{"elb":{}},"httpMethod":"GET","path":"\u002fv2\u002f` + strings.Repeat(`\u0061`, mega/6) + `"}`
		}, status: 404},
	}
}

// TestOversizedEvents sends the events to one process of the built function. Each
// gets a short response within the time-out, the next request succeeds, and memory
// stays below the limit.
func TestOversizedEvents(t *testing.T) {
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
	events := oversizedEvents()
	for _, e := range events {
		t.Run(e.name, func(t *testing.T) {
			payload := e.event()
			if len(payload) < 9_000 || len(payload) > maxPayload {
				t.Fatalf("the event has %d bytes, want from 9000 to %d", len(payload), maxPayload)
			}
			out, err := invoke(payload)
			var reported *runtimeapi.FunctionError
			switch {
			case e.status == 0:
				if !errors.As(err, &reported) || !strings.Contains(string(reported.Payload), `"errorType":"EventError"`) {
					t.Fatalf("response %.200s, error %v; want an EventError: %s", out, err, e.why)
				}
				out = reported.Payload
			case err != nil:
				t.Fatalf("%v: %s", err, e.why)
			default:
				var response struct{ StatusCode int }
				if err := json.Unmarshal(out, &response); err != nil {
					t.Fatal(err)
				}
				location := ""
				for name, values := range responseHeaders(t, out) {
					if name == "Location" {
						location = values[0]
					}
				}
				if response.StatusCode != e.status || !strings.HasPrefix(location, e.location) || (location == "") != (e.location == "") {
					t.Errorf("status %d, location %.200q; want %d and %q: %s", response.StatusCode, location, e.status, e.location, e.why)
				}
			}
			if len(out) > maxError && !e.grows || len(out) > len(payload)+maxError {
				t.Errorf("the response to an event of %d bytes has %d bytes", len(payload), len(out))
			}
			if out, err := invoke(string(ping.Payload)); err != nil || !strings.Contains(string(out), `"statusCode":200`) {
				t.Fatalf("response %.200s, error %v to the next request; want status 200", out, err)
			}
		})
	}
	peak, ok := peakMemory(p.Pid())
	if !ok {
		t.Log("peak memory is available on Linux only")
		return
	}
	t.Logf("%d events, peak memory %d MB", len(events), peak>>20)
	if peak > memoryLimit {
		t.Errorf("peak memory %d MB, want at most %d MB", peak>>20, memoryLimit>>20)
	}
}

// peakMemory returns the peak resident memory of a process, as Linux reports it.
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
