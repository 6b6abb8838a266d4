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

// captured answers every event with the same text and keeps the last one.
func captured(event *[]byte, answer string) Invoke {
	return func(_ context.Context, payload []byte) ([]byte, error) {
		*event = payload
		return []byte(answer), nil
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

const albAnswer = `{"statusCode":307,"statusDescription":"307 Temporary Redirect","headers":{"Location":"https://a.example/"},"multiValueHeaders":{"Location":["https://a.example/"]},"body":""}`

func TestALBEvent(t *testing.T) {
	for _, multi := range []bool{false, true} {
		var payload []byte
		w := httptest.NewRecorder()
		ALB(captured(&payload, albAnswer), multi).ServeHTTP(w, request("/v2/x/blobs/sha256%3Aab?last=a%2Fb&n=1&n=2", map[string]string{
			"X-Forwarded-For": "203.0.113.1", "X-Simulated-Client-Address": "35.180.1.1", "Accept": "*/*",
		}))
		if w.Code != 307 || w.Header().Get("Location") != "https://a.example/" {
			t.Errorf("multi %v: the client got %d, %v", multi, w.Code, w.Header())
		}
		var e events.ALBTargetGroupRequest
		if err := json.Unmarshal(payload, &e); err != nil {
			t.Fatal(err)
		}
		if e.Path != "/v2/x/blobs/sha256%3Aab" || e.HTTPMethod != "GET" || e.RequestContext.ELB.TargetGroupArn == "" {
			t.Errorf("multi %v: event %s", multi, payload)
		}
		forwarded, last, n := e.Headers["x-forwarded-for"], e.QueryStringParameters["last"], e.QueryStringParameters["n"]
		other := len(e.MultiValueHeaders) + len(e.MultiValueQueryStringParameters)
		if multi {
			forwarded, last = e.MultiValueHeaders["x-forwarded-for"][0], e.MultiValueQueryStringParameters["last"][0]
			n = e.MultiValueQueryStringParameters["n"][1]
			other = len(e.Headers) + len(e.QueryStringParameters)
		}
		if forwarded != "203.0.113.1, 35.180.1.1" || last != "a%2Fb" || n != "2" || other != 0 {
			t.Errorf("multi %v: event %s", multi, payload)
		}
	}
}

func TestALBRefusesAnswers(t *testing.T) {
	for name, answer := range map[string]string{
		"null-headers":      `{"statusCode":200,"statusDescription":"200 OK","headers":null,"body":""}`,
		"null-body":         `{"statusCode":200,"statusDescription":"200 OK","headers":{},"body":null}`,
		"no-description":    `{"statusCode":200,"headers":{},"body":""}`,
		"multi-for-single":  `{"statusCode":200,"statusDescription":"200 OK","multiValueHeaders":{},"body":""}`,
		"no-status":         `{"headers":{},"body":""}`,
		"not-json":          `ok`,
		"status-out-of-all": `{"statusCode":3070,"statusDescription":"x","headers":{},"body":""}`,
	} {
		t.Run(name, func(t *testing.T) {
			var payload []byte
			w := httptest.NewRecorder()
			ALB(captured(&payload, answer), false).ServeHTTP(w, request("/v2/", nil))
			if w.Code != 502 {
				t.Errorf("the client got %d, want 502", w.Code)
			}
		})
	}
	t.Run("function-error", func(t *testing.T) {
		w := httptest.NewRecorder()
		ALB(func(context.Context, []byte) ([]byte, error) { return nil, errors.New("broken") }, false).ServeHTTP(w, request("/v2/", nil))
		if w.Code != 502 {
			t.Errorf("the client got %d, want 502", w.Code)
		}
	})
}

func TestCloudFrontEvent(t *testing.T) {
	var payload []byte
	front := CloudFront(captured(&payload, `{"statusCode":200,"headers":{"X-Redirect-Reason":"ping"},"body":"{}"}`), nil)
	w := httptest.NewRecorder()
	front.ServeHTTP(w, request("/v2/x/blobs/sha256%3Aab?n=1", map[string]string{
		"Authorization":              "Bearer a",
		"X-Forwarded-For":            "203.0.113.1",
		"CloudFront-Viewer-Address":  "203.0.113.1:1",
		"X-Simulated-Client-Address": "2001:db8::1",
	}))
	if w.Code != 200 || w.Body.String() != "{}" || w.Header().Get("X-Redirect-Reason") != "ping" {
		t.Errorf("the client got %d %q, %v", w.Code, w.Body, w.Header())
	}
	var e events.LambdaFunctionURLRequest
	if err := json.Unmarshal(payload, &e); err != nil {
		t.Fatal(err)
	}
	if e.RawPath != "/v2/x/blobs/sha256%3Aab" || e.RequestContext.HTTP.Path != "/v2/x/blobs/sha256:ab" || e.RawQueryString != "n=1" {
		t.Errorf("event %s", payload)
	}
	for name, want := range map[string]string{
		"cloudfront-viewer-address":  "2001:db8::1:5000", // not what the client says
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
		t.Errorf("authorization is %q, it must be the distribution's own", got)
	}

	front.ServeHTTP(httptest.NewRecorder(), request("/v2/", map[string]string{"X-Simulated-Client-Address": "35.180.1.1", "X-Viewer-Authorized": "1"}))
	var plain events.LambdaFunctionURLRequest
	if err := json.Unmarshal(payload, &plain); err != nil {
		t.Fatal(err)
	}
	if _, ok := plain.Headers["cloudfront-viewer-latitude"]; ok {
		t.Error("CloudFront tells no position for clients in AWS")
	}
	if got, ok := plain.Headers["x-viewer-authorized"]; ok {
		t.Errorf("the client's own X-Viewer-Authorized %q got through", got)
	}
}

func TestCloudFrontMirror(t *testing.T) {
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
	CloudFront(nil, base).ServeHTTP(w, request("/containers/images/sha256:ab", map[string]string{"Authorization": "Bearer a", "Range": "bytes=1-"}))
	if w.Code != 200 || w.Body.String() != "blob" {
		t.Fatalf("the client got %d %q", w.Code, w.Body)
	}
	if got.URL.Path != "/mirror/containers/images/sha256:ab" || got.Header.Get("Authorization") != "" || got.Header.Get("Range") != "bytes=1-" {
		t.Errorf("the bucket was asked %s with %v", got.URL, got.Header)
	}
}
