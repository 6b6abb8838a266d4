package entrypoint

import (
	"net/http"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"archeio/lambda/config"
	"archeio/ranges"
)

// edgeAddress is the address of the CloudFront edge server that the function URL
// reports as the source IP.
const edgeAddress = "64.252.0.1"

const functionURL = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws"

// CloudFront returns a handler that simulates a distribution with two origins:
// the bucket at mirror for /containers/images/*, and for all other paths a
// function URL that only the distribution may invoke. Like the real one, it
// signs its requests to the function URL, so the function never receives a
// client's Authorization header, only X-Viewer-Authorized if there was one. The
// function receives the requested host in X-Viewer-Host. Methods and paths that
// the function for viewer requests rejects reach neither origin.
//
// https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-restricting-access-to-lambda.html
func CloudFront(invoke Invoke, mirror *url.URL) http.Handler {
	bucket := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(mirror)
		// Origin access control replaces this header with its own signature; the
		// bucket here is read anonymously.
		r.Out.Header.Del("Authorization")
		r.Out.Header.Del(ClientAddressHeader)
	}}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, query := target(r)
		path, refusal, ok := viewerRequest(r.Method, path)
		if !ok {
			for _, field := range refusal.Fields() {
				if field.Value != "" {
					w.Header().Set(field.Name, field.Value)
				}
			}
			w.WriteHeader(refusal.Status)
			_, _ = w.Write([]byte(refusal.Body))
			return
		}
		if strings.HasPrefix(path, "/"+config.BlobPrefix) {
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = path, ""
			bucket.ServeHTTP(w, r)
			return
		}
		resp, ok := call(w, r, invoke, functionURLEvent(r, path, query))
		if !ok {
			return
		}
		write(w, resp)
	})
}

func functionURLEvent(r *http.Request, path, query string) map[string]any {
	viewer := clientAddr(r)
	// The headers that the distribution's policy forwards, and those that it adds.
	headers := map[string]string{
		"host":                      functionURL,
		"user-agent":                "Amazon CloudFront",
		"via":                       "1.1 0123456789abcdef0123456789abcdef.cloudfront.net (CloudFront)",
		"x-amz-cf-id":               "gt1Rwn3zJ2XPSVj4IzmhIFdNFDyyAyfLnN0GvhTT9j0KDMnXFgA2yQ==",
		"x-amzn-trace-id":           traceID,
		"x-forwarded-for":           viewer.Addr().String(),
		"x-forwarded-port":          "443",
		"x-forwarded-proto":         "https",
		"x-amz-date":                time.Now().UTC().Format("20060102T150405Z"),
		"x-amz-source-account":      "123456789012",
		"x-amz-source-arn":          "arn:aws:cloudfront::123456789012:distribution/E1EXAMPLE",
		"authorization":             "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=0",
		"cloudfront-viewer-address": viewerAddress(viewer),
		"cloudfront-viewer-country": "FR",
		"x-viewer-host":             r.Host,
	}
	// CloudFront sends no coordinates for clients in AWS.
	if place, _ := ranges.Lookup(viewer.Addr()); place.Cloud != ranges.AWS {
		headers["cloudfront-viewer-latitude"] = "48.85660"
		headers["cloudfront-viewer-longitude"] = "2.35220"
	}
	if r.Header.Get("Authorization") != "" {
		headers["x-viewer-authorized"] = "1"
	}
	now := time.Now().UTC()
	return map[string]any{
		"version":        "2.0",
		"routeKey":       "$default",
		"rawPath":        path,
		"rawQueryString": query,
		"headers":        headers,
		"requestContext": map[string]any{
			"accountId":    "anonymous",
			"apiId":        functionURL[:32],
			"domainName":   functionURL,
			"domainPrefix": functionURL[:32],
			"http": map[string]string{
				"method":    r.Method,
				"path":      path, // decoded, but no escapes are left
				"protocol":  "HTTP/1.1",
				"sourceIp":  edgeAddress,
				"userAgent": "Amazon CloudFront",
			},
			"requestId": "00000000-0000-4000-8000-000000000000",
			"routeKey":  "$default",
			"stage":     "$default",
			"time":      now.Format("02/Jan/2006:15:04:05 -0700"),
			"timeEpoch": now.UnixMilli(),
		},
		"isBase64Encoded": false,
	}
}

// viewerAddress returns a as CloudFront formats it: IPv6 without brackets.
func viewerAddress(a netip.AddrPort) string {
	return a.Addr().String() + ":" + strconv.Itoa(int(a.Port()))
}
