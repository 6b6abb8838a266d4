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

func TestStageIsRemovedOnce(t *testing.T) {
	t.Parallel()
	event := func(domain, stage, path string) string {
		return `{"requestContext":{"http":{},"domainName":"` + domain + `","stage":"` + stage + `"},"rawPath":"` + path + `"}`
	}
	const api, url = "x.execute-api.us-east-1.amazonaws.com", "x.lambda-url.us-east-1.on.aws"
	for _, tt := range []struct{ name, payload, path string }{
		{"named", event(api, "prod", "/prod/v2/pause/tags/list"), "/v2/pause/tags/list"},
		{"named-root", event(api, "prod", "/prod/"), "/"},
		{"own-domain", event("api.example.com", "prod", "/prod/v2/"), "/v2/"},
		{"twice", event(api, "prod", "/prod/prod/v2/"), "/prod/v2/"},
		{"not-in-path", event(api, "prod", "/v2/"), "/v2/"},
		{"no-slash", event(api, "prod", "/prod"), "/prod"},
		{"no-first-slash", event(api, "prod", "xprod/v2/"), "xprod/v2/"},
		{"longer", event(api, "prod", "/production/v2/"), "/production/v2/"},
		{"inside", event(api, "prod", "/v2/prod/v2/"), "/v2/prod/v2/"},
		{"other-case", event(api, "prod", "/Prod/v2/"), "/Prod/v2/"},
		{"two-slashes", event(api, "prod", "//prod/v2/"), "//prod/v2/"},
		{"two-slashes-after", event(api, "prod", "/prod//v2/"), "//v2/"},
		{"default", event(api, "$default", "/$default/v2/"), "/$default/v2/"},
		{"empty", event(api, "", "//v2/"), "//v2/"},
		{"none", `{"requestContext":{"http":{},"domainName":"` + api + `"},"rawPath":"//v2/"}`, "//v2/"},
		{"null", `{"requestContext":{"http":{},"domainName":"` + api + `","stage":null},"rawPath":"/prod/v2/"}`, "/prod/v2/"},
		{"function-url", event(url, "prod", "/prod/v2/"), "/prod/v2/"},
		{"function-url-without-domain", `{"requestContext":{"http":{},"stage":"prod"},"rawPath":"/prod/v2/"}`, "/prod/v2/"},
		{"rest", `{"requestContext":{"stage":"prod"},"httpMethod":"GET","path":"/prod/v2/"}`, "/prod/v2/"},
		{"alb", `{"requestContext":{"elb":{},"stage":"prod"},"path":"/prod/v2/"}`, "/prod/v2/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if r, _ := decode(t, "", tt.payload); r.Path != tt.path {
				t.Errorf("path %q, want %q", r.Path, tt.path)
			}
		})
	}
}

// TestViewerHost checks that the host of X-Viewer-Host is reported for events of a
// function URL only. Whether it is one of the distribution's is not checked here.
func TestViewerHost(t *testing.T) {
	t.Parallel()
	const domain = `"domainName":"x.lambda-url.us-east-1.on.aws"`
	const url = `{"requestContext":{"http":{},` + domain + `},"rawPath":"/v2/%41",`
	for _, tt := range []struct{ name, payload, want string }{
		{"url", url + `"headers":{"x-viewer-host":"registry.example.com"}}`, "registry.example.com"},
		{"url-other-case", url + `"headers":{"X-Viewer-HOST":"registry.example.com"}}`, "registry.example.com"},
		{"url-no-escape-in-path", `{"requestContext":{"http":{},` + domain + `},"rawPath":"/v2/A","headers":{"x-viewer-host":"registry.example.com"}}`, "registry.example.com"},
		{"url-headers-first", `{"headers":{"x-viewer-host":"registry.example.com"},"rawPath":"/v2/A","requestContext":{` + domain + `,"http":{}}}`, "registry.example.com"},
		{"url-unchecked", url + `"headers":{"x-viewer-host":"user@Attacker.example:443\r\n"}}`, "user@Attacker.example:443\r\n"},
		{"url-none", url + `"headers":{}}`, ""},
		{"url-null", url + `"headers":{"x-viewer-host":null}}`, ""},
		{"url-two-spellings-same", url + `"headers":{"x-viewer-host":"a.example","X-Viewer-Host":"a.example"}}`, "a.example"},
		{"url-two-spellings", url + `"headers":{"x-viewer-host":"a.example","X-Viewer-Host":"b.example"}}`, ""},
		{"url-three-spellings", url + `"headers":{"x-viewer-host":"a.example","X-Viewer-Host":"b.example","X-VIEWER-HOST":"b.example"}}`, ""},
		{"url-multi-value-ignored", url + `"headers":{},"multiValueHeaders":{"x-viewer-host":["a.example"]}}`, ""},
		{"url-other-headers-ignored", url + `"headers":{"host":"a.example","x-forwarded-host":"a.example","x-viewer-hosts":"a.example"}}`, ""},
		{"url-malformed-path", `{"requestContext":{"http":{},` + domain + `},"rawPath":"/v2/%4","headers":{"x-viewer-host":"a.example"}}`, ""},
		{"no-domain", `{"requestContext":{"http":{}},"rawPath":"/v2/","headers":{"x-viewer-host":"a.example"}}`, ""},
		{"http-api", `{"requestContext":{"http":{},"domainName":"x.execute-api.us-east-1.amazonaws.com"},"rawPath":"/v2/","headers":{"x-viewer-host":"a.example"}}`, ""},
		{"http-api-own-domain", `{"requestContext":{"http":{},"domainName":"registry.example.com"},"rawPath":"/v2/","headers":{"x-viewer-host":"a.example"}}`, ""},
		{"alb", `{"requestContext":{"elb":{},` + domain + `},"path":"/v2/","headers":{"x-viewer-host":"a.example"}}`, ""},
		{"alb-multi-value", `{"requestContext":{"elb":{}},"path":"/v2/","multiValueHeaders":{"x-viewer-host":["a.example"]}}`, ""},
		{"alb-and-url", `{"requestContext":{"elb":{},"http":{},` + domain + `},"path":"/v2/","rawPath":"/v2/","headers":{"x-viewer-host":"a.example"}}`, ""},
		{"rest", `{"requestContext":{` + domain + `},"httpMethod":"GET","path":"/v2/","headers":{"x-viewer-host":"a.example"}}`, ""},
		{"rest-multi-value", `{"requestContext":{},"httpMethod":"GET","path":"/v2/","multiValueHeaders":{"x-viewer-host":["a.example"]}}`, ""},
		{"edge", `{"Records":[{"cf":{"config":{"eventType":"viewer-request"},"request":{"uri":"/v2/","headers":{"x-viewer-host":[{"key":"X-Viewer-Host","value":"a.example"}]}}}}]}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, header := range []string{"", viewerHeader} {
				if r, _ := decode(t, header, tt.payload); r.ViewerHost != tt.want {
					t.Errorf("viewer host %q, want %q", r.ViewerHost, tt.want)
				}
			}
		})
	}
}

// TestViewerHostAllocations checks that the host costs no allocation: it is part of
// every event behind a distribution.
func TestViewerHostAllocations(t *testing.T) {
	allocations := func(path, header string) float64 {
		payload := []byte(`{"requestContext":{"http":{"method":"GET","sourceIp":"192.0.2.1"},"domainName":"x.lambda-url.us-east-1.on.aws"},"rawPath":"` + path + `","headers":{"` + header + `":"registry.example.com"}}`)
		d := Decoder{}
		if r, _, err := d.Decode(payload); err != nil || (r.ViewerHost != "") != (header == "x-viewer-host") {
			t.Fatalf("request %+v, error %v", r, err)
		}
		return testing.AllocsPerRun(100, func() { d.Decode(payload) })
	}
	for _, path := range []string{"/v2/pause/tags/list", "/v2/pause%2Ftags/list"} {
		if with, without := allocations(path, "x-viewer-host"), allocations(path, "x-viewer-city"); with > without || without > 2 {
			t.Errorf("%s: %v allocations with the header and %v without, want 2: the path and the address", path, with, without)
		}
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
	payload := []byte(`{"requestContext":{"http":{"method":"PATCH"},"domainName":"x.lambda-url.us-east-1.on.aws"},"rawPath":"/v2/pause/tags/list","rawQueryString":"n=2","headers":{"cloudfront-viewer-country":"FR","x-viewer-host":"a.example"}}`)
	d := Decoder{ClientAddressHeader: viewerHeader}
	r, _, err := d.Decode(payload)
	if err != nil {
		t.Fatal(err)
	}
	for i := range payload {
		payload[i] = 'x'
	}
	if r.Method != "PATCH" || r.Path != "/v2/pause/tags/list" || r.Query != "n=2" || r.Country != "FR" || r.ViewerHost != "a.example" {
		t.Errorf("the request changed with the payload: %+v", r)
	}
}
