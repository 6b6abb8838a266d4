package entrypoint

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
)

// recording returns result for every event and stores the last event in payload.
func recording(payload *[]byte, result string) Invoke {
	return func(_ context.Context, event []byte) ([]byte, error) {
		*payload = event
		return []byte(result), nil
	}
}

func request(target string, headers map[string]string) *http.Request {
	r := httptest.NewRequest("GET", target, nil)
	r.RemoteAddr = "127.0.0.1:5000"
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	return r
}

const albResult = `{"statusCode":307,"statusDescription":"307 Temporary Redirect","headers":{"Location":"https://a.example/"},"multiValueHeaders":{"Location":["https://a.example/"]},"body":""}`

func TestALBEvent(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		multi bool
	}{{"single-value", false}, {"multi-value", true}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var payload []byte
			w := httptest.NewRecorder()
			ALB(recording(&payload, albResult), tt.multi).ServeHTTP(w, request("/v2/x/blobs/sha256%3Aab?last=a%2Fb&n=1&n=2", map[string]string{
				"X-Forwarded-For": "203.0.113.1", ClientAddressHeader: "35.180.1.1", "Accept": "*/*",
			}))
			if w.Code != 307 || w.Header().Get("Location") != "https://a.example/" {
				t.Errorf("the client received %d, %v", w.Code, w.Header())
			}
			var e events.ALBTargetGroupRequest
			if err := json.Unmarshal(payload, &e); err != nil {
				t.Fatal(err)
			}
			if e.Path != "/v2/x/blobs/sha256%3Aab" || e.HTTPMethod != "GET" || e.RequestContext.ELB.TargetGroupArn == "" {
				t.Errorf("event %s", payload)
			}
			forwarded, last, n := e.Headers["x-forwarded-for"], e.QueryStringParameters["last"], e.QueryStringParameters["n"]
			other := len(e.MultiValueHeaders) + len(e.MultiValueQueryStringParameters)
			if tt.multi {
				forwarded, last = e.MultiValueHeaders["x-forwarded-for"][0], e.MultiValueQueryStringParameters["last"][0]
				n = e.MultiValueQueryStringParameters["n"][1]
				other = len(e.Headers) + len(e.QueryStringParameters)
			}
			if forwarded != "203.0.113.1, 35.180.1.1" || last != "a%2Fb" || n != "2" || other != 0 {
				t.Errorf("event %s", payload)
			}
		})
	}
}

func TestALBBadGateway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, result string }{
		{"null-headers", `{"statusCode":200,"statusDescription":"200 OK","headers":null,"body":""}`},
		{"null-body", `{"statusCode":200,"statusDescription":"200 OK","headers":{},"body":null}`},
		{"no-description", `{"statusCode":200,"headers":{},"body":""}`},
		{"multi-for-single", `{"statusCode":200,"statusDescription":"200 OK","multiValueHeaders":{},"body":""}`},
		{"no-status", `{"headers":{},"body":""}`},
		{"not-json", `ok`},
		{"status-out-of-range", `{"statusCode":3070,"statusDescription":"x","headers":{},"body":""}`},
		{"function-error", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := httptest.NewRecorder()
			ALB(func(context.Context, []byte) ([]byte, error) {
				if tt.result == "" {
					return []byte(albResult), errors.New("broken")
				}
				return []byte(tt.result), nil
			}, false).ServeHTTP(w, request("/v2/", nil))
			if w.Code != 502 {
				t.Errorf("the client received %d, want 502", w.Code)
			}
		})
	}
}

// TestBody tests which body and length a client receives.
func TestBody(t *testing.T) {
	t.Parallel()
	entryPoints := map[string]func(Invoke) http.Handler{
		"alb":        func(f Invoke) http.Handler { return ALB(f, false) },
		"cloudfront": func(f Invoke) http.Handler { return CloudFront(f, nil) },
	}
	for _, tt := range []struct {
		entryPoint, method, members string
		status                      int
		body, length                string
	}{
		{"alb", "GET", `"headers":{},"body":"a"`, 200, "a", "1"},
		{"alb", "GET", `"headers":{},"body":"AP8=","isBase64Encoded":true`, 200, "\x00\xff", "2"},
		{"alb", "GET", `"headers":{},"body":"?","isBase64Encoded":true`, 502, "", ""},
		{"alb", "HEAD", `"headers":{"Content-Length":"7"},"body":""`, 200, "", "0"},
		{"cloudfront", "GET", `"headers":{},"body":"AP8=","isBase64Encoded":true`, 200, "\x00\xff", "2"},
		{"alb", "HEAD", `"headers":{"Content-Length":"1"},"body":"a"`, 200, "", "1"},
		{"cloudfront", "HEAD", `"headers":{"Content-Length":"7"},"body":""`, 200, "", "0"},
	} {
		server := httptest.NewServer(entryPoints[tt.entryPoint](func(context.Context, []byte) ([]byte, error) {
			return []byte(`{"statusCode":200,"statusDescription":"200 OK",` + tt.members + `}`), nil
		}))
		r, err := http.NewRequestWithContext(t.Context(), tt.method, server.URL+"/v2/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		server.Close()
		if length := resp.Header.Get("Content-Length"); err != nil || resp.StatusCode != tt.status || tt.status == 200 && (string(body) != tt.body || length != tt.length) {
			t.Errorf("%s: %s: %s: the client received %d %q, Content-Length %q, %v; want %d %q, %q", tt.entryPoint, tt.method, tt.members,
				resp.StatusCode, body, length, err, tt.status, tt.body, tt.length)
		}
	}
}

func TestCloudFrontEvent(t *testing.T) {
	t.Parallel()
	var payload []byte
	distribution := CloudFront(recording(&payload, `{"statusCode":200,"headers":{"X-Redirect-Reason":"ping"},"body":"{}"}`), nil)
	w := httptest.NewRecorder()
	distribution.ServeHTTP(w, request("/v2/x/blobs/sha256%3Aab?n=1", map[string]string{
		"Authorization":             "Bearer a",
		"X-Forwarded-For":           "203.0.113.1",
		"CloudFront-Viewer-Address": "203.0.113.1:1",
		"X-Viewer-Host":             "attacker.example",
		ClientAddressHeader:         "2001:db8::1",
	}))
	if w.Code != 200 || w.Body.String() != "{}" || w.Header().Get("X-Redirect-Reason") != "ping" {
		t.Errorf("the client received %d %q, %v", w.Code, w.Body, w.Header())
	}
	var e events.LambdaFunctionURLRequest
	if err := json.Unmarshal(payload, &e); err != nil {
		t.Fatal(err)
	}
	if e.RawPath != "/v2/x/blobs/sha256:ab" || e.RequestContext.HTTP.Path != "/v2/x/blobs/sha256:ab" || e.RawQueryString != "n=1" {
		t.Errorf("event %s", payload)
	}
	for name, want := range map[string]string{
		"cloudfront-viewer-address":  "2001:db8::1:5000", // not the client's own header
		"x-forwarded-for":            "2001:db8::1",
		"x-viewer-authorized":        "1",
		"x-viewer-host":              "example.com", // the host of the request
		"cloudfront-viewer-latitude": "48.85660",
		"x-simulated-client-address": "",
	} {
		if e.Headers[name] != want {
			t.Errorf("%s is %q, want %q", name, e.Headers[name], want)
		}
	}
	if got := e.Headers["authorization"]; len(got) < 16 || got[:16] != "AWS4-HMAC-SHA256" {
		t.Errorf("authorization is %q, want the distribution's own signature", got)
	}

	distribution.ServeHTTP(httptest.NewRecorder(), request("/v2/", map[string]string{ClientAddressHeader: "35.180.1.1", "X-Viewer-Authorized": "1"}))
	var aws events.LambdaFunctionURLRequest
	if err := json.Unmarshal(payload, &aws); err != nil {
		t.Fatal(err)
	}
	if got, ok := aws.Headers["cloudfront-viewer-latitude"]; ok {
		t.Errorf("latitude %q for a client in AWS, want no header", got)
	}
	if got, ok := aws.Headers["x-viewer-authorized"]; ok {
		t.Errorf("the client's own X-Viewer-Authorized %q was forwarded", got)
	}
}

func TestCloudFrontMirror(t *testing.T) {
	t.Parallel()
	var got *http.Request
	bucket := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Write([]byte("blob"))
	}))
	defer bucket.Close()
	base, err := url.Parse(bucket.URL + "/mirror")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	CloudFront(nil, base).ServeHTTP(w, request("/containers/images/sha256%3a"+hex64, map[string]string{
		"Authorization": "Bearer a", "Range": "bytes=1-", ClientAddressHeader: "35.180.1.1",
	}))
	if w.Code != 200 || w.Body.String() != "blob" {
		t.Fatalf("the client received %d %q", w.Code, w.Body)
	}
	if got.RequestURI != "/mirror/containers/images/sha256:"+hex64 || got.Header.Get("Authorization") != "" ||
		got.Header.Get(ClientAddressHeader) != "" || got.Header.Get("Range") != "bytes=1-" {
		t.Errorf("the bucket received %s with %v", got.URL, got.Header)
	}
}

const hex64 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// TestCloudFrontPaths checks which paths the edge function lets pass: to the bucket,
// to the function or to neither.
func TestCloudFrontPaths(t *testing.T) {
	t.Parallel()
	bucket := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write([]byte("bucket " + r.RequestURI)) }))
	defer bucket.Close()
	base, err := url.Parse(bucket.URL)
	if err != nil {
		t.Fatal(err)
	}
	distribution := CloudFront(func(_ context.Context, event []byte) ([]byte, error) {
		var e events.LambdaFunctionURLRequest
		if err := json.Unmarshal(event, &e); err != nil {
			return nil, err
		}
		return json.Marshal(events.LambdaFunctionURLResponse{StatusCode: 200, Headers: map[string]string{}, Body: "function " + e.RawPath})
	}, base)
	const blob = "/containers/images/sha256:" + hex64
	for _, tt := range []struct{ name, path, want string }{
		{"blob", blob, "bucket " + blob},
		{"blob-encoded", "/containers/images/sha256%3A" + hex64, "bucket " + blob},
		{"blob-encoded-lower-case", "/containers/images/sha256%3a" + hex64, "bucket " + blob},
		{"blob-query", blob + "?x=%2f..//", "bucket " + blob + "?x=%2f..//"},
		{"blob-short", blob[:len(blob)-1], ""},
		{"blob-long", blob + "0", ""},
		{"blob-upper-case", "/containers/images/sha256:" + strings.ToUpper(hex64), ""},
		{"blob-sha512", "/containers/images/sha512:" + hex64 + hex64, ""},
		{"blob-below", blob + "/", ""},
		{"blob-letter-encoded", "/%63ontainers/images/sha256:" + hex64, ""},
		{"blob-digit-encoded", "/containers/images/sha256:%65" + hex64[1:], ""},
		{"blob-slash-encoded", "/containers%2Fimages/sha256:" + hex64, ""},
		{"blob-two-slashes", "/containers/images//sha256:" + hex64, ""},
		{"blob-dots", "/v2/../containers/images/sha256:" + hex64, ""},
		{"index", "/containers/images/index.v2", ""},
		{"folder", "/containers/images/", ""},
		{"folder-no-slash", "/containers/images", "function /containers/images"},
		{"manifest", "/v2/pause/manifests/3.9", "function /v2/pause/manifests/3.9"},
		{"manifest-encoded", "/v2/pause/manifests/sha256%3Aab", "function /v2/pause/manifests/sha256:ab"},
		{"query", "/v2/pause/tags/list?last=a%2F//../b", "function /v2/pause/tags/list"},
		{"root", "/", "function /"},
		{"two-slashes", "/v2//pause/manifests/3.9", ""},
		{"slashes-first", "//v2/", ""},
		{"dot", "/v2/./pause/manifests/3.9", ""},
		{"dot-last", "/v2/.", ""},
		{"dots", "/v2/../v2/", ""},
		{"dots-last", "/v2/..", ""},
		{"dots-in-name", "/v2/..a/b../manifests/3.9", "function /v2/..a/b../manifests/3.9"},
		{"dots-encoded", "/v2/%2e%2e/v2/", ""},
		{"backslash", `/v2\pause`, ""},
		{"backslash-encoded", "/v2/%5C", ""},
		{"escape-twice", "/v2/pause/manifests/sha256%253Aab", ""},
		{"malformed-escape", "/v2/%", ""},
		{"not-ascii", "/v2/\u00e9", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := request("/", nil)
			r.RequestURI = tt.path
			r.URL.Path, r.URL.RawQuery, _ = strings.Cut(tt.path, "?")
			w := httptest.NewRecorder()
			distribution.ServeHTTP(w, r)
			switch {
			case tt.want != "" && (w.Code != 200 || w.Body.String() != tt.want):
				t.Errorf("the client received %d %q, want %q", w.Code, w.Body, tt.want)
			case tt.want == "" && (w.Code != 404 || w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(w.Body.String(), `"UNSUPPORTED"`)):
				t.Errorf("the client received %d %v %q, want 404 from the edge function", w.Code, w.Header(), w.Body)
			}
		})
	}
}

func TestCloudFrontMethods(t *testing.T) {
	t.Parallel()
	invoked := 0
	distribution := CloudFront(func(context.Context, []byte) ([]byte, error) {
		invoked++
		return []byte(`{"statusCode":200,"headers":{},"body":""}`), nil
	}, nil)
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		for _, path := range []string{"/v2/pause/blobs/uploads/", "/containers/images/sha256:" + hex64, "//"} {
			r := request("/", nil)
			r.Method, r.RequestURI, r.URL.Path = method, path, path
			w := httptest.NewRecorder()
			distribution.ServeHTTP(w, r)
			if w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD" || !strings.Contains(w.Body.String(), method) {
				t.Errorf("%s %s: the client received %d %v %q", method, path, w.Code, w.Header(), w.Body)
			}
		}
	}
	if invoked > 0 {
		t.Errorf("the function was invoked %d times, want none", invoked)
	}
	for _, method := range []string{"GET", "HEAD"} {
		r := request("/v2/", nil)
		r.Method = method
		w := httptest.NewRecorder()
		if distribution.ServeHTTP(w, r); w.Code != 200 {
			t.Errorf("%s: the client received %d", method, w.Code)
		}
	}
}
