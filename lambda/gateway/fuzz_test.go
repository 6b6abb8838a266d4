package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"archeio/lambda/redirect"
)

// FuzzDecode checks that Decode returns a request or an *EventError, and the same
// as the oracles where they have a result.
func FuzzDecode(f *testing.F) {
	files, _ := filepath.Glob("../../events/*/*.json")
	for _, name := range files {
		if data, err := os.ReadFile(name); err == nil && !strings.HasSuffix(name, ".want.json") {
			f.Add(data, "cloudfront-viewer-address")
			f.Add(data, "")
		}
	}
	// Names with escapes, several values, nulls, duplicate names.
	f.Add([]byte(`{"requestContext":{"elb":{}},"httpMethod":"GET","pat\u0068":"\/v2\/","multiValueHeaders":{"x-forwarded-for":["1.2.3.4","5.6.7.8"]},"headers":null}`), "")
	f.Add([]byte(`{"requestContext":{"http":{"method":"HEAD","sourceIp":"::1"}},"rawPath":"/v2/%41","headers":{"X-Real-IP":"1.1.1.1,1.1.1.1"}}`), "x-real-ip")
	f.Add([]byte(`{"requestContext":{},"httpMethod":"GET","path":"/","multiValueHeaders":{"x-real-ip":["1.1.1.1","2.2.2.2"]},"queryStringParameters":{"a b":"ü"}}`), "x-real-ip")
	f.Add([]byte(`{"requestContext":{"http":{},"domainName":"a.lambda-url.b","stage":"s"},"rawPath":"/s/v2/%41","headers":{"x-viewer-host":"c.example"}}`), "")
	f.Add([]byte(`{"requestContext":{"http":{},"domainName":"a.example","stage":"s"},"rawPath":"/s/v2/%41","headers":{"x-viewer-host":"c.example"}}`), "")
	f.Add([]byte(`{"a":1}{"b":2}`), "")
	f.Add([]byte(`{"headers":{"authorization":"x","Authorization":"y"}}`), "")
	f.Fuzz(func(t *testing.T, payload []byte, addressHeader string) {
		switch addressHeader {
		case "", "cloudfront-viewer-address", "x-real-ip", "x-forwarded-for":
		default:
			addressHeader = ""
		}
		d := Decoder{ClientAddressHeader: addressHeader}
		got, shape, err := d.Decode(payload)
		var eventErr *EventError
		if err != nil && !errors.As(err, &eventErr) {
			t.Fatalf("error %v, want an *EventError", err)
		}
		want, wantShape, wantErr := decodePlainly(payload, addressHeader)
		if wantErr == errOracle {
			return
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("error %v, want %v", err, wantErr)
		}
		if err != nil {
			return
		}
		// Position and country have tests of their own.
		got.Viewer, got.Positioned, got.Country = want.Viewer, false, ""
		if got != want || shape != wantShape {
			t.Fatalf("decoded %+v in shape %d, want %+v in shape %d", got, shape, want, wantShape)
		}
		want, wantShape, wantErr = decodeTyped(payload, shape, addressHeader)
		if wantErr == nil && (got != want || shape != wantShape) {
			t.Fatalf("decoded %+v in shape %d, want %+v in shape %d as with the types of aws-lambda-go", got, shape, want, wantShape)
		}
	})
}

// FuzzEncode checks that every response is JSON in the format of its entry point,
// with the given values and without null.
func FuzzEncode(f *testing.F) {
	f.Add(uint8(0), 307, "https://example.com/", "private, no-store", "")
	f.Add(uint8(4), 400, "", "public, max-age=60", `{"errors":[]}`)
	f.Add(uint8(1), 200, "\"\\\x00\u2028<>&", "", "é\x7f")
	f.Fuzz(func(t *testing.T, s uint8, status int, location, cache, body string) {
		shape := Shape(s % 5)
		status = 100 + (status%500+500)%500
		for _, v := range []*string{&location, &cache, &body} {
			*v = strings.ToValidUTF8(*v, "")
		}
		out := shape.Encode(&redirect.Response{Status: status, Location: location, CacheControl: cache, Reason: "manifest", Body: body})
		fields := map[string]string{"Location": location, "Cache-Control": cache, "X-Redirect-Reason": "manifest"}
		for name, v := range fields {
			if v == "" {
				delete(fields, name)
			}
		}
		var any map[string]any
		if err := json.Unmarshal(out, &any); err != nil {
			t.Fatalf("%s: %v", out, err)
		}
		for name, v := range any {
			if v == nil {
				t.Fatalf("%s is null in %s", name, out)
			}
		}
		headers := map[string]string{}
		gotStatus, gotBody := 0, ""
		switch shape {
		case EdgeRequest:
			var r struct {
				Status  string
				Headers map[string][]struct{ Key, Value string }
				Body    string
			}
			if err := json.Unmarshal(out, &r); err != nil {
				t.Fatal(err)
			}
			for name, v := range r.Headers {
				if len(v) != 1 || strings.ToLower(v[0].Key) != name {
					t.Fatalf("header %s has another key, or not one value, in %s", name, out)
				}
				headers[v[0].Key] = v[0].Value
			}
			gotStatus, gotBody = number(r.Status), r.Body
		default:
			var r events.ALBTargetGroupResponse
			if err := json.Unmarshal(out, &r); err != nil {
				t.Fatal(err)
			}
			if multi := shape == ALBMulti || shape == ProxyMulti; multi != (r.MultiValueHeaders != nil) || multi == (r.Headers != nil) {
				t.Fatalf("headers and multiValueHeaders are mixed up in %s", out)
			}
			for name, v := range r.MultiValueHeaders {
				headers[name] = strings.Join(v, "|")
			}
			for name, v := range r.Headers {
				headers[name] = v
			}
			if alb := shape == ALB || shape == ALBMulti; alb && number(strings.Fields(r.StatusDescription)[0]) != status {
				t.Fatalf("statusDescription %q, want status %d", r.StatusDescription, status)
			}
			gotStatus, gotBody = r.StatusCode, r.Body
		}
		if gotStatus != status || gotBody != body || len(headers) != len(fields) {
			t.Fatalf("got %s, want status %d, body %q and headers %v", out, status, body, fields)
		}
		for name, v := range fields {
			if headers[name] != v {
				t.Fatalf("header %s is %q, want %q", name, headers[name], v)
			}
		}
	})
}

func number(s string) int {
	n := 0
	for _, c := range s {
		n = n*10 + int(c-'0')
	}
	return n
}

// FuzzInvoke checks that Invoke returns valid JSON or an *EventError of one line.
func FuzzInvoke(f *testing.F) {
	f.Add([]byte(`{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/"}`))
	f.Add([]byte(`[]`))
	g := New("", func(_ context.Context, r redirect.Request) redirect.Response {
		return redirect.Response{Status: 307, Location: "https://example.com/" + r.Path, Reason: r.Query, Body: r.Method}
	}, nil)
	f.Fuzz(func(t *testing.T, payload []byte) {
		out, err := g.Invoke(t.Context(), payload)
		var eventErr *EventError
		switch {
		case err == nil && !json.Valid(out):
			t.Fatalf("response %q is not JSON", out)
		case err != nil && !errors.As(err, &eventErr):
			t.Fatalf("error %v, want an *EventError", err)
		case err != nil && strings.Contains(err.Error(), "\n"):
			t.Fatalf("error %q, want one line", err)
		}
	})
}
