package gateway

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"archeio/lambda/redirect"
	"archeio/ranges/regions"
)

const viewerHeader = "cloudfront-viewer-address"

func decode(t *testing.T, addressHeader, payload string) (redirect.Request, Shape) {
	t.Helper()
	d := Decoder{ClientAddressHeader: addressHeader}
	r, shape, err := d.Decode([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	return r, shape
}

func TestShapes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, payload string
		want          Shape
	}{
		{"alb", `{"requestContext":{"elb":{"targetGroupArn":"x"}},"httpMethod":"GET","path":"/v2/","headers":{}}`, ALB},
		{"alb-multi-value", `{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/","headers":null,"multiValueHeaders":{}}`, ALBMulti},
		{"alb-both", `{"requestContext":{"elb":{}},"httpMethod":"GET","path":"/v2/","headers":{},"multiValueHeaders":{}}`, ALBMulti},
		{"function-url", `{"version":"2.0","rawPath":"/v2/","requestContext":{"http":{"method":"GET"}}}`, Proxy},
		{"rest", `{"httpMethod":"GET","path":"/v2/","headers":{},"multiValueHeaders":null,"requestContext":{"identity":{}}}`, Proxy},
		{"rest-multi-value", `{"httpMethod":"GET","path":"/v2/","multiValueHeaders":{},"requestContext":{"identity":{}}}`, ProxyMulti},
		{"edge", `{"Records":[{"cf":{"config":{"eventType":"viewer-request"},"request":{"uri":"/v2/","method":"GET"}}}]}`, EdgeRequest},
		{"edge-first-record", `{"Records":[{"cf":{"config":{"eventType":"viewer-request"},"request":{"uri":"/v2/","method":"GET"}}},{"cf":{"config":{"eventType":"x"},"request":{"uri":"/x","method":"PUT"}}}]}`, EdgeRequest},
		{"members-in-any-order", `{"headers":{},"path":"/v2/","httpMethod":"GET","requestContext":{"elb":{}}}`, ALB},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, shape := decode(t, "", tt.payload)
			if shape != tt.want || r.Path != "/v2/" || r.Method != "GET" {
				t.Errorf("shape %d, request %+v, want shape %d", shape, r, tt.want)
			}
		})
	}
}

func TestEventErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, payload, got string }{
		{"empty", "", "an empty payload"},
		{"spaces", " \n", "an empty payload"},
		{"null", "null", "got null:"},
		{"null-and-more", "nullx", "got null:"},
		{"array", "[]", "a JSON array"},
		{"number", "5", "not an object"},
		{"text", "hello", "data that is not JSON"},
		{"truncated", `{"a":`, "invalid JSON"},
		{"two-values", `{}{}`, "more than one"},
		{"other-object", `{"hello":"world"}`, "a JSON object of another kind"},
		{"sqs", `{"Records":[{"eventSource":"aws:sqs","body":"secret"}]}`, "Records of another service"},
		{"edge-response", `{"Records":[{"cf":{"config":{"eventType":"viewer-response"},"request":{}}}]}`, "an unsupported type"},
		{"no-request-context", `{"httpMethod":"GET","path":"/v2/"}`, "a JSON object of another kind"},
		{"path-is-a-number", `{"requestContext":{"elb":{}},"path":5}`, "the wrong type"},
		{"query-is-a-number", `{"requestContext":{"elb":{}},"path":"/","queryStringParameters":{"n":5}}`, "not strings"},
		{"headers-is-a-list", `{"requestContext":{"elb":{}},"headers":[]}`, "the wrong type"},
		{"deep", strings.Repeat(`{"a":`, 20000), "invalid JSON"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := Decoder{}
			_, _, err := d.Decode([]byte(tt.payload))
			var eventErr *EventError
			if !errors.As(err, &eventErr) {
				t.Fatalf("error %v, want an *EventError", err)
			}
			for _, want := range []string{"got ", tt.got, "requestContext.elb", "requestContext.http", "REST API", "Records[0].cf"} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q, want %q in it", err, want)
				}
			}
			for _, input := range []string{"secret", "hello"} {
				if strings.Contains(err.Error(), input) {
					t.Errorf("error %q contains input of the payload", err)
				}
			}
		})
	}
}

func TestPathIsDecodedOnce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, payload, path string
		malformed           bool
	}{
		{"alb", `{"requestContext":{"elb":{}},"path":"/a%3Ab%253A"}`, "/a:b%3A", false},
		{"function-url", `{"requestContext":{"http":{},"domainName":"x.lambda-url.us-east-1.on.aws"},"rawPath":"/a%3ab"}`, "/a:b", false},
		{"function-url-without-domain", `{"requestContext":{"http":{}},"rawPath":"/a%3ab"}`, "/a:b", false},
		{"http-api", `{"requestContext":{"http":{},"domainName":"x.execute-api.us-east-1.amazonaws.com"},"rawPath":"/a%3Ab"}`, "/a%3Ab", false},
		{"rest", `{"requestContext":{},"httpMethod":"GET","path":"/a%3Ab"}`, "/a:b", false},
		{"edge", `{"Records":[{"cf":{"config":{"eventType":"origin-request"},"request":{"uri":"/a%3Ab"}}}]}`, "/a:b", false},
		{"plus-unchanged", `{"requestContext":{"elb":{}},"path":"/a+b"}`, "/a+b", false},
		{"truncated-escape", `{"requestContext":{"elb":{}},"path":"/a%3"}`, "", true},
		{"bare-percent", `{"requestContext":{"elb":{}},"path":"/a%"}`, "", true},
		{"not-hexadecimal", `{"requestContext":{"elb":{}},"path":"/a%zz"}`, "", true},
		{"nul", `{"requestContext":{"elb":{}},"path":"/a%00"}`, "/a\x00", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := decode(t, "", tt.payload)
			if r.Path != tt.path || r.Malformed != tt.malformed {
				t.Errorf("path %q, malformed %v, want %q, %v", r.Path, r.Malformed, tt.path, tt.malformed)
			}
		})
	}
}

func TestQuery(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, payload, want string }{
		{"alb-still-encoded", `{"requestContext":{"elb":{}},"queryStringParameters":{"n":"2","last":"a%2Fb+c"}}`, "last=a%2Fb+c&n=2"},
		{"alb-multi-value", `{"requestContext":{"elb":{}},"multiValueHeaders":{},"multiValueQueryStringParameters":{"n":["2"],"a":["y","x"]},"queryStringParameters":{"z":"1"}}`, "a=y&a=x&n=2"},
		{"alb-none", `{"requestContext":{"elb":{}},"queryStringParameters":{}}`, ""},
		{"alb-null", `{"requestContext":{"elb":{}},"queryStringParameters":null}`, ""},
		{"function-url", `{"requestContext":{"http":{}},"rawQueryString":"last=a%2Fb&n=2"}`, "last=a%2Fb&n=2"},
		{"rest-is-encoded-again", `{"requestContext":{},"httpMethod":"GET","path":"/","multiValueQueryStringParameters":{"last":["a/b c","~é"]},"queryStringParameters":{"last":"~é"}}`, "last=a%2Fb%20c&last=~%C3%A9"},
		{"rest-single-value", `{"requestContext":{},"httpMethod":"GET","path":"/","queryStringParameters":{"n":"1&2"}}`, "n=1%262"},
		{"edge", `{"Records":[{"cf":{"config":{"eventType":"origin-request"},"request":{"querystring":"n=2"}}}]}`, "n=2"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r, _ := decode(t, "", tt.payload); r.Query != tt.want {
				t.Errorf("query %q, want %q", r.Query, tt.want)
			}
		})
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	const url = `{"requestContext":{"http":{"method":"GET","sourceIp":"9.9.9.9"}},"headers":`
	for _, tt := range []struct{ name, header, payload, want string }{
		{"alb-rightmost", "", `{"requestContext":{"elb":{}},"headers":{"x-forwarded-for":"1.1.1.1, 2.2.2.2"}}`, "2.2.2.2"},
		{"alb-multi-value-rightmost", "", `{"requestContext":{"elb":{}},"multiValueHeaders":{"x-forwarded-for":["1.1.1.1","3.3.3.3, 2.2.2.2"]}}`, "2.2.2.2"},
		{"alb-ignores-the-configured-header", viewerHeader, `{"requestContext":{"elb":{}},"headers":{"x-forwarded-for":"2.2.2.2","cloudfront-viewer-address":"1.1.1.1:80"}}`, "2.2.2.2"},
		{"alb-no-fallback-if-missing", viewerHeader, `{"requestContext":{"elb":{}},"headers":{"cloudfront-viewer-address":"1.1.1.1:80"}}`, ""},
		{"alb-two-spellings", "", `{"requestContext":{"elb":{}},"headers":{"x-forwarded-for":"1.1.1.1","X-Forwarded-For":"2.2.2.2"}}`, ""},
		{"alb-two-spellings-same", "", `{"requestContext":{"elb":{}},"headers":{"x-forwarded-for":"1.1.1.1","X-Forwarded-For":"1.1.1.1"}}`, "1.1.1.1"},
		{"url-source", "", url + `{"x-forwarded-for":"1.1.1.1","cloudfront-viewer-address":"1.1.1.1:80"}}`, "9.9.9.9"},
		{"url-header", viewerHeader, url + `{"cloudfront-viewer-address":"1.1.1.1:80"}}`, "1.1.1.1"},
		{"url-header-ipv6", viewerHeader, url + `{"CloudFront-Viewer-Address":"2001:db8::8a2e:370:7334:46532"}}`, "2001:db8::8a2e:370:7334"},
		{"url-no-fallback-if-header-missing", viewerHeader, url + `{}}`, ""},
		{"url-no-fallback-if-header-invalid", viewerHeader, url + `{"cloudfront-viewer-address":"1.1.1.1"}}`, ""},
		{"url-header-joined-different", viewerHeader, url + `{"cloudfront-viewer-address":"1.1.1.1:80,2.2.2.2:80"}}`, ""},
		{"url-header-joined-same", viewerHeader, url + `{"cloudfront-viewer-address":"1.1.1.1:80,1.1.1.1:80"}}`, "1.1.1.1"},
		{"url-other-header-with-port", "x-real-ip", url + `{"x-real-ip":"1.1.1.1:80"}}`, ""},
		{"url-other-header", "x-real-ip", url + `{"x-real-ip":"::ffff:1.1.1.1"}}`, "1.1.1.1"},
		{"url-forwarded-for-as-the-header", "x-forwarded-for", url + `{"x-forwarded-for":"1.1.1.1"}}`, "1.1.1.1"},
		{"url-forwarded-for-with-two", "x-forwarded-for", url + `{"x-forwarded-for":"1.1.1.1, 2.2.2.2"}}`, ""},
		{"url-zone", "x-real-ip", url + `{"x-real-ip":"fe80::1%eth0"}}`, ""},
		{"rest-source", "", `{"requestContext":{"identity":{"sourceIp":"9.9.9.9"}},"httpMethod":"GET","path":"/"}`, "9.9.9.9"},
		{"rest-header-twice", "x-real-ip", `{"requestContext":{"identity":{"sourceIp":"9.9.9.9"}},"httpMethod":"GET","path":"/","multiValueHeaders":{"X-Real-IP":["1.1.1.1","2.2.2.2"]}}`, ""},
		{"edge", viewerHeader, `{"Records":[{"cf":{"config":{"eventType":"viewer-request"},"request":{"clientIp":"2001:db8::1","headers":{"cloudfront-viewer-address":[{"value":"1.1.1.1:80"}]}}}}]}`, "2001:db8::1"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := decode(t, tt.header, tt.payload)
			var want netip.Addr
			if tt.want != "" {
				want = netip.MustParseAddr(tt.want)
			}
			if r.Client != want {
				t.Errorf("client %v, want %v", r.Client, want)
			}
		})
	}
}

func TestPosition(t *testing.T) {
	t.Parallel()
	const headers = `{"cloudfront-viewer-latitude":"48.85","cloudfront-viewer-longitude":"2.35","cloudfront-viewer-country":"FR"}`
	for _, tt := range []struct {
		name, header, payload string
		positioned            bool
	}{
		{"with-address-header", viewerHeader, `{"requestContext":{"http":{}},"headers":` + headers + `}`, true},
		{"without-address-header", "", `{"requestContext":{"http":{}},"headers":` + headers + `}`, false},
		{"alb", viewerHeader, `{"requestContext":{"elb":{}},"headers":` + headers + `}`, false},
		{"half", viewerHeader, `{"requestContext":{"http":{}},"headers":{"cloudfront-viewer-latitude":"48.85","cloudfront-viewer-country":"FR"}}`, false},
		{"not-a-number", viewerHeader, `{"requestContext":{"http":{}},"headers":{"cloudfront-viewer-latitude":"NaN","cloudfront-viewer-longitude":"2"}}`, false},
		{"two-latitudes", viewerHeader, `{"requestContext":{},"httpMethod":"GET","path":"/","multiValueHeaders":{"cloudfront-viewer-latitude":["48.85","1"],"cloudfront-viewer-longitude":["2.35"]}}`, false},
		{"two-longitudes", viewerHeader, `{"requestContext":{},"httpMethod":"GET","path":"/","multiValueHeaders":{"cloudfront-viewer-latitude":["48.85"],"cloudfront-viewer-longitude":["2.35","1"]}}`, false},
		{"out-of-range", viewerHeader, `{"requestContext":{"http":{}},"headers":{"cloudfront-viewer-latitude":"91","cloudfront-viewer-longitude":"2"}}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := decode(t, tt.header, tt.payload)
			if r.Positioned != tt.positioned || tt.positioned && (r.Viewer != regions.Point{Latitude: 48.85, Longitude: 2.35} || r.Country != "FR") {
				t.Errorf("request %+v, want a position: %v", r, tt.positioned)
			}
			// The country is trusted if the address header is.
			if trusted := tt.header != "" && !strings.Contains(tt.payload, "elb"); r.Country != "" && !trusted {
				t.Errorf("country %q is trusted", r.Country)
			}
		})
	}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, payload string
		want          bool
	}{
		{"alb", `{"requestContext":{"elb":{}},"headers":{"authorization":"Bearer x"}}`, true},
		{"alb-signature", `{"requestContext":{"elb":{}},"headers":{"authorization":"AWS4-HMAC-SHA256 x"}}`, true},
		{"alb-viewer-header-ignored", `{"requestContext":{"elb":{}},"headers":{"x-viewer-authorized":"1"}}`, false},
		{"url", `{"requestContext":{"http":{}},"headers":{"Authorization":"Basic x"}}`, true},
		{"url-signature-of-cloudfront", `{"requestContext":{"http":{}},"headers":{"authorization":"AWS4-HMAC-SHA256 x"}}`, false},
		{"url-viewer-header", `{"requestContext":{"http":{}},"headers":{"authorization":"AWS4-HMAC-SHA256 x","x-viewer-authorized":"1"}}`, true},
		{"url-viewer-header-zero", `{"requestContext":{"http":{}},"headers":{"x-viewer-authorized":"0"}}`, false},
		{"url-longer-scheme", `{"requestContext":{"http":{}},"headers":{"authorization":"AWS4-HMAC-SHA256x y"}}`, true},
		{"rest", `{"requestContext":{},"httpMethod":"GET","path":"/","multiValueHeaders":{"Authorization":["Bearer x"]}}`, true},
		{"rest-signature-last", `{"requestContext":{},"httpMethod":"GET","path":"/","multiValueHeaders":{"Authorization":["Bearer x","AWS4-HMAC-SHA256 y"]}}`, true},
		{"edge", `{"Records":[{"cf":{"config":{"eventType":"origin-request"},"request":{"headers":{"authorization":[{"key":"Authorization","value":"Bearer x"}]}}}}]}`, true},
		{"edge-viewer-header-ignored", `{"Records":[{"cf":{"config":{"eventType":"origin-request"},"request":{"headers":{"x-viewer-authorized":[{"value":"1"}]}}}}]}`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r, _ := decode(t, "", tt.payload); r.Authorized != tt.want {
				t.Errorf("authorized %v, want %v", r.Authorized, tt.want)
			}
		})
	}
}

// The runtime reuses its buffer, so a request must not refer to the payload.
func TestRequestCopiesPayload(t *testing.T) {
	t.Parallel()
	payload := []byte(`{"requestContext":{"http":{"method":"PATCH"}},"rawPath":"/v2/pause/tags/list","rawQueryString":"n=2","headers":{"cloudfront-viewer-country":"FR"}}`)
	d := Decoder{ClientAddressHeader: viewerHeader}
	r, _, err := d.Decode(payload)
	if err != nil {
		t.Fatal(err)
	}
	for i := range payload {
		payload[i] = 'x'
	}
	if r.Method != "PATCH" || r.Path != "/v2/pause/tags/list" || r.Query != "n=2" || r.Country != "FR" {
		t.Errorf("the request changed with the payload: %+v", r)
	}
}
