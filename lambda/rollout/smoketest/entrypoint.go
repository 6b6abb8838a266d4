package smoketest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"archeio/lambda/config"
)

// EntryPoint is what invokes the redirector.
type EntryPoint string

// The entry points of a stage.
const (
	ALB EntryPoint = "alb" // a target group with multi-value headers
	URL EntryPoint = "url" // the function URL, behind CloudFront
)

// ParseEntryPoints parses a comma-separated list of entry points.
func ParseEntryPoints(text string) ([]EntryPoint, error) {
	var all []EntryPoint
	for name := range strings.SplitSeq(text, ",") {
		if e := EntryPoint(name); e != ALB && e != URL {
			return nil, fmt.Errorf("unknown entry point %q: want alb, url or alb,url", name)
		}
		all = append(all, EntryPoint(name))
	}
	return all, nil
}

const (
	host        = "registry.example.com"
	functionURL = "abcdefghij0123456789abcdefghij01.lambda-url.us-east-1.on.aws"
)

// viewerHost returns the name of the distribution that a Location must have if the
// default mirror is the distribution, empty if the Location must be a path.
func (e EntryPoint) viewerHost(c *config.Config, s sample) string {
	switch {
	case e != URL || s.headers["x-viewer-host"] != "":
		return ""
	case len(c.ViewerHosts) > 0:
		return c.ViewerHosts[0]
	}
	return "d111111abcdef8.cloudfront.net"
}

// event returns the event for a sample. The folder events has complete ones.
func (e EntryPoint) event(c *config.Config, s sample) map[string]any {
	headers := map[string]string{
		"accept":            "*/*",
		"host":              host,
		"user-agent":        "archeio-smoketest",
		"x-forwarded-port":  "443",
		"x-forwarded-proto": "https",
	}
	maps.Copy(headers, s.headers)
	if e == ALB {
		return albEvent(s, headers)
	}
	if name := e.viewerHost(c, s); name != "" {
		headers["x-viewer-host"] = name
	}
	return urlEvent(c, s, headers)
}

func albEvent(s sample, headers map[string]string) map[string]any {
	if s.client != "" {
		headers["x-forwarded-for"] = s.client
	}
	multi := map[string][]string{}
	for name, value := range headers {
		multi[name] = []string{value}
	}
	query := map[string][]string{}
	if name, value, ok := strings.Cut(s.query, "="); ok {
		query[name] = []string{value}
	}
	return map[string]any{
		"requestContext":                  map[string]any{"elb": map[string]string{"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/archeio/0123456789abcdef"}},
		"httpMethod":                      s.method,
		"path":                            s.path,
		"multiValueQueryStringParameters": query,
		"multiValueHeaders":               multi,
		"body":                            "",
		"isBase64Encoded":                 false,
	}
}

func urlEvent(c *config.Config, s sample, headers map[string]string) map[string]any {
	const edge = "64.252.64.10"
	headers["via"] = "1.1 0123456789abcdef0123456789abcdef.cloudfront.net (CloudFront)"
	headers["x-forwarded-for"] = edge
	if c.ClientAddressHeader != "" && s.client != "" {
		headers[c.ClientAddressHeader] = s.client + ":46532"
	}
	decoded, err := url.PathUnescape(s.path)
	if err != nil {
		decoded = s.path
	}
	return map[string]any{
		"version":        "2.0",
		"routeKey":       "$default",
		"rawPath":        s.path,
		"rawQueryString": s.query,
		"headers":        headers,
		"requestContext": map[string]any{
			"accountId":  "anonymous",
			"domainName": functionURL,
			"http":       map[string]string{"method": s.method, "path": decoded, "protocol": "HTTP/1.1", "sourceIp": edge, "userAgent": headers["user-agent"]},
			"requestId":  "00000000-0000-4000-8000-000000000000",
			"routeKey":   "$default",
			"stage":      "$default",
		},
		"isBase64Encoded": false,
	}
}

// response is the part of a response that a client sees. Header names are in lower
// case.
type response struct {
	status  int
	headers map[string]string
	body    string
}

// parse parses a response as the entry point does. A header with several values is
// an error, as clients differ in which one they use.
func (e EntryPoint) parse(out []byte) (response, error) {
	var raw struct {
		StatusCode        int                 `json:"statusCode"`
		Headers           map[string]string   `json:"headers"`
		MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
		Body              string              `json:"body"`
		IsBase64Encoded   bool                `json:"isBase64Encoded"`
	}
	if err := json.Unmarshal(out, &raw); err != nil {
		return response{}, fmt.Errorf("invalid response: %w", err)
	}
	if e == URL && raw.Headers == nil {
		return response{}, errors.New("invalid response: no headers")
	}
	if e == ALB && raw.MultiValueHeaders == nil {
		return response{}, errors.New("invalid response: no multiValueHeaders")
	}
	multi := raw.MultiValueHeaders
	if e == URL {
		multi = map[string][]string{}
		for name, value := range raw.Headers {
			multi[name] = []string{value}
		}
	}
	r := response{status: raw.StatusCode, headers: map[string]string{}, body: raw.Body}
	if raw.IsBase64Encoded {
		decoded, err := base64.StdEncoding.DecodeString(raw.Body)
		if err != nil {
			return response{}, fmt.Errorf("invalid response: %w", err)
		}
		r.body = string(decoded)
	}
	for name, values := range multi {
		name = strings.ToLower(name)
		if _, duplicate := r.headers[name]; duplicate || len(values) != 1 {
			return response{}, fmt.Errorf("invalid response: the header %q has not exactly one value", name)
		}
		r.headers[name] = values[0]
	}
	return r, nil
}
