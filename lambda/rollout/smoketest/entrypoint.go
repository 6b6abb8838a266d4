package smoketest

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"strings"

	"archeio/lambda/config"
)

// Front is what calls the redirector.
type Front string

// The fronts that a stage can have: a load balancer, whose target group is in
// the mode of several values to a header, and a distribution with the function's
// URL behind it.
const (
	ALB Front = "alb"
	URL Front = "url"
)

// ParseFronts reads fronts with commas between them.
func ParseFronts(text string) ([]Front, error) {
	var fronts []Front
	for name := range strings.SplitSeq(text, ",") {
		if f := Front(name); f != ALB && f != URL {
			return nil, fmt.Errorf("front %q: takes alb or url", name)
		}
		fronts = append(fronts, Front(name))
	}
	return fronts, nil
}

const host = "registry.example.com"

// event makes the front's event of a sample. events/ has whole ones.
func (f Front) event(c *config.Config, s sample) map[string]any {
	headers := map[string]string{
		"accept":            "*/*",
		"host":              host,
		"user-agent":        "archeio-release",
		"x-forwarded-port":  "443",
		"x-forwarded-proto": "https",
	}
	maps.Copy(headers, s.headers)
	if f == ALB {
		return balancerEvent(s, headers)
	}
	return urlEvent(c, s, headers)
}

func balancerEvent(s sample, headers map[string]string) map[string]any {
	if s.client != "" {
		headers["x-forwarded-for"] = s.client
	}
	several := map[string][]string{}
	for name, value := range headers {
		several[name] = []string{value}
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
		"multiValueHeaders":               several,
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
			"domainName": host,
			"http":       map[string]string{"method": s.method, "path": decoded, "protocol": "HTTP/1.1", "sourceIp": edge, "userAgent": headers["user-agent"]},
			"requestId":  "00000000-0000-4000-8000-000000000000",
			"routeKey":   "$default",
			"stage":      "$default",
		},
		"isBase64Encoded": false,
	}
}

// answer is what all fronts send on; headers are in lower case.
type answer struct {
	status  int
	headers map[string]string
}

// read reads an answer as the front does. A header that is there twice is no
// answer: which of them would count?
func (f Front) read(out []byte) (answer, error) {
	var raw struct {
		StatusCode        int                 `json:"statusCode"`
		Headers           map[string]string   `json:"headers"`
		MultiValueHeaders map[string][]string `json:"multiValueHeaders"`
	}
	if err := json.Unmarshal(out, &raw); err != nil {
		return answer{}, fmt.Errorf("its answer is no JSON of a front's: %w", err)
	}
	if f == URL && raw.Headers == nil || f == ALB && raw.MultiValueHeaders == nil {
		return answer{}, fmt.Errorf("its answer lacks the headers that this front reads")
	}
	several := raw.MultiValueHeaders
	if f == URL {
		several = map[string][]string{}
		for name, value := range raw.Headers {
			several[name] = []string{value}
		}
	}
	a := answer{status: raw.StatusCode, headers: map[string]string{}}
	for name, values := range several {
		name = strings.ToLower(name)
		if _, twice := a.headers[name]; twice || len(values) != 1 {
			return answer{}, fmt.Errorf("its answer has the header %q %d times", name, max(len(values), 2))
		}
		a.headers[name] = values[0]
	}
	return a, nil
}
