package entrypoint

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
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

func TestCloudFrontEvent(t *testing.T) {
	t.Parallel()
	var payload []byte
	distribution := CloudFront(recording(&payload, `{"statusCode":200,"headers":{"X-Redirect-Reason":"ping"},"body":"{}"}`), nil)
	w := httptest.NewRecorder()
	distribution.ServeHTTP(w, request("/v2/x/blobs/sha256%3Aab?n=1", map[string]string{
		"Authorization":             "Bearer a",
		"X-Forwarded-For":           "203.0.113.1",
		"CloudFront-Viewer-Address": "203.0.113.1:1",
		ClientAddressHeader:         "2001:db8::1",
	}))
	if w.Code != 200 || w.Body.String() != "{}" || w.Header().Get("X-Redirect-Reason") != "ping" {
		t.Errorf("the client received %d %q, %v", w.Code, w.Body, w.Header())
	}
	var e events.LambdaFunctionURLRequest
	if err := json.Unmarshal(payload, &e); err != nil {
		t.Fatal(err)
	}
	if e.RawPath != "/v2/x/blobs/sha256%3Aab" || e.RequestContext.HTTP.Path != "/v2/x/blobs/sha256:ab" || e.RawQueryString != "n=1" {
		t.Errorf("event %s", payload)
	}
	for name, want := range map[string]string{
		"cloudfront-viewer-address":  "2001:db8::1:5000", // not the client's own header
		"x-forwarded-for":            "2001:db8::1",
		"x-viewer-authorized":        "1",
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
	CloudFront(nil, base).ServeHTTP(w, request("/containers/images/sha256:ab", map[string]string{
		"Authorization": "Bearer a", "Range": "bytes=1-", ClientAddressHeader: "35.180.1.1",
	}))
	if w.Code != 200 || w.Body.String() != "blob" {
		t.Fatalf("the client received %d %q", w.Code, w.Body)
	}
	if got.URL.Path != "/mirror/containers/images/sha256:ab" || got.Header.Get("Authorization") != "" ||
		got.Header.Get(ClientAddressHeader) != "" || got.Header.Get("Range") != "bytes=1-" {
		t.Errorf("the bucket received %s with %v", got.URL, got.Header)
	}
}
