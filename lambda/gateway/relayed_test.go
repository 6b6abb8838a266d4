package gateway

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"archeio/lambda/redirect"
)

// TestRelayed tests that a body arrives unchanged through every entry point, in the
// shorter of two encodings, or that the client is told why not.
func TestRelayed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body string
		base64     bool
	}{
		{"text", `{"schemaVersion":2}`, false},
		{"empty", "", false},
		{"mostly-quotes", strings.Repeat(`"`, 100), true},
		{"not-utf-8", "a\xff", true},
		{"control-bytes", strings.Repeat("\x01", 100), true},
		{"large", strings.Repeat("a", 999_000), false},
		{"too-large-for-some", strings.Repeat("a", 1_000_000), false},
		{"largest", strings.Repeat("\xff", 4<<20), true},
	} {
		for _, shape := range []Shape{ALB, ALBMulti, Proxy, ProxyMulti, EdgeRequest} {
			r := redirect.Response{Status: 200, ContentType: "a/b", Reason: "manifest", Body: tt.body, Relayed: &redirect.Relayed{
				Digest: "sha256:x", ETag: `"1"`, Link: "</v2/a/tags/list>", Length: "7",
			}}
			var got struct {
				StatusCode        int
				Status            string
				Headers           map[string]any
				MultiValueHeaders map[string][]string
				Body              *string
				IsBase64Encoded   bool
				BodyEncoding      string
			}
			out := shape.Encode(&r)
			if err := json.Unmarshal(out, &got); err != nil || got.Body == nil {
				t.Fatalf("%s, shape %d: %v", tt.name, shape, err)
			}
			const lambdaLimit = 6*1024*1024 - 100_000
			if len(out) > lambdaLimit {
				t.Errorf("%s, shape %d: %d bytes", tt.name, shape, len(out))
			}
			if shape != Proxy && shape != ProxyMulti && len(tt.body) > maxResponse-1000 {
				if len(out) > maxResponse || got.StatusCode != 502 && got.Status != "502" || !strings.Contains(*got.Body, "1 MB") {
					t.Errorf("%s, shape %d: %.300s", tt.name, shape, out)
				}
				continue
			}
			body := *got.Body
			encoded := got.IsBase64Encoded || got.BodyEncoding == "base64"
			if encoded {
				plain, err := base64.StdEncoding.DecodeString(body)
				if err != nil {
					t.Fatal(err)
				}
				body = string(plain)
			}
			if body != tt.body || encoded != tt.base64 {
				t.Errorf("%s, shape %d: base64 %v, %d bytes", tt.name, shape, encoded, len(body))
			}
			for name, sent := range map[string]bool{`ocker-`: true, "ink\"": true, "ontent-": true, "o-such": false} {
				if strings.Contains(string(out[:min(len(out), 2000)]), name) != sent {
					t.Errorf("%s, shape %d: header %s: %v, want %v in %.300s", tt.name, shape, name, !sent, sent, out)
				}
			}
		}
	}
}
